"""Tenants as their users have them: made by the `vcp` command, reached by the kubeconfig that it writes."""

import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.network import FABRIC_CIDR

from ..conftest import ROOT, LabUser

VCP = str(ROOT / ".venv" / "bin" / "vcp")
# `-m k3s` or `-m k8s` selects one. VCP_K3S_IMAGE names a real k3s to run in place of the lab's stand-in.
DISTROS = tuple(pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("k3s", "k8s"))


_WRITES = re.compile(
    r'^vcp_syncer_requests_total\{(.*verb="(?:create|patch|delete).*)\} (\S+)$', re.MULTILINE
)
# Every tier is without these, since tenants share them.
OPEN = ("--set", 'quota."services.nodeports"=300', "--set", 'quota."services.loadbalancers"=20')


class Vcp:
    """The command on a lab, with a kubeconfig of its own that starts as the host admin's."""

    def __init__(self, lab: LabUser, folder: Path) -> None:
        self.lab = lab
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(lab.lab.kubeconfig.read_text())
        self.environment = lab.environment | {"KUBECONFIG": str(self.kubeconfig)}
        if image := os.environ.get("VCP_K3S_IMAGE"):
            config = yaml.safe_load(lab.lab.vcp_config.read_text())
            config["spec"]["images"]["k3s"] = image
            (folder / "vcp.yaml").write_text(yaml.safe_dump(config))
            self.environment["VCP_CONFIG"] = str(folder / "vcp.yaml")

    def command(self, *arguments: str) -> list[str]:
        """The words that run `vcp` inside the lab's network."""
        return ["nsenter", f"--net={self.lab.lab.namespace}", VCP, "--context", "lab", *arguments]

    def run(
        self, *arguments: str, stdin: str | None = None, expect: int = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs `vcp` to its end and checks the exit code."""
        result = subprocess.run(
            self.command(*arguments),
            input=stdin,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        told = f"vcp {' '.join(arguments)} exited with {result.returncode}:\n{result.stdout}{result.stderr}"
        assert result.returncode == expect, told
        assert "Traceback" not in result.stderr, told
        return result

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `vcp` in a process group of its own."""
        # A shell's background job ignores SIGINT and hands that down; a user's terminal does not.
        return subprocess.Popen(
            ["env", "--default-signal=HUP,INT,QUIT,TERM", *self.command(*arguments)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


class Tenant:
    """One tenant cluster."""

    def __init__(self, vcp: Vcp, name: str) -> None:
        self.vcp, self.name = vcp, name
        self.namespace = f"vcp-{name}"
        self.work = f"vcp-{name}-work"
        self.context = f"vcp-{name}"

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """kubectl in the tenant, by the context that `vcp create` wrote."""
        environment = os.environ | self.vcp.environment
        command = [
            "nsenter",
            f"--net={self.vcp.lab.lab.namespace}",
            "kubectl",
            "--context",
            self.context,
            *arguments,
        ]
        result = subprocess.run(
            command, input=stdin, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        if check:
            assert result.returncode == 0, f"kubectl {' '.join(arguments)}:\n{result.stdout}{result.stderr}"
        return result

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", "-o", "json", *arguments).stdout)

    def writes(self) -> dict[str, float]:
        """How often the syncer has written, or tried to, by the labels of its metric: side, verb, resource,
        code."""
        (syncer,) = self.host_pods("syncer")
        url = f"http://{syncer['status']['podIP']}:8080/metrics"
        lab = self.vcp.lab
        text = lab.run(*lab.on(syncer), "curl", "-sm10", url).stdout  # policies let in its own node alone
        return {labels: float(count) for labels, count in _WRITES.findall(text)}

    def host_pods(self, component: str) -> list[dict[str, Any]]:
        """The pods of a component of the control plane."""
        items: list[dict[str, Any]] = self.vcp.lab.get(
            "-n", self.namespace, "pods", "-l", f"vcp.dev/component={component}"
        )["items"]
        return items

    def let_nodes_in(self) -> None:
        """Applies the policy of docs/operations.md for node ports and load balancers: what one node passes
        to a pod on another comes from that node's address."""
        page = (ROOT / "docs" / "operations.md").read_text()
        policy = next(text for text in page.split("```yaml\n") if "name: nodes," in text).partition("```")[0]
        here = policy.replace("vcp-tenant-a-work", self.work).replace("192.168.10.0/24", FABRIC_CIDR)
        self.vcp.lab.kubectl("apply", "-f", "-", stdin=here)


@pytest.fixture
def vcp(lab: LabUser, tmp_path: Path) -> Vcp:
    return Vcp(lab, tmp_path)


def new_name() -> str:
    return f"t-{secrets.token_hex(4)}"


@pytest.fixture
def name(vcp: Vcp) -> Iterator[str]:
    """The name of a tenant that the test will make itself; what is left of it goes afterwards."""
    chosen = new_name()
    yield chosen
    vcp.run("delete", chosen, "--yes", "--ignore-not-found", "--unprotect", "--no-wait")


@pytest.fixture(scope="module", params=DISTROS)
def tenant(
    request: pytest.FixtureRequest, lab: LabUser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenant]:
    """A running throwaway tenant of each distro, shared by the tests of a module."""
    vcp = Vcp(lab, tmp_path_factory.mktemp("vcp"))
    made = Tenant(vcp, new_name())
    vcp.run("create", made.name, "--distro", request.param, "--ephemeral")
    yield made
    vcp.run("delete", made.name, "--yes", "--unprotect")


@pytest.fixture(scope="session")
def shared(lab: LabUser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A running throwaway tenant for tests that leave it as it was, where the distro does not matter."""
    vcp = Vcp(lab, tmp_path_factory.mktemp("shared"))
    made = Tenant(vcp, new_name())
    vcp.run("create", made.name, "--distro", "k8s", "--ephemeral")
    yield made
    vcp.run("delete", made.name, "--yes", "--unprotect")
