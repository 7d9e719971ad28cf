"""Kubeconfigs as kubectl reads them, service accounts as the kubelet mounts them."""

import base64
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube import auth, errors, kubeconfig
from vcp import pki
from vcp.spec import load

CONFIG: dict[str, Any] = {
    "current-context": "one",
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "ns"}},
        {"name": "two", "context": {"cluster": "c", "user": "plugin"}},
    ],
    "clusters": [
        {"name": "c", "cluster": {"server": "https://c.example:6443/", "certificate-authority": "ca.crt"}}
    ],
    "users": [
        {
            "name": "u",
            "user": {
                "client-certificate-data": base64.b64encode(b"CERT").decode(),
                "client-key": "u.key",
                "tokenFile": "/t",
                "as": "x",
            },
        },
        {"name": "plugin", "user": {"exec": {"command": "aws"}}},
    ],
}


def write(folder: Path, config: dict[str, Any], name: str = "config") -> Path:
    (folder / name).write_text(yaml.safe_dump(config))
    return folder / name


def test_a_context_gives_an_access(tmp_path: Path) -> None:
    access = kubeconfig.find(str(write(tmp_path, CONFIG)), environ={})
    assert access == auth.Access(
        server="https://c.example:6443",
        namespace="ns",
        context="one",
        ca=tmp_path / "ca.crt",
        certificate=b"CERT",
        key=tmp_path / "u.key",
        token=Path("/t"),
        headers={"Impersonate-User": "x"},
    )


def test_an_exec_plugin_is_kept_for_later(tmp_path: Path) -> None:
    assert kubeconfig.find(str(write(tmp_path, CONFIG)), "two", environ={}).plugin is not None


def test_of_several_files_the_first_wins_and_missing_ones_do_not_matter(tmp_path: Path) -> None:
    other = {"current-context": "two", "contexts": [{"name": "one", "context": {"cluster": "elsewhere"}}]}
    first, second = write(tmp_path, CONFIG), write(tmp_path, other, "other")
    environ = {"KUBECONFIG": f"{tmp_path}/none:{first}:{second}"}
    assert kubeconfig.find(environ=environ).context == "one"
    assert kubeconfig.find(environ=environ).server == "https://c.example:6443"


def test_nothing_configured_says_where_it_looked() -> None:
    with pytest.raises(errors.ConfigError, match=r"no cluster is configured: /none does not exist"):
        kubeconfig.find(environ={"KUBECONFIG": "/none"})


def test_mistakes_name_what_there_is(tmp_path: Path) -> None:
    path = str(write(tmp_path, CONFIG))
    with pytest.raises(errors.ConfigError, match=r"no context 'three' in .*; there: one, two"):
        kubeconfig.find(path, "three", environ={})
    with pytest.raises(errors.ConfigError, match="does not exist"):
        kubeconfig.find(f"{path}x", environ={})
    del (without := dict(CONFIG))["current-context"]
    with pytest.raises(errors.ConfigError, match="contexts there: one, two"):
        kubeconfig.find(str(write(tmp_path, without)), environ={})
    Path(path).write_text("{")
    with pytest.raises(errors.ConfigError, match="cannot read kubeconfig"):
        kubeconfig.find(path, environ={})


def test_in_a_pod_the_service_account_is_used(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("vcp-a\n")
    access = auth.in_cluster(tmp_path, environ)
    assert (access.server, access.namespace) == ("https://[fd00::1]:443", "vcp-a")
    with pytest.raises(errors.ConfigError):
        auth.in_cluster(tmp_path / "none", environ)


def test_mounted_certificates_need_nowhere_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod's root file system is read-only."""
    spec = load("name: a")
    files = pki.renew({}, pki.request(spec), datetime(2026, 1, 1, tzinfo=UTC)).files
    for name in ("server-ca.crt", "syncer.crt", "syncer.key"):
        (tmp_path / name).write_bytes(files[name])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    certificate, key = tmp_path / "syncer.crt", tmp_path / "syncer.key"
    auth.Credentials(auth.Access("", ca=tmp_path / "server-ca.crt", certificate=certificate, key=key)).tls()
    with pytest.raises(errors.ConfigError, match="cannot read the TLS credentials"):
        auth.Credentials(auth.Access("", certificate=certificate, key=files["dns.key"])).tls()


def test_a_rotated_certificate_is_seen_within_a_second_and_at_once_after_a_401(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = tmp_path / "ca.crt"
    request = pki.request(load("name: a"))
    now = 100.0
    monkeypatch.setattr(auth.time, "monotonic", lambda: now)

    def rotate(year: int) -> None:
        ca.write_bytes(pki.renew({}, request, datetime(year, 1, 1, tzinfo=UTC)).files["server-ca.crt"])
        os.utime(ca, (year, year))

    rotate(2026)
    credentials = auth.Credentials(auth.Access("", ca=ca))
    first = credentials.tls()
    rotate(2027)
    assert credentials.tls() is first
    now += 1
    second = credentials.tls()
    assert second is not first
    assert credentials.tls() is second
    rotate(2028)
    assert credentials.tls() is second
    credentials.renew()
    assert credentials.tls() is not second


def test_plain_kubeconfigs_do_not_import_kubernetes_asyncio() -> None:
    code = "import sys, kube.kubeconfig, kube.client; print('kubernetes_asyncio' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "False\n"


def test_a_kubeconfig_in_a_secret_is_read_from_its_text() -> None:
    access = kubeconfig.from_text(yaml.safe_dump(CONFIG).encode())
    assert (access.server, access.certificate) == ("https://c.example:6443", b"CERT")
    with pytest.raises(errors.ConfigError, match="is not a kubeconfig"):
        kubeconfig.from_text(b"[a]")
