"""A job that builds an image, pushes it to a registry in the same cluster, and has it run."""

import hashlib

import pytest

from ..conftest import eventually
from .conftest import Stack


@pytest.mark.parametrize("stack", ["pipeline"], indirect=True)
def test_an_image_is_built_pushed_and_run(stack: Stack) -> None:
    stack.wait("--for=condition=Complete", "job/pipeline")
    stack.rolled_out("deployment/hello")
    (pod,) = stack.get("pods", "-l", "app=hello")["items"]
    manifest = stack.raw("services/registry:5000/proxy/v2/hello/manifests/1")
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    assert pod["status"]["containerStatuses"][0]["imageID"] == f"registry.lab/hello@sha256:{digest}"
    said = "built, pushed and run in one cluster\n"
    eventually("its words", lambda: stack.kubectl("logs", "deployment/hello").stdout == said)
