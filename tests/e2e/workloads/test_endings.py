"""How pods become ready, end, and are replaced, whoever ends them."""

import json
import time

import pytest

from ..conftest import eventually
from ..objects import deployment, pod, web
from .conftest import Place, is_ready, owner, uid, until_replaced

GATE = "example.com/gate"
SLOW = ("sh", "-c", 'trap "sleep 2; exit 0" TERM; while :; do sleep 0.1; done')


def test_a_readiness_gate_is_opened_by_the_tenant(place: Place) -> None:
    place.apply(web("gated", readinessGates=[{"conditionType": GATE}]))

    def containers_ready() -> bool:
        conditions = (place.pod("gated") or {}).get("status", {}).get("conditions", [])
        return any((one["type"], one["status"]) == ("ContainersReady", "True") for one in conditions)

    eventually("ready containers", containers_ready)
    assert not is_ready(place.pod("gated"))
    opened = {"status": {"conditions": [{"type": GATE, "status": "True"}]}}
    place.kubectl("patch", "pod", "gated", "--subresource=status", "-p", json.dumps(opened))
    place.wait("--for=condition=Ready", "pod/gated")
    kept = {one["type"]: one["status"] for one in (place.pod("gated") or {})["status"]["conditions"]}
    assert kept[GATE] == "True"
    assert is_ready(place.on_host()["gated"])


def test_a_pod_gets_its_grace_period_on_the_host(place: Place) -> None:
    place.apply(pod("slow", *SLOW, terminationGracePeriodSeconds=20))
    place.wait("--for=condition=Ready", "pod/slow")
    start = time.monotonic()
    place.kubectl("delete", "pod", "slow", "--wait=false")
    going = eventually("the end to begin on the host", lambda: ends(place, "slow"))
    assert going["deletionGracePeriodSeconds"] == 20
    assert place.pod("slow"), "gone from the tenant before it was gone from the host"
    eventually("no pod in the tenant", lambda: place.pod("slow") is None)
    assert 1.5 < time.monotonic() - start < 15, "not the two seconds that it took to end"
    eventually("no pod on the host", lambda: not place.on_host())


def test_a_forced_deletion_waits_for_nobody(place: Place) -> None:
    place.apply(pod("stuck", "sh", "-c", 'trap "" TERM; sleep infinity', terminationGracePeriodSeconds=60))
    place.wait("--for=condition=Ready", "pod/stuck")
    place.kubectl("delete", "pod", "stuck", "--grace-period=0", "--force")
    assert place.pod("stuck") is None
    eventually("no pod on the host", lambda: not place.on_host(), seconds=20)


def test_a_name_can_be_used_again_at_once(place: Place) -> None:
    place.apply(pod("again"))
    place.wait("--for=condition=Ready", "pod/again")
    before = uid(place.pod("again"))
    place.kubectl("delete", "pod", "again", "--grace-period=0", "--force")
    place.apply(pod("again"))
    until_replaced(place, "again", before)
    assert len(place.on_host()) == 1


def test_an_eviction_in_the_tenant_ends_the_pod_and_it_is_replaced(place: Place) -> None:
    place.apply(deployment(web("web")))
    place.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    (name,) = place.on_host()
    evict(place.tenant, place.namespace, name)
    eventually("another pod, ready", lambda: replaced(place, {name}, 1))


def test_an_eviction_on_the_host_ends_the_pod_in_the_tenant_too(place: Place) -> None:
    place.apply(deployment(web("web")))
    place.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    ((name, host),) = place.on_host().items()
    evict(place.lab, place.tenant.work, host["metadata"]["name"])
    eventually("another pod, ready", lambda: replaced(place, {name}, 1))
    assert place.pod(name) is None


@pytest.mark.alone
def test_a_drain_on_the_host_moves_the_pods_to_another_node(place: Place) -> None:
    if len(place.lab.lab.nodes()) < 2:
        pytest.skip("needs two nodes")
    place.apply(deployment(web("web"), replicas=3))
    place.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    before = place.on_host()
    node = next(iter(before.values()))["spec"]["nodeName"]
    moved = {name for name, host in before.items() if host["spec"]["nodeName"] == node}
    # Only this test's pods: the other ones on the node, and the tenant's control plane, stay.
    marks = f"vcp.dev/tenant={place.tenant.name},vcp.dev/namespace={place.namespace}"
    try:
        options = ("--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s")
        place.lab.kubectl("drain", node, f"--pod-selector={marks}", *options)
        eventually("three pods, ready, elsewhere", lambda: replaced(place, moved, 3))
        assert node not in {host["spec"]["nodeName"] for host in place.on_host().values()}
    finally:
        place.lab.kubectl("uncordon", node)


def ends(place: Place, name: str) -> dict[str, object] | None:
    """The metadata of the host pod if it is being deleted."""
    host = place.on_host().get(name)
    return host["metadata"] if host and "deletionTimestamp" in host["metadata"] else None


def replaced(place: Place, gone: set[str], count: int) -> bool:
    """Whether `count` pods are ready, the same ones on both sides, none of them among `gone`."""
    tenant = {pod["metadata"]["name"]: pod for pod in place.get("pods")["items"]}
    host = place.on_host()
    return (
        tenant.keys() == host.keys()
        and len(tenant) == count
        and gone.isdisjoint(tenant)
        and all(is_ready(pod) for pod in tenant.values())
        and all(owner(host[name]) == uid(tenant[name]) for name in tenant)
    )


def evict(cluster: object, namespace: str, name: str) -> None:
    """By the API that drains use. `cluster` is the lab or a tenant."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))  # type: ignore[attr-defined]
