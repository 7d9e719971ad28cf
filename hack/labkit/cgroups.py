"""The lab's cgroups: one tree per lab, which holds every process that descends from it, so that `down`
misses none.

Works on cgroup v1 (one tree per controller) and v2. Several kubelets on one machine need a root each, or
each one removes the other's pods.
"""

import os
import signal
import time
from pathlib import Path

from labkit.steps import LabError

MOUNT = Path("/sys/fs/cgroup")
UNIFIED = (MOUNT / "cgroup.controllers").exists()
V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def hierarchies() -> list[Path]:
    """The mount points of all hierarchies: one on cgroup v2; on v1 one per controller, beside a v2 one
    without any.
    """
    if UNIFIED:
        return [MOUNT]
    return sorted({path.resolve() for path in MOUNT.iterdir() if (path / "cgroup.procs").exists()})


def ensure(group: str) -> None:
    """Makes a cgroup and its parents in every hierarchy, ready to take processes and children."""
    for hierarchy in hierarchies():
        folder = hierarchy
        for part in group.split("/"):
            parent, folder = folder, folder / part
            folder.mkdir(exist_ok=True)
            _inherit(parent, folder)


def _inherit(parent: Path, folder: Path) -> None:
    # On v1 a new cpuset is empty and takes no process; on v2 children get only the controllers that a parent
    # hands on.
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not UNIFIED and (folder / name).exists() and not (folder / name).read_text().strip():
            (folder / name).write_text((parent / name).read_text())
    if UNIFIED:
        offered = (parent / "cgroup.controllers").read_text().split()
        handed_on = " ".join(f"+{name}" for name in V2_CONTROLLERS if name in offered)
        (parent / "cgroup.subtree_control").write_text(handed_on)


def join(group: str) -> None:
    """Moves the calling process into a cgroup, in every hierarchy."""
    for hierarchy in hierarchies():
        (hierarchy / group / "cgroup.procs").write_text(str(os.getpid()))


def limit(group: str, size: int) -> None:
    """Lets the processes of a cgroup and below it have `size` bytes of memory; the kernel kills one of them
    rather than give more."""
    for hierarchy in hierarchies():
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (file := hierarchy / group / name).exists():
                file.write_text(str(size))


def kills(group: str) -> int:
    """How many processes of a cgroup the kernel has killed for their memory."""
    found = 0
    for hierarchy in hierarchies():
        for name in ("memory.events", "memory.oom_control"):
            words = _read(hierarchy / group / name).split()
            counts = dict(zip(words[::2], words[1::2], strict=False))
            found = max(found, int(counts.get("oom_kill", 0)))
    return found


def memory() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def processes(group: str) -> set[int]:
    """The ids of all processes in a cgroup and below it."""
    found: set[int] = set()
    for hierarchy in hierarchies():
        for path in (hierarchy / group).rglob("cgroup.procs"):
            found |= {int(word) for word in _read(path).split()}
    return found


def end(group: str, seconds: float = 20) -> None:
    """Kills all processes of a cgroup and removes it; a LabError names those that stay."""
    deadline = time.monotonic() + seconds
    while remaining := processes(group):
        if time.monotonic() > deadline:
            raise LabError(f"processes {sorted(remaining)} of {group} do not end; they hang in the kernel.")
        for process in remaining:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    for hierarchy in hierarchies():
        folders = [path for path in (hierarchy / group).rglob("*") if path.is_dir()]
        for folder in (*sorted(folders, reverse=True), hierarchy / group):
            if folder.exists():
                _remove(folder, deadline)


def _remove(folder: Path, deadline: float) -> None:
    # The kernel lets go of a killed process a moment after it left the list.
    while True:
        try:
            return folder.rmdir()
        except FileNotFoundError:
            return None
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the cgroup went away while the tree was walked
        return ""
