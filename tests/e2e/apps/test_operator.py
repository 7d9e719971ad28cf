"""An operator: a custom resource in two versions, and webhooks that convert, validate and mutate it."""

import json
from pathlib import Path
from typing import Any

import pytest

from ..conftest import eventually
from .conftest import EVERYWHERE, Stack, answer

SAMPLES = Path(__file__).parent / "operator" / "samples"
GROUP = "stack.example.com"


@pytest.mark.parametrize("cluster", EVERYWHERE, indirect=True)
@pytest.mark.parametrize("stack", ["operator"], indirect=True)
def test_an_operator_makes_what_its_custom_resources_ask_for(stack: Stack) -> None:
    def sample(name: str, *options: str, check: bool = True) -> str:
        return stack.kubectl("apply", "-f", str(SAMPLES / f"{name}.yaml"), *options, check=check).stderr

    def spec(version: str) -> Any:
        return stack.get(f"sites.{version}.{GROUP}", "hello")["spec"]

    def page() -> str:
        return stack.raw("services/site-hello:80/proxy/")

    stack.wait("--for=condition=Complete", "job/certificates")
    stack.rolled_out("deployment/operator")
    eventually("trust", lambda: "x509" not in sample("old", "--dry-run=server", check=False))

    sample("old")
    assert spec("v1alpha1") == {"replicas": 2, "message": "Hello from an older client"}
    assert spec("v1") == {"size": 2, "page": {"text": "Hello from an older client"}}
    who = json.loads(stack.kubectl("auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]["username"]
    assert stack.get("sites", "hello")["metadata"]["annotations"][f"{GROUP}/by"] == who
    stack.wait("--for=jsonpath={.status.ready}=2", "site/hello")
    assert page() == "Hello from an older client"

    refused = sample("refused", check=False)
    assert 'webhook "validate.sites.stack.example.com" denied the request' in refused
    assert "a site of 9 is not within 1 and 3" in refused
    sample("new")
    assert spec("v1alpha1") == {"replicas": 1, "message": "Hello from a newer client"}
    eventually("the new page alone", lambda: page() == "Hello from a newer client" and pods(stack) == 1)

    counts = answer(stack, "services/https:operator:443/proxy/counts")
    assert min(counts[hook] for hook in ("convert", "validate", "mutate")) > 0, counts


def pods(stack: Stack) -> int:
    return len(stack.get("pods", "-l", "site=hello")["items"])
