"""A tenant from its first second to its last: ready, persistent, resumable after a crash, gone without a
trace.
"""

import os
import signal
import time

import pytest

from ..conftest import LabUser, eventually
from .conftest import DISTROS, Tenant, Vcp, new_name
from .seen import traces

# Steps of `vcp create`, as it names them; a crash after each of them is survived.
STEPS = (
    *("namespaces", "record", "foundation", "address", "secrets", "etcd and API", "API"),
    *("syncer and DNS", "tenant", "isolation", "controllers", "control plane"),
)


@pytest.mark.parametrize("distro", DISTROS)
def test_a_tenant_is_usable_by_the_written_kubeconfig(vcp: Vcp, name: str, distro: str) -> None:
    tenant = Tenant(vcp, name)
    start = time.monotonic()
    vcp.run("create", name, "--distro", distro)
    namespaces = tenant.kubectl("get", "namespaces", "-o", "name").stdout.split()
    print(f"\n{distro}: create to `kubectl get ns` in {time.monotonic() - start:.1f} s")
    assert set(namespaces) == {
        f"namespace/{n}" for n in ("default", "kube-node-lease", "kube-public", "kube-system")
    }
    # What an API server writes after it has begun to answer.
    tenant.kubectl("get", "clusterroles", "cluster-admin", "admin", "edit", "view", "system:discovery")
    tenant.kubectl("get", "priorityclasses", "system-cluster-critical", "system-node-critical")
    assert oct(vcp.kubeconfig.stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("distro", DISTROS)
def test_data_survives_the_loss_of_every_pod(vcp: Vcp, name: str, distro: str) -> None:
    tenant = Tenant(vcp, name)
    vcp.run("create", name, "--distro", distro)
    tenant.kubectl("create", "configmap", "kept", "--from-literal=word=still here")
    tenant.kubectl("create", "secret", "generic", "hidden", "--from-literal=word=still secret")
    before = uids(tenant)
    vcp.lab.kubectl("-n", tenant.namespace, "delete", "pods", "--all", "--grace-period=0", "--force")
    eventually("new pods", lambda: before.isdisjoint(uids(tenant)))
    vcp.run("create", name)  # waits until it is ready again
    assert tenant.get("configmap", "kept")["data"] == {"word": "still here"}
    assert (
        tenant.kubectl("get", "secret", "hidden", "-o", "jsonpath={.data.word}").stdout == "c3RpbGwgc2VjcmV0"
    )


@pytest.mark.parametrize("distro", DISTROS)
def test_no_acknowledged_write_is_lost_with_a_member_or_a_server(vcp: Vcp, name: str, distro: str) -> None:
    tenant = Tenant(vcp, name)
    vcp.run("create", name, "--distro", distro, "--replicas", "2", "--etcd-replicas", "3")
    assert len(tenant.host_pods("etcd")) == 3
    assert len(tenant.host_pods("api")) == 2
    acknowledged: list[str] = []

    def write(count: int) -> None:
        """Writes objects one by one; a refused write may be tried again, an acknowledged one must stay."""
        for _ in range(count):
            one = f"write-{len(acknowledged)}"
            eventually(one, lambda one=one: created(tenant, one))
            acknowledged.append(one)

    write(5)
    for component in ("etcd", "api", "etcd"):
        victim = tenant.host_pods(component)[0]["metadata"]["name"]
        vcp.lab.kubectl("-n", tenant.namespace, "delete", "pod", victim, "--grace-period=0", "--force")
        write(10)
        vcp.run("create", name)  # waits until all are ready again: one loss at a time
    stored = {item["metadata"]["name"] for item in tenant.get("configmaps")["items"]}
    assert set(acknowledged) <= stored


@pytest.mark.parametrize("distro", DISTROS)
def test_a_create_that_died_at_any_step_is_continued(vcp: Vcp, name: str, distro: str) -> None:
    for step in STEPS:
        _killed_after(step, vcp, "create", name, "--ephemeral", "--distro", distro)
    vcp.run("create", name)
    assert Tenant(vcp, name).kubectl("get", "namespace", "default").returncode == 0


def test_a_create_that_died_is_deleted_without_a_trace(vcp: Vcp, name: str) -> None:
    for step in ("record", "etcd and API"):
        _killed_after(step, vcp, "create", name)
        vcp.run("delete", name, "--yes")
        gone(vcp.lab, name)


def _killed_after(step: str, vcp: Vcp, *command: str) -> None:
    with vcp.start(*command) as process:
        assert process.stderr is not None
        seen = any(line.startswith(f"{step}: ") for line in process.stderr)
        assert seen, f"{command[0]} never named the step {step!r}"
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("distro", DISTROS)
def test_delete_leaves_nothing(vcp: Vcp, name: str, distro: str) -> None:
    kubeconfig = vcp.kubeconfig.read_text()
    vcp.run("create", name, "--distro", distro)
    assert traces(vcp.lab, name)
    start = time.monotonic()
    vcp.run("delete", name, "--yes")
    print(f"\ndeleted in {time.monotonic() - start:.1f} s")
    gone(vcp.lab, name)
    assert name not in vcp.kubeconfig.read_text()
    assert kubeconfig.count("name: lab") == vcp.kubeconfig.read_text().count("name: lab")


def test_five_at_once_become_ready(vcp: Vcp) -> None:
    names = [new_name() for _ in range(5)]
    start = time.monotonic()
    running = [
        vcp.start("create", one, "--ephemeral", "--distro", ("k3s", "k8s")[i % 2])
        for i, one in enumerate(names)
    ]
    try:
        for one, process in zip(names, running, strict=True):
            _, errors = process.communicate(timeout=180)
            assert process.returncode == 0, f"{one}: {errors}"
        print(f"\nfive tenants in {time.monotonic() - start:.1f} s")
        listed = vcp.run("list", "-o", "name").stdout.split()
        assert set(names) <= set(listed)
        for one in names:
            Tenant(vcp, one).kubectl("get", "namespace", "default")
    finally:
        vcp.run("delete", *names, "--yes", "--ignore-not-found")


def uids(tenant: Tenant) -> set[str]:
    return {one["metadata"]["uid"] for part in ("api", "etcd") for one in tenant.host_pods(part)}


def created(tenant: Tenant, name: str) -> bool:
    """Whether a write was acknowledged, now or in an earlier try whose answer was lost."""
    result = tenant.kubectl("create", "configmap", name, "--request-timeout=5s", check=False)
    return result.returncode == 0 or "already exists" in result.stderr


def gone(lab: LabUser, name: str) -> None:
    """Waits until nothing on the host names the tenant: a volume goes some seconds behind its claim."""
    left: set[str] = set()

    def none() -> bool:
        nonlocal left
        left = traces(lab, name)
        return not left

    try:
        eventually("no trace of it", none, seconds=30)
    except AssertionError:
        pytest.fail(f"left behind: {sorted(left)}")
