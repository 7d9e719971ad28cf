"""One tenant for all tests of workloads, a namespace in it for each, and a look at both sides.

What a pod prints or has in its files is read on the host, from the pod that carries the tenant pod's marks.
"""

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kube.objects import Obj

from ..conftest import DEADLINE, LabUser, eventually
from ..objects import pod
from ..tenants.conftest import OPEN, Tenant, Vcp, new_name


class Place:
    """A namespace in a tenant."""

    def __init__(self, tenant: Tenant, namespace: str) -> None:
        self.tenant, self.namespace = tenant, namespace
        self.lab: LabUser = tenant.vcp.lab
        tenant.kubectl("create", "namespace", namespace)
        self.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """kubectl in the tenant, in this namespace."""
        return self.tenant.kubectl("-n", self.namespace, *arguments, stdin=stdin, check=check)

    def apply(self, *objects: Obj) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", "-o", "json", *arguments).stdout)

    def wait(self, *arguments: str, seconds: float = DEADLINE) -> None:
        self.kubectl("wait", f"--timeout={seconds:.0f}s", *arguments)

    def pod(self, name: str) -> Obj | None:
        found = self.get("pods", "--field-selector", f"metadata.name={name}")["items"]
        return found[0] if found else None

    def on_host(self) -> dict[str, Obj]:
        """The host's pods of this namespace by their names in the tenant."""
        marks = f"vcp.dev/tenant={self.tenant.name},vcp.dev/namespace={self.namespace}"
        found = self.lab.get("-n", self.tenant.work, "pods", "-l", marks)["items"]
        return {pod["metadata"]["annotations"]["vcp.dev/name"]: pod for pod in found}

    def configured(self) -> list[Obj]:
        """The host's ConfigMaps that tell the pods of this namespace of services."""
        marks = f"vcp.dev/tenant={self.tenant.name},vcp.dev/namespace="
        found = self.lab.get("-n", self.tenant.work, "configmaps", "-l", marks)["items"]
        return [one for one in found if one["metadata"]["annotations"]["vcp.dev/name"] == self.namespace]

    def run(self, name: str, *command: str, container: str = "main") -> str:
        """What a command prints inside the pod."""
        place = ("-n", self.tenant.work, self.on_host()[name]["metadata"]["name"], "-c", container)
        return self.lab.kubectl("exec", *place, "--", *command)

    def hostname(self, name: str) -> str:
        """What a pod of `objects.web` says that it is called."""
        found = self.on_host()[name]
        url = f"http://{found['status']['podIP']}:8080/hostname"
        return self.lab.run(*self.lab.on(found), "curl", "-sm5", url).stdout

    def logs(self, name: str) -> str:
        return self.lab.kubectl("-n", self.tenant.work, "logs", self.on_host()[name]["metadata"]["name"])

    def events(self, name: str, reason: str = "") -> list[str]:
        """The messages of the Events on a pod, as the tenant sees them."""
        found = self.get("events", "--field-selector", f"involvedObject.name={name}")["items"]
        return [event["message"] for event in found if reason in ("", event["reason"])]


def job(name: str, *command: str, **spec: Any) -> Obj:
    """A Job of one container."""
    template = {"spec": pod(name, *command, restartPolicy="Never")["spec"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template} | spec,
    }


def uid(pod: Obj | None) -> str:
    return "" if pod is None else str(pod["metadata"]["uid"])


def owner(host: Obj) -> str:
    """The uid of the tenant pod that a host pod stands for."""
    return str(host["metadata"]["annotations"]["vcp.dev/uid"])


def is_ready(pod: Obj | None) -> bool:
    conditions = (pod or {}).get("status", {}).get("conditions", [])
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def until_replaced(place: Place, name: str, before: str) -> Obj:
    """The pod of this name that is ready on both sides and is not the one with the uid `before`."""

    def other() -> Obj | None:
        tenant, host = place.pod(name), place.on_host().get(name)
        settled = uid(tenant) not in ("", before) and host is not None and owner(host) == uid(tenant)
        return tenant if settled and is_ready(tenant) else None

    found: Obj = eventually(f"another pod {name}", other)
    return found


@pytest.fixture(scope="session")
def working(lab: LabUser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A running throwaway tenant."""
    vcp = Vcp(lab, tmp_path_factory.mktemp("workloads"))
    made = Tenant(vcp, new_name())
    vcp.run("create", made.name, "--distro", "k8s", "--ephemeral", *OPEN)
    # Its minute passes while other tests run.
    schedule = {"schedule": "* * * * *", "jobTemplate": {"spec": job("tick", "true")["spec"]}}
    meta = {"name": "tick", "namespace": "default"}
    ticking = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": schedule}
    made.kubectl("apply", "-f", "-", stdin=json.dumps(ticking))
    yield made
    vcp.run("delete", made.name, "--yes", "--unprotect")


@pytest.fixture
def place(working: Tenant) -> Iterator[Place]:
    """A namespace of the test's own."""
    made = Place(working, f"e2e-{secrets.token_hex(4)}")
    yield made
    working.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture
def neighbour(lab: LabUser, tmp_path: Path) -> Iterator[Tenant]:
    """A second tenant, beside the one that all tests share."""
    yield from _beside(lab, tmp_path)


@pytest.fixture
def another(lab: LabUser, tmp_path: Path) -> Iterator[Tenant]:
    """A third tenant."""
    (tmp_path / "another").mkdir()
    yield from _beside(lab, tmp_path / "another")


def _beside(lab: LabUser, folder: Path) -> Iterator[Tenant]:
    vcp = Vcp(lab, folder)
    made = Tenant(vcp, new_name())
    vcp.run("create", made.name, "--distro", "k8s", "--ephemeral", *OPEN)
    yield made
    vcp.run("delete", made.name, "--yes")
