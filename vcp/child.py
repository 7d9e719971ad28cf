"""Runs a program in our place: its exit code is ours, and the signals we get are its."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Mapping, Sequence

from vcp.errors import UsageError

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


async def run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """The program's exit code as a shell would give it: 128 + the signal's number if one ended it.

    Raises UsageError if there is no such program."""
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environ)
    except (FileNotFoundError, PermissionError) as error:
        raise UsageError(f"cannot run {command[0]!r}: {error.strerror}") from error
    loop = asyncio.get_running_loop()

    def forward(number: signal.Signals) -> None:
        # A terminal has sent Ctrl-C and Ctrl-\ to the program already, as it did to us.
        if sys.stdin.isatty() and number in {signal.SIGINT, signal.SIGQUIT}:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    for number in _FORWARDED:
        loop.add_signal_handler(number, forward, number)
    try:
        code = await process.wait()
    except asyncio.CancelledError:  # what we held for the program broke: it must not outlive us
        process.terminate()
        await process.wait()
        raise
    finally:
        for number in _FORWARDED:
            loop.remove_signal_handler(number)
    return code if code >= 0 else 128 - code
