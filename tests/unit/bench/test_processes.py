"""Whose a process is, and what it cost between two moments."""

import os

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
