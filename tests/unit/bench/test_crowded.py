"""The bench's tenants are the default ones, but for the CPU that they request."""

from benchkit import crowded, pods
from kube import quantities
from syncer.kinds.pods import placement
from vcp.spec import load
from vcp.spec.model import ComponentResources


def test_a_quarter_of_the_cpu_and_all_else_as_by_default() -> None:
    resources = crowded.spec()["resources"]
    assert resources["api"]["requests"] == {"cpu": "25m", "memory": "256Mi"}
    assert resources["controllerManager"]["limits"] == dict(ComponentResources().controller_manager.limits)


def test_twenty_fit_a_node_of_two_cpus() -> None:
    resources = crowded.spec()["resources"].values()
    assert 20 * sum(quantities.nanos(one["requests"]["cpu"]) for one in resources) < 2 * quantities.NANO


def test_pods_for_the_fake_nodes_get_there() -> None:
    spec = load({"name": "a", **crowded.spec()})
    wanted = pods.fake()["spec"]
    assert placement.tolerations(wanted, spec.sync.pods) == wanted["tolerations"]
