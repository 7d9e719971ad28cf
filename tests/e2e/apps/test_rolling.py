"""A Deployment with a disruption budget that is updated and evicted under load."""

import json
from typing import Any

import pytest

from ..conftest import eventually
from ..workloads.conftest import is_ready
from .conftest import Stack, answer


@pytest.mark.parametrize("stack", ["rolling"], indirect=True)
def test_updates_and_evictions_lose_no_request(stack: Stack) -> None:
    def told() -> dict[str, Any]:
        return answer(stack, "services/load:80/proxy/")

    def answered(version: str) -> int:
        return int(told().get("answers", {}).get(version, 0))

    stack.rolled_out("deployment/web", "deployment/load")
    eventually("load", lambda: answered("1") > 50)
    stack.kubectl("set", "env", "deployment/web", "VERSION=2")
    stack.rolled_out("deployment/web")
    eventually("answers of the new version", lambda: answered("2") > 50)

    def left() -> list[str]:
        """The names of the ready pods, once the old ones are gone."""
        pods = stack.get("pods", "-l", "app=web")["items"]
        return (
            [one["metadata"]["name"] for one in pods] if len(pods) == 3 and all(map(is_ready, pods)) else []
        )

    first, second, _ = eventually("the new pods alone", left)
    assert evict(stack, first) == ""
    assert "violate the pod's disruption budget" in evict(stack, second)
    eventually("another one in its place", lambda: (names := left()) and first not in names)
    assert told()["failures"] == []
    assert sum(told()["answers"].values()) > 300


def evict(stack: Stack, pod: str) -> str:
    """Asks for an eviction; the reason when it is refused."""
    metadata = {"name": pod, "namespace": stack.namespace}
    body = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})
    path = f"/api/v1/namespaces/{stack.namespace}/pods/{pod}/eviction"
    return stack.kubectl("create", "--raw", path, "-f", "-", stdin=body, check=False).stderr
