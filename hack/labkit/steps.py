"""Telling what the lab is doing and how long it took, and failing with a sentence instead of a traceback."""

import fcntl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class LabError(Exception):
    """Something is missing or failed: what, and what to do about it."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Prints one line when the step ends, with its duration in seconds; a slow step is announced when it
    starts.
    """
    start = time.monotonic()
    if sys.stderr.isatty():
        print(f"\r… {name}", end="", file=sys.stderr, flush=True)
    try:
        yield
    except BaseException:
        say(f"✗ {name} ({time.monotonic() - start:.1f} s)")
        raise
    say(f"✓ {name} ({time.monotonic() - start:.1f} s)")


@contextmanager
def exclusively(lock: Path, busy: str) -> Iterator[None]:
    """One process at a time; `busy` is said to who has to wait. The kernel lets go of a killed one's lock."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(busy)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    print(f"\r\x1b[K{text}" if sys.stderr.isatty() else text, file=sys.stderr, flush=True)


def run(*command: str | Path, log: Path | None = None, hint: str = "", **options: object) -> str:
    """Runs a command and returns its standard output; a failure becomes a LabError with its last lines."""
    result = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if log else subprocess.PIPE,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(result.stdout)
    if result.returncode:
        words = (result.stdout if log else result.stderr).strip().splitlines()[-12:]
        raise LabError(
            "\n".join(
                [f"{' '.join(map(str, command))} exited with {result.returncode}:", *words, hint]
            ).strip()
        )
    return str(result.stdout)


def wait_until(
    what: str, probe: Callable[[], object], seconds: float, *, why: Callable[[], str] = str
) -> None:
    """Polls something that offers no watch (a socket that is not open yet) until `probe` is true; LabError
    otherwise.
    """
    deadline = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > deadline:
            raise LabError(f"{what} did not happen within {seconds:.0f} s. {why()}".strip())
        time.sleep(0.05)
