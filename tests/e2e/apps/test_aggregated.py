"""An API server of one's own behind the API server."""

import json

import pytest

from ..conftest import eventually
from .conftest import EVERYWHERE, Stack

GROUP = "greetings.example.com"


@pytest.mark.parametrize("cluster", EVERYWHERE, indirect=True)
@pytest.mark.parametrize("stack", ["aggregated"], indirect=True)
def test_an_aggregated_api_is_served_and_told_who_asks(stack: Stack) -> None:
    stack.rolled_out("deployment/greeter")
    stack.wait("--for=condition=Available", f"apiservice/v1.{GROUP}")
    served = json.loads(stack.kubectl("get", "--raw", f"/apis/{GROUP}/v1").stdout)
    assert [one["name"] for one in served["resources"]] == ["greetings"]
    who = json.loads(stack.kubectl("auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]["username"]
    # The document that lists all APIs is brought up to date a moment after the condition.
    kinds = ("api-resources", f"--api-group={GROUP}", "-o", "name")
    eventually("discovery", lambda: stack.kubectl(*kinds, check=False).stdout)
    assert stack.get("greetings", "hello")["text"] == f"Hello {who}"
    assert [one["metadata"]["namespace"] for one in stack.get("greetings")["items"]] == [stack.namespace]
    # A caller who only claims to be somebody is nobody.
    refused = stack.kubectl("get", "--raw", f"{proxied(stack)}/apis/{GROUP}/v1", check=False)
    assert "Unauthorized" in refused.stderr, refused


def proxied(stack: Stack) -> str:
    return f"/api/v1/namespaces/{stack.namespace}/services/https:greeter:443/proxy"
