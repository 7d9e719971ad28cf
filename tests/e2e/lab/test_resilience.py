"""`up` repairs whatever was killed, and what runs in the cluster does not notice."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import cgroups
from labkit.lab import Lab

from ..conftest import ROOT, LabUser, eventually, hack_lab
from ..objects import pod, service, web

pytestmark = pytest.mark.alone


@pytest.fixture
def own_lab() -> Iterator[str]:
    """A lab of the test's own, with a name that no other has."""
    name = f"t-{secrets.token_hex(4)}"
    yield name
    hack_lab("down", name=name)


def test_up_twice_starts_nothing_again(lab: LabUser) -> None:
    hack_lab("up", name=lab.lab.name)
    before = lab.cluster.components()
    hack_lab("up", name=lab.lab.name)
    assert lab.cluster.components() == before


def test_pods_survive_the_death_of_every_component(lab: LabUser, namespace: str) -> None:
    lab.apply(web("steady"), service("steady"), pod("client"), namespace=namespace)
    lab.wait("--for=condition=Ready", "pod/steady", "pod/client", namespace=namespace)
    before = containers(lab, namespace)
    for name, pid in lab.cluster.components().items():
        assert pid is not None, name
        os.kill(pid, signal.SIGKILL)
    eventually("the end of all", lambda: not any(lab.cluster.components().values()))
    assert (
        subprocess.run(
            [ROOT / "hack/lab", "--name", lab.lab.name, "status"], capture_output=True, check=False
        ).returncode
        == 1
    )
    hack_lab("up", name=lab.lab.name)
    assert all(lab.cluster.components().values())
    lab.wait("--for=condition=Ready", "pod/steady", "pod/client", namespace=namespace)
    assert containers(lab, namespace) == before
    ask = ("kubectl", "-n", namespace, "exec", "client", "--", "curl", "-sm2", "http://steady/hostname")
    eventually("the Service", lambda: lab.run(*ask, check=False).stdout == "steady")
    lab.apply(pod("later"), namespace=namespace)
    lab.wait("--for=condition=Ready", "pod/later", namespace=namespace)


@pytest.mark.parametrize("component", ["kubelet-1", "containerd-1", "etcd"])
def test_pods_survive_the_restart_of(component: str, lab: LabUser, namespace: str) -> None:
    lab.apply(pod("steady", nodeName="node-1"), namespace=namespace)
    lab.wait("--for=condition=Ready", "pod/steady", namespace=namespace)
    before = containers(lab, namespace)
    lab.cluster.daemons.stop(component)
    hack_lab("up", name=lab.lab.name)
    lab.wait("--for=condition=Ready", "pod/steady", namespace=namespace)
    assert containers(lab, namespace) == before


def test_a_killed_up_is_continued_and_down_leaves_the_machine_as_it_was(lab: LabUser, own_lab: str) -> None:
    its = Lab(own_lab)
    before = machine(its)
    steps = ("network", "etcd", "controllers", "nodes")
    for text in steps:  # killed at the end of each step in turn, then brought up for good
        command = [ROOT / "hack/lab", "--name", own_lab, "up"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"✓ {text}"):
                break
        else:
            pytest.fail(f"`up` never reached the step {text!r}")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        process.stderr.close()
    hack_lab("up", name=own_lab)
    user = LabUser(own_lab)
    user.apply(web("web", nodeName="node-2"), namespace="default")
    user.wait("--for=condition=Ready", "pod/web", namespace="default")
    running = cgroups.processes(its.cgroup)
    assert len(running) > 10
    assert network_of("self") not in {network_of(pid) for pid in running}, (
        "a process in the machine's network"
    )
    assert {"default/web"} <= names(user)
    assert "default/web" not in names(lab), "two labs side by side are two clusters"
    hack_lab("down", name=own_lab)
    assert machine(its) == before


