"""One tenant's objects may not cost the host more than they are worth."""

from ..conftest import eventually
from ..objects import pod
from ..workloads.conftest import Place


def test_variables_that_double_never_reach_a_kubelet(place: Place) -> None:
    """A pod of some kilobytes would fill the memory of the node."""
    env = [{"name": "V0", "value": "x" * 64}]
    env += [{"name": f"V{number}", "value": f"$(V{number - 1})" * 2} for number in range(1, 40)]
    bomb = pod("bomb", "true")
    bomb["spec"]["containers"][0]["env"] = env
    just = pod("just", "sh", "-c", "echo ${#V10}; sleep 3600")
    just["spec"]["containers"][0]["env"] = env[:11]
    place.apply(bomb, just)
    (message,) = eventually("an Event", lambda: place.events("bomb", "Refused"))
    assert "expands to 131076 bytes; at most 131071" in message
    place.wait("--for=condition=Ready", "pod/just")
    eventually("its output", lambda: place.logs("just").strip() == "65536")
    assert list(place.on_host()) == ["just"]


def test_a_pod_of_too_many_parts_says_the_number_and_the_limit(place: Place) -> None:
    crowd = pod("crowd", "true")
    first = crowd["spec"]["containers"][0]
    crowd["spec"]["containers"] = [first | {"name": f"c{number}"} for number in range(65)]
    place.apply(crowd)
    (message,) = eventually("an Event", lambda: place.events("crowd", "Refused"))
    assert "65 containers; at most 64 (allowed by sync.pods.limits.containers" in message
    conditions = place.get("pod", "crowd")["status"]["conditions"]
    assert "65 containers; at most 64" in conditions[0]["message"]
    assert place.on_host() == {}
