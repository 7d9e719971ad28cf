"""Whose a process is, and what it cost between two moments."""

import os
from pathlib import Path

from benchkit import processes
from benchkit.processes import Process, Snapshot, Usage

UID = "6a2f41a3-c54c-fce8-32d2-0324e1c32e22"


def snapshot(busy: float, own: float, **cpu: float) -> Snapshot:
    names = dict(enumerate(cpu))
    return Snapshot({}, {pid: cpu[name] for pid, name in names.items()}, names, busy, own)


def test_cpu_is_counted_by_component_and_the_rest_is_others() -> None:
    before, after = snapshot(100.0, 1.0, syncer=2.0, etcd=3.0), snapshot(110.0, 2.0, syncer=5.0, etcd=3.5)
    assert processes.spent(before, after) == {"syncer": 3.0, "etcd": 0.5, "others": 5.5}


def test_a_process_that_is_new_counts_from_its_own_start_only_when_it_was_there_before() -> None:
    before, after = snapshot(0.0, 0.0), snapshot(4.0, 0.0, syncer=3.0)
    assert processes.spent(before, after) == {"others": 4.0}


def test_components_are_told_apart_by_record_and_by_pod() -> None:
    def component(program: str, pod: str = "", pid: int = 9) -> str:
        process = Process(pid, program, pod, 0.0, 0, 0)
        return processes._component(process, {1: "kube-apiserver", 2: "kubelet-1", 3: "kwok"}, {UID: "a"})

    assert component("kube", pid=1) == "host apiserver"
    assert component("kube", pid=2) == "host kubelet"
    assert component("kwok", pid=3) == "kwok"
    assert component("kube-apiserver", UID) == "tenant API server"
    assert component("python3", UID) == "syncer"
    assert component("coredns", "another") == "other pods"
    assert component("containerd-shim-runc-v2") == "container shims"


def test_a_process_knows_when_it_began_and_what_it_has_sent() -> None:
    assert processes.started(os.getpid()) > 0
    assert processes.received_and_sent(os.getpid()) >= 0
    assert processes.memory(Snapshot({"a": Usage(0.0, 5, 1), "b": Usage()}, {}, {}, 0.0, 0.0)) == {"a": 5}


def test_a_working_set_is_all_but_the_cache_that_is_out_of_use(tmp_path: Path) -> None:
    first, second = tmp_path / "memory" / "pod" / "a", tmp_path / "pod" / "b"
    for folder, size, cache in (
        (first, "memory.usage_in_bytes", "total_inactive_file"),
        (second, "memory.current", "inactive_file"),
    ):
        folder.mkdir(parents=True)
        (folder / size).write_text("1000\n")
        (folder / "memory.stat").write_text(f"{cache} 300\nother 7\n")
    assert [processes.working_set(tmp_path, name) for name in ("pod/a", "pod/b", "gone")] == [700, 700, 0]


def test_the_cgroup_of_memory_is_found_in_both_versions() -> None:
    first = "12:cpuset:/\n4:memory:/lab/pod/a\n1:name=systemd:/\n0::/"
    found = [processes._CGROUP.search(text) for text in (first, "0::/lab/pod/b\n", "3:pids:/x\n")]
    assert [match[1] if match else None for match in found] == ["lab/pod/a", "lab/pod/b", None]
