"""Runs a program in our place, and decides what a signal means while it runs, before and after.

`Signals` and `run` are for a program alone: its exit code is ours, and the signals we get are its.

`Guard` runs work, then a program, then the cleaning up. While we prepare, a signal ends the preparation.
While the program runs, signals are its own; one that ends programs is followed by SIGKILL if the program
ignores it. While we clean up, nothing is cut short. A second Ctrl-C ends everything at once, wherever we are.
"""

import abc
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from vcp import output
from vcp.errors import DeadlineError, UsageError, VcpError

T = TypeVar("T")

GRACE = 5.0  # seconds between asking a program to end and killing it; CI systems give us about ten
_TWICE = 2.0  # seconds within which two Ctrl-C on a terminal mean us, not the program that gets both
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class InterruptedBySignalError(VcpError):
    """A signal has ended the preparation; the exit code is a shell's."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"interrupted by {number.name}")
        self.exit_code = 128 + number


class GivenUpError(VcpError):
    """The second Ctrl-C: nothing more is awaited or cleaned up."""

    exit_code = 130


class _Handler(abc.ABC):
    """While it is entered, the signals that end programs come to `_on`."""

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in _HANDLED:
            loop.add_signal_handler(number, self._on, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in _HANDLED:
            loop.remove_signal_handler(number)

    @abc.abstractmethod
    def _on(self, number: signal.Signals) -> None: ...


class Signals(_Handler):
    """While it is entered, signals go to the program, and those from before its start as soon as it starts.

    Enter it before making anything that has to be cleaned up: until then a signal ends us on the spot."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._early: list[signal.Signals] = []

    def lead_to(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        for number in self._early:
            self._send(number)

    def _on(self, number: signal.Signals) -> None:
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
    process = await _started(command, environ)
    signals.lead_to(process)
    try:
        code = await process.wait()
    except asyncio.CancelledError:  # what we held for the program broke: it must not outlive us
        process.terminate()
        await process.wait()
        raise
    return _exit_code(code)


async def _started(
    command: Sequence[str], environ: Mapping[str, str], group: int | None = None
) -> asyncio.subprocess.Process:
    """The running program, in a process group of its own if `group` is 0. Raises UsageError if there is none
    of the name."""
    try:
        return await asyncio.create_subprocess_exec(*command, env=environ, process_group=group)
    except (FileNotFoundError, PermissionError) as error:
        raise UsageError(f"cannot run {command[0]!r}: {error.strerror}") from error


def _exit_code(code: int) -> int:
    """As a shell gives it: 128 + the signal's number if one ended the program."""
    return code if code >= 0 else 128 - code


class Guard(_Handler):
    """While it is entered, no signal ends us but by its own rules."""

    def __init__(self) -> None:
        self.signalled: signal.Signals | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._process: asyncio.subprocess.Process | None = None
        self._cleaning = self._given_up = False
        self._last_interrupt = float("-inf")
        # Who sits at a terminal wants the program to read from it, which only the foreground group may.
        self._own_group = not sys.stdin.isatty()

    async def during(self, work: Coroutine[Any, Any, T], *, cleaning: bool = False) -> T:
        """What `work` returns. Raises InterruptedBySignalError if a signal has ended it, and GivenUpError."""
        self._cleaning = cleaning
        task = asyncio.create_task(work, name="guarded work")
        self._tasks.add(task)
        try:
            if self._given_up or (self.signalled and not cleaning):
                task.cancel()
            return await task
        except asyncio.CancelledError:
            if self._given_up:
                raise GivenUpError("interrupted twice") from None
            if self.signalled:
                raise InterruptedBySignalError(self.signalled) from None
            raise
        finally:
            self._tasks.discard(task)

    async def program(self, command: Sequence[str], environ: Mapping[str, str], seconds: float | None) -> int:
        """The program's exit code as a shell would give it. Raises UsageError if there is no such program,
        and DeadlineError if it has not ended within `seconds`."""
        self._process = process = await _started(command, environ, 0 if self._own_group else None)
        try:
            async with asyncio.timeout(seconds):
                code = await process.wait()
        except TimeoutError as error:
            output.say(f"{command[0]} has had its {seconds:g} s and is ended.")
            self._end(signal.SIGTERM)
            await process.wait()
            raise DeadlineError(f"{command[0]} did not end within {seconds:g} s") from error
        except asyncio.CancelledError:
            self._send(signal.SIGKILL)
            await process.wait()
            raise
        finally:
            self._process = None
        return _exit_code(code)

    def _on(self, number: signal.Signals) -> None:
        now = asyncio.get_running_loop().time()
        since, impatient = now - self._last_interrupt, self._last_interrupt > float("-inf")
        if number == signal.SIGINT:
            self._last_interrupt = now
            shared = self._process is not None and not self._own_group
            if impatient and (since < _TWICE or not shared):
                self._give_up()
                return
        if self._process is not None:
            self._to_program(number)
        elif self._cleaning:
            output.say("Cleaning up; Ctrl-C again leaves the rest.")
        else:
            self.signalled = self.signalled or number
            self._cancel()

    def _to_program(self, number: signal.Signals) -> None:
        # A terminal has sent Ctrl-C and Ctrl-\ to the program already, as it did to us.
        if not self._own_group and number in {signal.SIGINT, signal.SIGQUIT}:
            return
        self.signalled = self.signalled or number
        if number == signal.SIGINT:
            self._send(number)
        else:
            self._end(number)

    def _end(self, number: signal.Signals) -> None:
        """Asks the program to end, and sees to it."""
        self._send(number)
        process = self._process

        def kill() -> None:
            if process is not None and process is self._process:
                output.say(f"The command ignores {number.name} and is killed.")
                self._send(signal.SIGKILL)

        asyncio.get_running_loop().call_later(GRACE, kill)

    def _give_up(self) -> None:
        self._given_up = True
        self._send(signal.SIGKILL)
        self._cancel()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _send(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._own_group:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
