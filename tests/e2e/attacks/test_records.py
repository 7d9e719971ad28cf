"""What a host user with rights in one namespace alone writes there, for an administrator to run into."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import LabUser
from ..tenants.conftest import Tenant, Vcp, new_name

PAST = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def victim(lab: LabUser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    made = Tenant(Vcp(lab, tmp_path_factory.mktemp("victim")), new_name())
    made.vcp.run(
        "create", made.name, "--distro", "k8s", "--ephemeral", "--no-wait", "--set", "protected=true"
    )
    yield made
    made.vcp.run("delete", made.name, "--yes", "--unprotect", "--no-wait")


@pytest.fixture
def mallory(lab: LabUser, namespace: str) -> LabUser:
    """A user who may do everything in a namespace of their own, and nothing elsewhere."""
    grant = ("--clusterrole=admin", "--user=mallory")
    lab.kubectl("-n", namespace, "create", "rolebinding", "mallory", *grant)
    return lab


def planted(lab: LabUser, namespace: str, name: str, labels: dict[str, str], **data: Any) -> None:
    """A Secret by the user's own rights."""
    meta = {"name": name, "labels": labels, "annotations": {"vcp.dev/expires-at": PAST}}
    content = {key: base64.b64encode(json.dumps(value).encode()).decode() for key, value in data.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": content}
    lab.kubectl("-n", namespace, "create", "-f", "-", "--as", "mallory", stdin=json.dumps(secret))


def forged(lab: LabUser, namespace: str, tenant: str, work: str) -> None:
    """An expired record that names another's namespace."""
    spec = {"name": tenant, "namespace": namespace, "workloadNamespace": work, "distro": "k8s"}
    labels = {"app.kubernetes.io/part-of": "vcp", "vcp.dev/tenant": tenant}
    planted(lab, namespace, "control-plane", labels, **{"spec.json": spec})


@pytest.mark.parametrize("as_another", [False, True])
def test_a_forged_record_ends_nobody(
    victim: Tenant, mallory: LabUser, namespace: str, as_another: bool
) -> None:
    tenant = new_name() if as_another else victim.name
    forged(mallory, namespace, tenant, victim.work)
    try:
        said = victim.vcp.run("reap", "--no-wait", expect=6).stderr
        assert f"namespace {victim.work} is of tenant '{victim.name}'" in said
        victim.vcp.run("delete", tenant, "-n", namespace, "--yes", "--unprotect", "--no-wait", expect=4)
        for own in (victim.namespace, victim.work):
            found = mallory.get("namespace", own)
            assert found["status"]["phase"] == "Active"
    finally:
        mallory.kubectl("-n", namespace, "delete", "secret", "control-plane")


def test_of_two_tenants_of_one_name_neither_is_taken_for_the_other(
    victim: Tenant, mallory: LabUser, namespace: str
) -> None:
    forged(mallory, namespace, victim.name, f"{namespace}-work")
    try:
        for command in (("status",), ("delete", "--yes"), ("connect", "--print"), ("kubeconfig",)):
            said = victim.vcp.run(command[0], victim.name, *command[1:], expect=4).stderr
            assert f"there are 2 tenants '{victim.name}', in the namespaces" in said
            assert namespace in said
    finally:
        mallory.kubectl("-n", namespace, "delete", "secret", "control-plane")


def test_a_planted_kubeconfig_runs_nothing(
    vcp: Vcp, mallory: LabUser, namespace: str, tmp_path: Path
) -> None:
    name, mark = new_name(), tmp_path / "was-run"
    forged(mallory, namespace, name, namespace)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(mark)]}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "a", "cluster": {"server": "https://192.0.2.1"}}],
        "users": [{"name": "a", "user": {"exec": plugin | {"interactiveMode": "Never"}}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    planted(mallory, namespace, "kubeconfig", {"vcp.dev/tenant": name}, kubeconfig=config)
    try:
        for command in (("connect", name, "--", "kubectl", "get", "ns"), ("kubeconfig", name)):
            told = vcp.run(command[0], *command[1:2], "-n", namespace, *command[2:], expect=4)
            assert "the published kubeconfig holds exec: it was not written by vcp" in told.stderr
            assert told.stdout == ""
        assert not mark.exists()
    finally:
        mallory.kubectl("-n", namespace, "delete", "secret", "control-plane", "kubeconfig")
