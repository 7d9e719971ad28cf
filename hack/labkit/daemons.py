"""The lab's processes: each started once, recorded by itself before it becomes the component, found again by
that.

A record holds the start time beside the id, so a recycled id is never taken for a component, and the
fingerprint of the command, so a changed command restarts it.
"""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labkit import cgroups, network, pins
from labkit.steps import LabError, wait_until

_GIB = 1024**3


@dataclass(frozen=True)
class Component:
    """One process of the lab: what to run, where, and the files whose change means a restart."""

    name: str
    command: tuple[str, ...]
    namespace: Path
    env: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()

    def fingerprint(self) -> str:
        return pins.fingerprint(repr(self.command), repr(sorted(self.env.items())), *self.inputs)


class Daemons:
    """Starts, finds and stops components; `folder` keeps one record and one log for each, and each has a
    cgroup of its own below `cgroup`."""

    def __init__(self, folder: Path, cgroup: str) -> None:
        self.folder, self.cgroup = folder, cgroup

    def ensure(self, component: Component) -> bool:
        """Starts a component unless it already runs as wanted; true if it was started."""
        record = self._record(component.name)
        if record is not None and record["fingerprint"] == component.fingerprint():
            return False
        self.stop(component.name)
        self._start(component)
        return True

    def pid(self, name: str) -> int | None:
        """The id of a component's process if it runs."""
        record = self._record(name)
        return None if record is None else int(record["pid"])

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def stop(self, name: str, seconds: float = 5) -> None:
        """Ends a component: politely, then by force. One that does not run is not an error."""
        pid = self.pid(name)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            try:
                wait_until(f"the end of {name}", lambda: self.pid(name) is None, seconds)
            except LabError:
                os.kill(pid, signal.SIGKILL)
                wait_until(f"the end of {name}", lambda: self.pid(name) is None, seconds)
        (self.folder / f"{name}.json").unlink(missing_ok=True)

    def tail(self, name: str, lines: int = 8) -> str:
        path = self.log(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def _record(self, name: str) -> dict[str, str] | None:
        try:
            record: dict[str, str] = json.loads((self.folder / f"{name}.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return record if record["started"] == started(int(record["pid"])) else None

    def _group(self, name: str) -> str:
        return f"{self.cgroup}/{name}"

    def killed(self) -> dict[str, int]:
        """How often each component was killed for its memory since the lab was made; without those that
        never were."""
        found = {name: cgroups.kills(self._group(name)) for name in self.names()}
        return {name: count for name, count in found.items() if count}

    def _start(self, component: Component) -> None:
        group = self._group(component.name)
        cgroups.ensure(group)
        cgroups.limit(group, component_limit())
        self.folder.mkdir(parents=True, exist_ok=True)
        target, fingerprint = self.folder / f"{component.name}.json", component.fingerprint()

        def become() -> None:
            # In the child, before exec: whoever kills the lab at any moment leaves no process without a
            # record.
            cgroups.join(group)
            pid = os.getpid()
            record = {"pid": pid, "started": started(pid), "fingerprint": fingerprint}
            target.write_text(json.dumps(record))

        with self.log(component.name).open("ab") as log, network.entered(component.namespace):
            subprocess.Popen(
                component.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(component.env),
                cwd="/",
                start_new_session=True,
                preexec_fn=become,  # noqa: PLW1509  the lab is single-threaded here
            )


def lab_limit() -> int:
    """The memory in bytes that all processes of a lab may have: the machine's but for 2 GiB."""
    return max(cgroups.memory() - 2 * _GIB, _GIB)


def component_limit() -> int:
    """The memory in bytes that one component may have: one that runs away ends itself and nobody else."""
    return lab_limit() // 3


def started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None if there is none (a zombie counts as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
