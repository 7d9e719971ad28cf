"""What pods are called, and which nodes the tenant sees."""

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
    """A tenant that sees the host's own nodes."""
    vcp = Vcp(lab, tmp_path_factory.mktemp("real"))
    name = new_name()
    vcp.run("create", name, "--distro", "k8s", "--ephemeral", "--set", "sync.nodes.mode=real")
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
