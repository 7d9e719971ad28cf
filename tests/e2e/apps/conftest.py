"""Stacks as users bring them: a folder of manifests each, put with `kubectl apply -k` into a namespace of the
bare host and into one of a tenant. What differs is where kubectl points to, and nothing else.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit import images

from ..conftest import DEADLINE, LabUser
from ..tenants.conftest import DISTROS, OPEN, Tenant, Vcp, new_name

Run = Callable[..., subprocess.CompletedProcess[str]]

# The names in the manifests, and what the lab has in their place: it reaches no registry.
IMAGES = {
    "python": images.SYNCER,
    "debian": images.TOOLS,
    "kubectl": images.KUBE,
    "crane": images.CRANE,
}

# For stacks that extend the API server: each distro has its own way to start one.
EVERYWHERE = ("host", *DISTROS)


class Stack:
    """The manifests of one folder in one namespace of one cluster."""

    def __init__(self, run: Run, name: str, overlay: Path) -> None:
        self._run, self.name, self.overlay = run, name, overlay
        self.namespace = f"e2e-{secrets.token_hex(4)}"
        base = Path(__file__).parent / name
        overlaid = {
            "namespace": self.namespace,
            "resources": [os.path.relpath(base, overlay)],
            "images": [
                {"name": name, "newName": reference.partition(":")[0], "newTag": reference.partition(":")[2]}
                for name, reference in IMAGES.items()
            ],
        }
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(overlaid))

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return self._run("-n", self.namespace, *arguments, stdin=stdin, check=check)

    def apply(self) -> None:
        self.kubectl("create", "namespace", self.namespace)
        self.kubectl("apply", "-k", str(self.overlay))

    def remove(self) -> None:
        self.kubectl("delete", "-k", str(self.overlay), "--wait=false", "--ignore-not-found")
        self.kubectl("delete", "namespace", self.namespace, "--wait=false", "--ignore-not-found")

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", "-o", "json", *arguments).stdout)

    def wait(self, *arguments: str) -> None:
        self.kubectl("wait", f"--timeout={DEADLINE:.0f}s", *arguments)

    def rolled_out(self, *names: str) -> None:
        for name in names:
            self.kubectl("rollout", "status", name, f"--timeout={DEADLINE:.0f}s")

    def raw(self, path: str) -> str:
        """What the API server answers below this namespace; empty while there is no answer."""
        return self.kubectl("get", "--raw", f"/api/v1/namespaces/{self.namespace}/{path}", check=False).stdout


def answer(stack: Stack, path: str) -> dict[str, Any]:
    """The JSON that one of its Services or pods answers through the API server; empty while there is none."""
    text = stack.raw(path)
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


@pytest.fixture(scope="session")
def tenants(lab: LabUser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Tenant]]:
    """A running throwaway tenant of a distro, made when it is first asked for."""
    made: dict[str, Tenant] = {}

    def tenant(distro: str) -> Tenant:
        if distro not in made:
            made[distro] = one = Tenant(Vcp(lab, tmp_path_factory.mktemp(distro)), new_name())
            one.vcp.run("create", one.name, "--distro", distro, "--ephemeral", *OPEN)
            one.let_nodes_in()
        return made[distro]

    yield tenant
    for one in made.values():
        one.vcp.run("delete", one.name, "--yes", "--unprotect")


@pytest.fixture(params=["host", DISTROS[0]])
def cluster(request: pytest.FixtureRequest, lab: LabUser, tenants: Callable[[str], Tenant]) -> Run:
    """kubectl on the bare host, or in a tenant."""
    distro: str = request.param
    if distro != "host":
        return tenants(distro).kubectl

    def run(
        *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return lab.run("kubectl", *arguments, stdin=stdin, check=check)

    return run


@pytest.fixture
def stack(request: pytest.FixtureRequest, cluster: Run, tmp_path: Path) -> Iterator[Stack]:
    """The stack in the folder that the test names, applied."""
    made = Stack(cluster, request.param, tmp_path)
    try:
        made.apply()
        yield made
    finally:
        made.remove()
