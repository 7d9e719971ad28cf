"""What k3s meets at a start, with its record in a datastore that outlives it: every case of decision 21."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ..conftest import eventually, meanwhile
from .conftest import Tenant, Vcp

K3S = pytest.param("k3s", marks=pytest.mark.k3s)
pytestmark = pytest.mark.parametrize("distro", [K3S])


def test_a_fresh_pod_and_a_restarted_container_start_at_once(vcp: Vcp, name: str, distro: str) -> None:
    tenant = Tenant(vcp, name)
    vcp.run("create", name, "--distro", distro, "--ephemeral")
    tenant.kubectl("create", "configmap", "kept", "--from-literal=word=still here")
    (first,) = tenant.host_pods("api")
    host(tenant, "delete", "pod", first["metadata"]["name"])
    eventually("a fresh pod serves", lambda: serving(tenant, first["metadata"]["uid"]))
    assert restarts(tenant) == [0]
    kill(tenant)
    eventually("the container is restarted and serves", lambda: restarts(tenant) == [1] and serving(tenant))
    assert tenant.get("configmap", "kept")["data"] == {"word": "still here"}


def test_an_outage_of_etcd_at_a_start_costs_no_back_off(vcp: Vcp, name: str, distro: str) -> None:
    tenant = Tenant(vcp, name)
    vcp.run("create", name, "--distro", distro)
    host(tenant, "scale", "statefulset/etcd", "--replicas=0")
    eventually("no etcd", lambda: not tenant.host_pods("etcd"))
    kill(tenant)
    eventually("attempts that found no etcd", lambda: said(tenant).count("failed to bootstrap") > 1)
    host(tenant, "scale", "statefulset/etcd", "--replicas=1")
    eventually("the same container serves", lambda: serving(tenant))
    assert restarts(tenant) == [1]


def test_three_replicas_race_at_first_and_are_replaced_without_a_failed_request(
    vcp: Vcp, name: str, distro: str, tmp_path: Path
) -> None:
    tenant = Tenant(vcp, name)
    vcp.run("create", name, "--distro", distro, "--ephemeral", "--replicas", "3")
    assert restarts(tenant) == [0, 0, 0]
    with asking(tenant, tmp_path) as answers:
        host(tenant, "rollout", "restart", "deployment/api")
        host(tenant, "rollout", "status", "deployment/api", "--timeout=120s")
    assert restarts(tenant) == [0, 0, 0]
    assert len(answers) > 10
    assert set(answers) == {"200"}


def test_the_certificate_has_the_names_of_the_spec_also_when_they_change(
    vcp: Vcp, name: str, distro: str
) -> None:
    tenant = Tenant(vcp, name)
    vcp.run("create", name, "--distro", distro, "--ephemeral", "--tls-san", "first.example.test")
    assert "first.example.test" in served_names(tenant)
    vcp.run("create", name, "--tls-san", "second.example.test")
    assert "second.example.test" in served_names(tenant)
    # The Secret by which replicas share it lies in the tenant, where an administrator may read it.
    assert tenant.get("-n", "kube-system", "secret", "k3s-serving")["type"] == "kubernetes.io/tls"


def test_a_renewed_authority_takes_effect_and_what_it_signed_stays_valid(
    vcp: Vcp, name: str, distro: str
) -> None:
    tenant = Tenant(vcp, name)
    vcp.run("create", name, "--distro", distro, "--ephemeral")
    old = vcp.kubeconfig.read_text()
    shorten(tenant, "server-ca")
    vcp.run("create", name)
    renewed = secret(tenant, "pki-ca", "server-ca.crt")
    eventually("the controllers have published it", lambda: root_ca(tenant) == renewed)
    kill(tenant)
    eventually("the container is restarted and serves", lambda: restarts(tenant) == [1] and serving(tenant))
    assert root_ca(tenant) == renewed
    vcp.kubeconfig.write_text(old)
    tenant.kubectl("get", "namespaces")


def host(tenant: Tenant, *arguments: str) -> str:
    return tenant.vcp.lab.kubectl("-n", tenant.namespace, *arguments)


def kill(tenant: Tenant) -> None:
    """Ends k3s in its container, as running out of memory does."""
    host(tenant, "exec", "deploy/api", "-c", "api", "--", "sh", "-c", "kill -9 $(pidof k3s)")


def restarts(tenant: Tenant) -> list[int]:
    """How often the containers of each API pod were started again; its init containers count, too."""
    pods = [pod for pod in tenant.host_pods("api") if "deletionTimestamp" not in pod["metadata"]]
    kinds = ("initContainerStatuses", "containerStatuses")
    return [sum(one["restartCount"] for kind in kinds for one in pod["status"][kind]) for pod in pods]


def serving(tenant: Tenant, other_than: str = "") -> bool:
    """Whether the API answers, by a pod other than one."""
    uids = [pod["metadata"]["uid"] for pod in tenant.host_pods("api")]
    ready = other_than not in uids and tenant.kubectl("get", "--raw", "/readyz", check=False)
    return bool(ready and ready.returncode == 0)


def said(tenant: Tenant) -> str:
    return host(tenant, "logs", "deploy/api", "-c", "api")


@contextmanager
def asking(tenant: Tenant, folder: Path) -> Iterator[list[str]]:
    """Asks as the administrator by new connections, one after another, until the block ends; yields the HTTP
    codes."""
    entry = yaml.safe_load(tenant.vcp.run("kubeconfig", tenant.name, "--internal").stdout)
    for name in ("client-certificate-data", "client-key-data"):
        (folder / name).write_bytes(base64.b64decode(entry["users"][0]["user"][name]))
    url = f"https://{address(tenant)}/api/v1/namespaces/default"
    command = [
        *("curl", "-ksm10", "-o", "/dev/null", "-w", "%{http_code}"),
        *("--cert", str(folder / "client-certificate-data"), "--key", str(folder / "client-key-data"), url),
    ]
    answers: list[str] = []
    with meanwhile(lambda: answers.append(tenant.vcp.lab.run(*command, check=False).stdout)):
        yield answers


def address(tenant: Tenant) -> str:
    service = tenant.vcp.lab.get("-n", tenant.namespace, "service", "api")
    return str(service["spec"]["clusterIP"])


def served_names(tenant: Tenant) -> set[str]:
    asked = ("openssl", "s_client", "-connect", f"{address(tenant)}:443")
    shown = tenant.vcp.lab.run(*asked, stdin="", check=False).stdout
    pem = re.search(r"-----BEGIN.*?END CERTIFICATE-----\n", shown, re.DOTALL)
    assert pem, shown
    names = x509.load_pem_x509_certificate(pem[0].encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return set(names.value.get_values_for_type(x509.DNSName))


def secret(tenant: Tenant, name: str, key: str) -> str:
    data = tenant.vcp.lab.get("-n", tenant.namespace, "secret", name)["data"]
    return base64.b64decode(data[key]).decode()


def root_ca(tenant: Tenant) -> str:
    """What the tenant's pods trust."""
    return str(tenant.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"])


def shorten(tenant: Tenant, authority: str) -> None:
    """Gives an authority of the tenant a certificate of the same key and name that is about to end."""
    key = serialization.load_pem_private_key(secret(tenant, "pki-ca", f"{authority}.key").encode(), None)
    old = x509.load_pem_x509_certificate(secret(tenant, "pki-ca", f"{authority}.crt").encode())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=300))
        .not_valid_after(now + timedelta(days=20))
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]
    patch = {"data": {f"{authority}.crt": base64.b64encode(pem).decode()}}
    host(tenant, "patch", "secret", "pki-ca", "-p", json.dumps(patch))