def test_nodes_come_and_go(lab: LabUser, namespace: str) -> None:
    hack_lab("node", "add", "node-3", name=lab.lab.name)
    try:
        lab.apply(web("third", nodeName="node-3"), web("first", nodeName="node-1"), namespace=namespace)
        lab.wait("--for=condition=Ready", "pod/third", "pod/first", namespace=namespace)
        address = lab.get("-n", namespace, "pod", "third")["status"]["podIP"]
        dial = ("/usr/local/bin/agnhost", "connect", "--timeout=5s", f"{address}:8080")
        lab.kubectl("-n", namespace, "exec", "first", "--", *dial)
    finally:
        hack_lab("node", "remove", "node-3", name=lab.lab.name)
    assert "node-3" not in lab.kubectl("get", "nodes")
    assert "containerd-3" not in lab.cluster.components()


def test_fake_nodes_run_pods_that_ask_for_them(lab: LabUser, namespace: str) -> None:
    known = set(lab.kubectl("get", "nodes", "-o", "name").split())
    hack_lab("node", "add", "--fake", "10", name=lab.lab.name)
    fakes = sorted(set(lab.kubectl("get", "nodes", "-o", "name").split()) - known)
    try:
        assert len(fakes) == 10
        toleration = {"key": "kwok.x-k8s.io/node", "operator": "Exists"}
        lab.apply(
            pod("light", nodeSelector={"type": "kwok"}, tolerations=[toleration]),
            pod("real"),
            namespace=namespace,
        )
        lab.wait("--for=condition=Ready", "pod/light", "pod/real", namespace=namespace)
        assert lab.get("-n", namespace, "pod", "real")["spec"]["nodeName"].startswith("node-")
    finally:
        lab.kubectl("delete", *fakes)
        lab.cluster.daemons.stop("kwok")


def containers(lab: LabUser, namespace: str) -> dict[str, tuple[str, int]]:
    """Container id and restart count of each pod."""
    statuses = {
        p["metadata"]["name"]: p["status"]["containerStatuses"][0]
        for p in lab.get("-n", namespace, "pods")["items"]
    }
    return {name: (status["containerID"], status["restartCount"]) for name, status in statuses.items()}


def names(lab: LabUser) -> set[str]:
    metadata = [item["metadata"] for item in lab.get("pods", "-A")["items"]]
    return {f"{data['namespace']}/{data['name']}" for data in metadata}


def machine(lab: Lab) -> dict[str, object]:
    """What a lab could leave behind on a machine: its own things, and the machine's network and settings."""

    def output(*command: str) -> list[str]:
        return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())

    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return {
        "processes": sorted(cgroups.processes(lab.cgroup) | mentioning(str(lab.folder))),
        "mounts": sorted(mount for mount in mounts if Path(mount).is_relative_to(lab.folder)),
        "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{lab.cgroup}")),
        "files": lab.folder.exists(),
        "namespaces": sorted(path.name for path in Path("/run/netns").glob("*")),
        "links": output("ip", "-o", "link", "show"),
        "routes": output("ip", "route", "show", "table", "all"),
        "rules": output("nft", "list", "ruleset"),
    }


def mentioning(folder: str) -> set[int]:
    """The processes whose command line refers to a folder."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if folder.encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def network_of(process: int | str) -> str | None:
    """The network namespace of a process; None if it ended meanwhile."""
    try:
        return str(Path(f"/proc/{process}/ns/net").readlink())
    except OSError:
        return None


def test_a_process_that_takes_too_much_memory_ends_alone(lab: LabUser) -> None:
    """Each component has a cgroup with a limit of its own; this one is small."""
    group = f"{lab.lab.system_cgroup}/hog"
    cgroups.ensure(group)
    cgroups.limit(group, 64 * 1024**2)
    running = lab.cluster.components()
    try:
        hog = subprocess.run(
            [sys.executable, "-c", "b'x' * (128 * 1024**2)"],
            preexec_fn=lambda: cgroups.join(group),
            check=False,
        )
        assert hog.returncode == -signal.SIGKILL
        assert cgroups.kills(group) == 1
    finally:
        cgroups.end(group)
    assert lab.cluster.components() == running
