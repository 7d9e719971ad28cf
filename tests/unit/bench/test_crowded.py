"""The bench's tenants are the default ones, but for the CPU that they request."""

from benchkit import crowded
from kube import quantities
from vcp.spec.model import ComponentResources


def test_a_quarter_of_the_cpu_and_all_else_as_by_default() -> None:
    resources = crowded.spec()["resources"]
    assert resources["api"]["requests"] == {"cpu": "25m", "memory": "256Mi"}
    assert resources["controllerManager"]["limits"] == dict(ComponentResources().controller_manager.limits)


def test_twenty_fit_a_node_of_two_cpus() -> None:
    resources = crowded.spec()["resources"].values()
    assert 20 * sum(quantities.nanos(one["requests"]["cpu"]) for one in resources) < 2 * quantities.NANO
