"""A StatefulSet whose members find each other by DNS and elect a leader."""

from collections.abc import Iterable
from typing import Any

import pytest

from ..conftest import eventually
from ..workloads.conftest import uid
from .conftest import Stack, answer

MEMBERS = [f"members-{number}" for number in range(3)]


def agreed(stack: Stack, names: Iterable[str]) -> list[dict[str, Any]]:
    """What each of the members says, if they follow the same leader in the same term."""
    told = [answer(stack, f"pods/{name}:8080/proxy/") for name in names]
    heads = {(one.get("term"), one.get("leader", "")) for one in told}
    return told if len(heads) == 1 and heads.pop()[1] else []


@pytest.mark.parametrize("stack", ["members"], indirect=True)
def test_members_find_each_other_and_elect_again_when_their_leader_goes(stack: Stack) -> None:
    stack.rolled_out("statefulset/members")
    first = eventually("a leader of all", lambda: agreed(stack, MEMBERS))
    pods = {one["metadata"]["name"]: one for one in stack.get("pods")["items"]}
    for one in first:
        assert one["full"] == f"{one['name']}.members.{stack.namespace}.svc.cluster.local"
        assert one["addresses"] == sorted(pods[name]["status"]["podIP"] for name in MEMBERS)
    gone = first[0]["leader"]
    assert gone in MEMBERS
    stack.kubectl("delete", "pod", gone, "--wait=false")
    others = [name for name in MEMBERS if name != gone]

    def elected() -> list[dict[str, Any]]:
        told = agreed(stack, others)
        return told if told and told[0]["leader"] != gone else []

    second = eventually("another leader", elected)
    assert second[0]["term"] > first[0]["term"]
    assert second[0]["leader"] in others

    def rejoined() -> bool:
        pod = stack.get("pods", "--field-selector", f"metadata.name={gone}")["items"]
        return pod != [] and uid(pod[0]) != uid(pods[gone]) and bool(agreed(stack, MEMBERS))

    eventually("the lost one follows", rejoined)
