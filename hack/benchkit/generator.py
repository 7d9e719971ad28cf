"""The load generator's other end: starts it, gives it commands, and turns what it saw into summaries."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from benchkit import stats
from benchkit.load import Answer, Command, Seen, Target

_HACK = Path(__file__).parents[1]
_SLACK = 30.0  # seconds beyond a command's own deadline, until the generator counts as hung
_LINE = 1 << 28
Stream = TypeVar("Stream", asyncio.StreamReader, asyncio.StreamWriter)


class Generator:
    """A running load generator with its targets."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._to, self._from = piped(process.stdin), piped(process.stdout)

    async def create(self, pod: Mapping[str, Any], *, deadline: float, prefix: str = "b") -> Answer:
        return await self._tell(Command(do="create", deadline=deadline, pod=dict(pod), prefix=prefix))

    async def delete(self, *, deadline: float) -> Answer:
        return await self._tell(Command(do="delete", deadline=deadline))

    async def serial(self, pod: Mapping[str, Any], *, deadline: float, prefix: str = "s") -> Answer:
        return await self._tell(Command(do="serial", deadline=deadline, pod=dict(pod), prefix=prefix))

    async def _tell(self, command: Command) -> Answer:
        self.say(command)
        async with asyncio.timeout(command.deadline + _SLACK):
            return msgspec.json.decode(await self.heard(), type=Answer)

    def say(self, value: object) -> None:
        self._to.write(msgspec.json.encode(value) + b"\n")

    async def heard(self) -> bytes:
        """One line. Raises RuntimeError if there will be none."""
        if not (line := await self._from.readline()):
            raise RuntimeError("the load generator ended; what it said is above")
        return line


@contextlib.asynccontextmanager
async def running(targets: Iterable[Target]) -> AsyncIterator[Generator]:
    """A generator that watches all targets; ended at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchkit.load",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE,
        env=os.environ | {"PYTHONPATH": str(_HACK)},
    )
    try:
        generator = Generator(process)
        generator.say(list(targets))
        async with asyncio.timeout(_SLACK):
            await generator.heard()
        yield generator
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def piped(stream: Stream | None) -> Stream:
    """A pipe of a process that was started with one."""
    if stream is None:
        raise TypeError("the process has no such pipe")
    return stream


def durations(seen: Iterable[Seen], start: str, end: str) -> list[float]:
    """Seconds between two steps of each pod that has both."""
    every = (steps for one in seen for steps in one.steps.values())
    return [steps[end] - steps[start] for steps in every if start in steps and end in steps]


def times(seen: Iterable[Seen], step: str) -> list[float]:
    return sorted(steps[step] for one in seen for steps in one.steps.values() if step in steps)


def rate(seen: Iterable[Seen], start: str, end: str) -> float:
    """Pods per second from the first `start` to the last `end`."""
    seen = list(seen)
    ended = times(seen, end)
    return len(ended) / (ended[-1] - times(seen, start)[0]) if ended else 0.0


def curve(seen: Iterable[Seen], start: str, end: str) -> list[tuple[float, int]]:
    """Seconds since the first `start`, and how many pods had reached `end` by then."""
    seen = list(seen)
    ended = times(seen, end)
    zero = times(seen, start)[0] if ended else 0.0
    return [(round(when - zero, 3), count) for when, count in stats.thinned(ended)]
