"""Runs a program in our place: its exit code is ours, and the signals we get are its."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType

from vcp.errors import UsageError

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Signals:
    """While it is entered, signals go to the program, and those from before its start as soon as it starts.

    Enter it before making anything that has to be cleaned up: until then a signal ends us on the spot."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._early: list[signal.Signals] = []

    def __enter__(self) -> "Signals":
        loop = asyncio.get_running_loop()
        for number in _FORWARDED:
            loop.add_signal_handler(number, self._forward, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in _FORWARDED:
            loop.remove_signal_handler(number)

    def lead_to(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        for number in self._early:
            self._send(number)

    def _forward(self, number: signal.Signals) -> None:
        # A terminal has sent Ctrl-C and Ctrl-\ to the program already, as it did to us.
        if self._process is None:
            self._early.append(number)
        elif not (sys.stdin.isatty() and number in {signal.SIGINT, signal.SIGQUIT}):
            self._send(number)

    def _send(self, number: signal.Signals) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


async def run(command: Sequence[str], environ: Mapping[str, str], signals: Signals) -> int:
    """The program's exit code as a shell would give it: 128 + the signal's number if one ended it.

    Raises UsageError if there is no such program."""
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environ)
    except (FileNotFoundError, PermissionError) as error:
        raise UsageError(f"cannot run {command[0]!r}: {error.strerror}") from error
    signals.lead_to(process)
    try:
        code = await process.wait()
    except asyncio.CancelledError:  # what we held for the program broke: it must not outlive us
        process.terminate()
        await process.wait()
        raise
    return code if code >= 0 else 128 - code
