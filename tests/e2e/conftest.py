"""The lab as the tests see it: kubectl inside its network namespace, waits with deadlines, evidence on
failure.

The suite expects the lab to be up (`hack/lab up`, which `make test` runs first). VCP_LAB chooses which.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from labkit.cluster import Cluster
from labkit.lab import DEFAULT_NAME, Lab

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
SOAK = bool(os.environ.get("VCP_SOAK"))  # `make soak`: the long form of tests that gain from length
DEADLINE = 60.0  # seconds; nothing on a quiet lab takes a tenth of it


def hack_lab(*arguments: str, name: str | None = None) -> str:
    """Runs `hack/lab` as a user does and returns what it prints on stdout."""
    command = [ROOT / "hack" / "lab", *(["--name", name] if name else []), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, f"hack/lab {' '.join(arguments)}:\n{result.stdout}{result.stderr}"
    return result.stdout


# What shares tenants, or looks for whatever any `vcp run` has left on the host, follows one another.
TOGETHER = {
    "test_run": "runs",
    "test_records": "runs",
    "test_pytest_plugin": "runs",
    "test_rbac": "runs",
    "apps": "apps",
}
# Each of these tests makes tenants of its own and shares nothing.
APART = ("test_lifecycle", "test_k3s_start")
# What takes longest is begun first, so that the workers end together.
LONG = (
    "test_streams",
    "test_cli",
    "test_reach",
    *TOGETHER,
    "test_services",
    "test_metrics",
    "test_services_apart",
)


class ByTenants(LoadScopeScheduling):
    """Gives one worker all tests that share tenants: those of a file, or what is listed above."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.split("::", 1)[0])
        if path.stem in APART:
            return nodeid
        return TOGETHER.get(path.stem) or TOGETHER.get(path.parent.name) or path.stem


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByTenants:
    """The workers of `pytest -n` take the tests by the tenants that they share, in the order of the items."""
    config.option.loadscopereorder = False
    return ByTenants(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the long ones first."""

    def turn(item: pytest.Item) -> int:
        names = (item.path.stem, item.path.parent.name)
        return min((LONG.index(name) for name in names if name in LONG), default=len(LONG))

    items.sort(key=turn)


class LabUser:
    """Runs commands in a lab's network namespace as its admin."""

    def __init__(self, name: str) -> None:
        self.cluster = Cluster(Lab(name))
        self.lab = self.cluster.lab
        self.environment = os.environ | self.cluster.environment()

    def run(
        self, *command: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command; a failure shows what it printed."""
        inside = ["nsenter", f"--net={self.lab.namespace}", *command]
        result = subprocess.run(
            inside,
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
        if check and result.returncode:
            pytest.fail(
                f"{' '.join(command)} exited with {result.returncode}:\n{result.stdout}{result.stderr}"
            )
        return result

    def on(self, pod: dict[str, Any]) -> tuple[str, ...]:
        """The words that run a command on the node of a pod of the host, which no policy keeps from it."""
        address = pod["status"]["hostIP"]
        node = next(node for node in self.lab.nodes() if node.addresses.node == address)
        return "nsenter", f"--net={node.namespace}"

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.run("kubectl", *arguments, stdin=stdin).stdout

    def apply(self, *objects: dict[str, Any], namespace: str) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(items))

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", "-o", "json", *arguments))

    def wait(self, *arguments: str, namespace: str) -> None:
        """`kubectl wait`, which watches."""
        self.kubectl("-n", namespace, "wait", f"--timeout={DEADLINE:.0f}s", *arguments)

    def revive(self) -> None:
        """Starts again what has exited by itself, as a host's init system does. A scheduler exits when it
        sees a pod on another node than it remembers: an API server that ended had bound it, and the answer
        was lost."""
        if gone := [name for name, pid in self.cluster.components().items() if pid is None]:
            print(f"exited: {', '.join(gone)}")
            hack_lab("up", name=self.lab.name)


def eventually(what: str, probe: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Asks again until the answer is true, for states that nothing can be watched for; returns the answer."""
    start = asked = time.monotonic()
    while not (answer := probe()):
        now = time.monotonic()
        assert now < start + seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(max(0.1, now - asked))  # asking takes no more than half of a core that others need, too
        asked = time.monotonic()
    return answer


@contextlib.contextmanager
def meanwhile(call: Callable[[], object], pause: float = 0.0) -> Iterator[None]:
    """Calls again and again, with a pause of so many seconds before each, until the block ends."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(pause):
            call()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="session")
def lab() -> LabUser:
    user = LabUser(os.environ.get("VCP_LAB", DEFAULT_NAME))
    user.cluster.require_up()
    return user


@pytest.fixture(autouse=True)
def _whole(lab: LabUser) -> None:
    lab.revive()


@pytest.fixture
def namespace(lab: LabUser) -> Iterator[str]:
    """A namespace of the test's own on the host."""
    name = f"e2e-{secrets.token_hex(4)}"
    lab.kubectl("create", "namespace", name)
    yield name
    lab.kubectl("delete", "namespace", name, "--wait=false")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A failed test leaves its evidence in one folder and says where."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.when in ("setup", "call") and report.failed and lab is not None:
        folder = ARTIFACTS / f"{item.name}-{time.strftime('%H%M%S')}"
        report.sections.append(("evidence", str(collect(lab, folder))))
    return report


def collect(lab: LabUser, folder: Path) -> Path:
    """Writes component logs, all objects but Secrets, events and container logs below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in lab.cluster.daemons.folder.glob("*.log"):
        shutil.copy(path, folder / path.name)
    kinds = (
        "nodes,pods,services,endpointslices,deployments,statefulsets,persistentvolumeclaims,networkpolicies"
    )
    for name, arguments in (
        ("objects.yaml", ("get", kinds, "-A", "-o", "yaml")),
        ("pods.txt", ("get", "pods", "-A", "-o", "wide")),
        ("events.txt", ("get", "events", "-A", "--sort-by=.lastTimestamp")),
    ):
        (folder / name).write_text(lab.run("kubectl", *arguments, check=False).stdout)
    for node in lab.lab.nodes():
        logs = node.folder / "pod-logs"
        if logs.exists():
            shutil.copytree(logs, folder / f"{node.name}-pods", dirs_exist_ok=True)
    return folder
