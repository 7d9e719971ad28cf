"""What pods are called, which nodes the tenant sees, and which accounts its pods run as on the host."""

from collections.abc import Iterator

import pytest

from ..conftest import LabUser, eventually
from ..objects import pod
from ..tenants.conftest import Tenant, Vcp, new_name
from .conftest import Place


def test_a_pod_with_a_subdomain_knows_its_full_name(place: Place) -> None:
    place.apply(pod("web-0", hostname="web-0", subdomain="nginx"), pod("bare"))
    place.wait("--for=condition=Ready", "pod/web-0", "pod/bare")
    full = f"web-0.nginx.{place.namespace}.svc.cluster.local"
    assert place.run("web-0", "hostname", "-f").strip() == full
    assert place.run("web-0", "hostname").strip() == "web-0"
    assert place.run("bare", "hostname", "-f").strip() == "bare"
    address = place.get("pod", "web-0")["status"]["podIP"]
    assert place.run("web-0", "hostname", "-i").split() == [address]
    seen = place.get("pod", "web-0")
    assert "initContainerStatuses" not in seen["status"], "the container that writes the name stays hidden"


@pytest.fixture(scope="module")
def real(lab: LabUser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A tenant that sees the host's own nodes and whose accounts are on the host."""
    vcp = Vcp(lab, tmp_path_factory.mktemp("real"))
    name = new_name()
    sync = {"sync.nodes.mode": "real", "sync.serviceAccounts.enabled": "true"}
    sync["sync.serviceAccounts.annotations"] = "[cloud.example/role]"
    options = [word for key, value in sync.items() for word in ("--set", f"{key}={value}")]
    vcp.run("create", name, "--distro", "k8s", "--ephemeral", *options)
    yield Tenant(vcp, name)
    vcp.run("delete", name, "--yes")


@pytest.mark.alone
def test_a_tenant_may_see_the_hosts_own_nodes(lab: LabUser, real: Tenant) -> None:
    hosts = {node["metadata"]["name"]: node for node in lab.get("nodes")["items"]}
    eventually("all nodes", lambda: len(real.get("nodes")["items"]) == len(hosts))
    for node in real.get("nodes")["items"]:
        host = hosts[node["metadata"]["name"]]
        for field in ("capacity", "allocatable"):
            assert node["status"][field] == host["status"][field]
        assert node["metadata"]["labels"].items() >= host["metadata"]["labels"].items()
        assert node["status"]["nodeInfo"]["kubeletVersion"] == host["status"]["nodeInfo"]["kubeletVersion"]
        names = {one["type"]: one["address"] for one in node["status"]["addresses"]}
        assert names["InternalDNS"] == f"kubelet.{real.namespace}.svc"
    role = f"vcp-{real.name}-syncer"
    (rule,) = lab.get("clusterrole", role)["rules"]
    assert rule == {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}
    one = next(iter(hosts))
    try:
        lab.kubectl("cordon", one)
        eventually("the cordon shows", lambda: real.get("node", one)["spec"].get("unschedulable") is True)
    finally:
        lab.kubectl("uncordon", one)


@pytest.mark.alone
def test_a_pod_runs_as_its_own_account_on_the_host_too(real: Tenant) -> None:
    place = Place(real, "accounts")
    annotations = {"cloud.example/role": "uploader", "cloud.example/other": "stays"}
    meta = {"name": "uploader", "annotations": annotations}
    place.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    place.apply(pod("upload", serviceAccountName="uploader"), pod("plain"))
    place.wait("--for=condition=Ready", "pod/upload", "pod/plain")
    on_host = place.on_host()
    account = on_host["upload"]["spec"]["serviceAccountName"]
    assert account != on_host["plain"]["spec"]["serviceAccountName"]
    found = place.lab.get("-n", real.work, "serviceaccount", account)
    assert found["metadata"]["annotations"]["cloud.example/role"] == "uploader"
    assert "cloud.example/other" not in found["metadata"]["annotations"]
    assert found["automountServiceAccountToken"] is False
    token = place.run("upload", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    assert place.kubectl("auth", "whoami", "--token", token).returncode == 0  # the tenant's, as before
    tried = ("auth", "can-i", "--list", f"--as=system:serviceaccount:{real.work}:{account}", "-n", real.work)
    rights = place.lab.kubectl(*tried)
    assert "pods" not in rights
    place.kubectl("annotate", "serviceaccount", "uploader", "cloud.example/role=reader", "--overwrite")

    def role() -> str | None:
        now = place.lab.get("-n", real.work, "serviceaccount", account)
        return now["metadata"]["annotations"].get("cloud.example/role")

    eventually("the other role", lambda: role() == "reader")
    place.kubectl("delete", "pod", "upload", "plain")
    listed = ("-n", real.work, "serviceaccounts", "-l", f"vcp.dev/namespace={place.namespace}")
    eventually("no account without a pod", lambda: not place.lab.get(*listed)["items"])
