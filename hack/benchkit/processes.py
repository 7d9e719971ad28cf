"""What each component's processes cost: CPU seconds and memory, read from /proc.

A process belongs to a lab by its cgroup, to a component of the host by the lab's records, and to one of a
tenant by its pod. CPU is counted for processes that live at both ends of a measurement.
"""

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_POD = re.compile(r"/pod([0-9a-f-]{36})/")
_CGROUP = re.compile(r"^(?:\d+:(?:[^:]*,)?memory(?:,[^:]*)?|0:):/(.*)$", re.MULTILINE)
_CGROUPS = Path("/sys/fs/cgroup")
_KIB = 1024
# What a program is called in the reports, inside a tenant's pods.
_NAMES = {
    "kube-apiserver": "tenant API server",
    "kube-controller-manager": "tenant controller manager",
    "etcd": "tenant etcd",
    "coredns": "tenant DNS",
    "python3": "syncer",
    "k3s": "tenant k3s",
}


class Process(NamedTuple):
    """`cpu` in seconds; memory in bytes, `private` without what is mapped from files; `pod` is a uid or
    empty; `cgroup` is where its memory is accounted."""

    pid: int
    program: str
    pod: str
    cpu: float
    memory: int
    private: int
    cgroup: str = ""


class Usage(NamedTuple):
    """Of one component, all its processes together."""

    cpu: float = 0.0
    memory: int = 0
    private: int = 0


class Snapshot(NamedTuple):
    """Everything at one moment. `busy` is all CPU seconds that the machine has spent, whoever did; `working`
    the working set of each component of tenants in bytes, as their containers' cgroups account it."""

    components: Mapping[str, Usage]
    cpu_by_pid: Mapping[int, float]
    component_of: Mapping[int, str]
    busy: float
    own: float
    working: Mapping[str, int] = {}


def processes(lab: str) -> list[Process]:
    """All processes in the cgroup of a lab."""
    folders = (folder for folder in Path("/proc").iterdir() if folder.name.isdigit())
    found = (_read(folder, f"/vcp-lab-{lab}/") for folder in folders)
    return [process for process in found if process]


def snapshot(lab: str, daemons: Mapping[str, int | None], owners: Mapping[str, str]) -> Snapshot:
    """`daemons`: pids of the host's components by name; `owners`: tenant by pod uid."""
    names = {pid: name for name, pid in daemons.items() if pid}
    summed: dict[str, Usage] = defaultdict(Usage)
    cpu, component_of, cgroups = {}, {}, dict[str, str]()
    for process in processes(lab):
        name = _component(process, names, owners)
        old = summed[name]
        summed[name] = Usage(
            old.cpu + process.cpu, old.memory + process.memory, old.private + process.private
        )
        cpu[process.pid], component_of[process.pid] = process.cpu, name
        if process.pod in owners:
            cgroups[process.cgroup] = name
    working: dict[str, int] = defaultdict(int)
    for cgroup, name in cgroups.items():
        working[name] += working_set(_CGROUPS, cgroup)
    return Snapshot(summed, cpu, component_of, _busy(), sum(os.times()[:4]), working)


def spent(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """CPU seconds by component; `others` is what the machine did for neither the lab nor the bench."""
    result: dict[str, float] = defaultdict(float)
    for pid, cpu in after.cpu_by_pid.items():
        if pid in before.cpu_by_pid:
            result[after.component_of[pid]] += cpu - before.cpu_by_pid[pid]
    known = sum(result.values()) + after.own - before.own
    result["others"] = max(0.0, after.busy - before.busy - known)
    return {name: round(seconds, 3) for name, seconds in result.items() if seconds >= 0.005}


def memory(snapshot: Snapshot) -> dict[str, int]:
    """Resident bytes by component."""
    return {name: usage.memory for name, usage in snapshot.components.items() if usage.memory}


def working_set(root: Path, cgroup: str) -> int:
    """Bytes that the kubelet counts, and `kubectl top` shows: all that is accounted but cached files that
    nobody has used lately. `cgroup` is a path of version 1 or 2; 0 if it is gone."""
    for folder, size, cache in (
        (root / "memory" / cgroup, "memory.usage_in_bytes", "total_inactive_file"),
        (root / cgroup, "memory.current", "inactive_file"),
    ):
        try:
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return max(0, int((folder / size).read_text()) - int(stat[cache]))
        except FileNotFoundError:
            continue
    return 0


def pid_of(snapshot: Snapshot, component: str) -> int:
    """Raises LookupError if it does not run."""
    for pid, name in snapshot.component_of.items():
        if name == component:
            return pid
    raise LookupError(f"{component} does not run")


def started(pid: int) -> float:
    """When a process began, by the monotonic clock."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) / _TICKS


def received_and_sent(pid: int) -> int:
    """Bytes that crossed the network devices of a process's network namespace, its loopback excepted."""
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    columns = [(name.strip(), rest.split()) for name, _, rest in (line.partition(":") for line in lines)]
    return sum(int(values[0]) + int(values[8]) for name, values in columns if name != "lo")


def _component(process: Process, daemons: Mapping[int, str], owners: Mapping[str, str]) -> str:
    if process.pid in daemons:
        name = re.sub(r"-\d+$", "", daemons[process.pid])
        return f"host {name.removeprefix('kube-')}" if name != "kwok" else "kwok"
    if process.pod in owners:
        return _NAMES.get(process.program, f"tenant {process.program}")
    if process.pod:
        return "other pods"
    return "container shims"


def _read(folder: Path, cgroup: str) -> Process | None:
    try:
        groups = (folder / "cgroup").read_text()
        if cgroup not in groups:
            return None
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        status = dict(
            line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
        )
        program = (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except (OSError, ValueError):  # it ended meanwhile
        return None
    pod, own = _POD.search(groups), _CGROUP.search(groups)
    return Process(
        pid=int(folder.name),
        program=Path(program).name,
        pod=pod[1] if pod else "",
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
        memory=_kib(status, "VmRSS"),
        private=_kib(status, "RssAnon"),
        cgroup=own[1] if own else "",
    )


def _kib(status: Mapping[str, str], name: str) -> int:
    return int(status.get(name, "0").split()[0]) * _KIB


def _busy() -> float:
    """User, nice, system, irq and softirq time of all CPUs since boot."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(fields[index]) for index in (1, 2, 3, 6, 7)) / _TICKS
