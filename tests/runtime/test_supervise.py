"""A program run in our place."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from vcp import supervise
from vcp.errors import UsageError


async def run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    with supervise.Signals() as signals:
        return await supervise.run(command, environ, signals)


# Tells when its handler is in place, so that the signal cannot come too early.
TRAPS = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
pathlib.Path(sys.argv[1]).write_text("up")
time.sleep(20)
"""


async def test_the_exit_code_and_the_environment_are_passed_on() -> None:
    code = "import os, sys; sys.exit(int(os.environ['CODE']))"
    assert await run([sys.executable, "-c", code], {"CODE": "42"}) == 42


async def test_a_program_ended_by_a_signal_is_128_more() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert await run([sys.executable, "-c", code], {}) == 128 + signal.SIGKILL


async def test_signals_are_passed_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "up")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(run([sys.executable, "-c", TRAPS, str(tmp_path / "up")], {}))
        await asyncio.to_thread((tmp_path / "up").read_text)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 7


async def test_a_signal_from_before_the_start_reaches_the_program() -> None:
    with supervise.Signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert await supervise.run(["sleep", "30"], dict(os.environ), signals) == 128 + signal.SIGTERM


async def test_a_program_does_not_outlive_what_was_held_for_it() -> None:
    running = asyncio.create_task(run(["sleep", "30"], dict(os.environ)))
    await asyncio.sleep(0.2)
    running.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_program_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot run 'no-such-program'"):
        await run(["no-such-program"], {})
