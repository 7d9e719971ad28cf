"""Names, addresses, pins and steps of the lab."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labkit import build, cgroups, components, daemons, lab, pins, steps
from labkit.lab import Lab
from labkit.network import Addresses
from labkit.steps import LabError


@pytest.mark.parametrize("name", ["", "Upper", "-dash", "dash-", "dot.dot", "../escape", "a" * 21])
def test_a_name_that_cannot_be_a_folder_and_a_cgroup_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="not a name for a lab"):
        Lab(name)


def test_two_labs_share_no_path_and_no_cgroup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VCP_LAB_STATE", str(tmp_path))
    first, second = Lab("a"), Lab("b")
    assert not first.folder.is_relative_to(second.folder)
    assert first.cgroup != second.cgroup
    assert first.node(1).namespace.is_relative_to(first.folder)


def test_a_lab_has_the_nodes_that_are_on_disk_and_always_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VCP_LAB_STATE", str(tmp_path))
    assert [node.name for node in Lab("a").nodes()] == ["node-1"]
    (tmp_path / "a" / "node-3").mkdir(parents=True)
    assert [node.name for node in Lab("a").nodes()] == ["node-1", "node-3"]
    assert [known.name for known in lab.labs()] == ["a"]


def test_nodes_differ_in_address_and_pods() -> None:
    nodes = [Addresses(number) for number in range(1, 10)]
    assert len({node.node for node in nodes}) == len({node.pods for node in nodes}) == 9


def test_every_version_is_the_one_that_go_mod_requires() -> None:
    assert pins.version("kube", "k8s.io/kubernetes") == pins.KUBERNETES
    with pytest.raises(LookupError, match="not required"):
        pins.version("kube", "example.org/absent")


def test_a_pin_that_changes_changes_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd" / "go.mod").write_text("module a\n\ngo 1.26.0\n")
    monkeypatch.setattr(pins, "SOURCES", tmp_path)
    source = next(source for source in pins.SOURCES_TABLE if source.name == "etcd")
    before = build.source_folder(source)
    assert before == build.source_folder(source)
    (tmp_path / "etcd" / "go.mod").write_text("module b\n\ngo 1.26.0\n")
    assert before != build.source_folder(source)


def test_fingerprints_tell_names_and_borders_apart(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("x")
    assert pins.fingerprint("ab", "c") != pins.fingerprint("a", "bc")
    assert pins.fingerprint(tmp_path / "a") != pins.fingerprint(tmp_path / "b")


def test_too_little_disk_stops_the_build_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "MINIMUM_FREE", 1 << 62)
    with pytest.raises(LabError, match=r"free some space or point XDG_CACHE_HOME"):
        build.check_disk(tmp_path / "not" / "there" / "yet")


def test_a_missing_tool_stops_the_build_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"`go` is not on the PATH; install Go"):
        build.check_toolchain()


def test_a_failed_command_shows_its_last_lines_and_the_hint() -> None:
    with pytest.raises(LabError, match=r"exited with 3:\nwhy\ndo that"):
        steps.run("sh", "-c", "echo why >&2; exit 3", hint="do that")


def test_waiting_ends_at_the_deadline_with_the_reason() -> None:
    with pytest.raises(LabError, match=r"the sunrise did not happen within 0 s. It is night"):
        steps.wait_until("the sunrise", lambda: False, 0.01, why=lambda: "It is night.")


def test_a_process_is_known_by_its_start_and_a_dead_one_is_not(tmp_path: Path) -> None:
    assert daemons.started(os.getpid()) == daemons.started(os.getpid()) is not None
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as child:
        assert daemons.started(child.pid) is not None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert daemons.started(child.pid) is None, "a zombie does not run"


def test_a_record_of_a_recycled_id_is_no_component(tmp_path: Path) -> None:
    (tmp_path / "etcd.json").write_text(f'{{"pid": {os.getpid()}, "started": "1", "fingerprint": ""}}')
    assert daemons.Daemons(tmp_path, "lab/system").pid("etcd") is None
    assert daemons.Daemons(tmp_path, "lab/system").names() == ["etcd"]


def test_no_component_refers_to_a_path_outside_the_lab_and_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VCP_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    binaries = build.binaries()
    agents = components.NodeAgents(Lab("a").node(2), binaries)
    plane = components.ControlPlane(Lab("a"), binaries)
    commands = (
        plane.etcd(),
        plane.apiserver(),
        plane.controller_manager(),
        plane.scheduler(),
        agents.kubelet(),
    )
    paths = [word.rpartition("=")[2] for command in commands for word in command.command if "/" in word]
    paths = [path for path in paths if path.startswith("/")]
    assert len(paths) > 20
    assert all(Path(path).is_relative_to(tmp_path) for path in paths), paths


@pytest.mark.parametrize(
    ("unified", "file", "text"),
    [
        (True, "memory.events", "low 0\nhigh 0\nmax 41\noom 3\noom_kill 2\n"),
        (False, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
    ],
)
def test_a_component_that_was_killed_for_its_memory_is_named(
    unified: bool, file: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount, records = tmp_path / "cgroup", tmp_path / "processes"
    hierarchy = mount if unified else mount / "memory"
    monkeypatch.setattr(cgroups, "MOUNT", mount)
    monkeypatch.setattr(cgroups, "UNIFIED", unified)
    for name, content in (("kubelet-1", text), ("etcd", text.replace("oom_kill 2", "oom_kill 0"))):
        (hierarchy / "lab/system" / name).mkdir(parents=True)
        (hierarchy / "lab/system" / name / file).write_text(content)
        (hierarchy / "cgroup.procs").write_text("")
        records.mkdir(exist_ok=True)
        (records / f"{name}.json").write_text("{}")
    (records / "kube-proxy-1.json").write_text("{}")  # has never run
    assert daemons.Daemons(records, "lab/system").killed() == {"kubelet-1": 2}


def test_a_lab_leaves_memory_to_the_machine() -> None:
    assert daemons.component_limit() < daemons.lab_limit()
    assert daemons.lab_limit() < cgroups.memory() or cgroups.memory() < 3 * 1024**3
