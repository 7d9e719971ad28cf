"""How commands speak: data on stdout, words on stderr, and on a terminal the progress of each step.

Nothing here colours or moves when stderr is not a terminal, so logs of CI jobs stay readable.
"""

import contextlib
import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

import click
import msgspec

from kube.logfields import fields

# What moves a cursor, colours, links, or turns the direction of writing: C0 but for tab and newline, C1, and
# Unicode's own controls of direction and its separators of lines.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def plain(text: str) -> str:
    """Text without what a terminal would act on: tenants write parts of it."""
    return _CONTROLS.sub("", text)


def say(text: str) -> None:
    """Words for the reader, which must not get into a pipe."""
    click.echo(plain(text), err=True)


def data(text: str) -> None:
    """Prints nothing for an empty answer; a script would read a blank line as a name."""
    click.echo(plain(text), nl=bool(text) and not text.endswith("\n"))


def encode(value: Any, form: str) -> str:
    """`value` (plain data or structs) as json or yaml text."""
    value = msgspec.to_builtins(value)
    if form == "json":
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    import yaml  # noqa: PLC0415  only where asked for

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Aligned columns as kubectl prints them; the keys of the first row, in upper case, are the titles."""
    if not rows:
        return ""
    lines = [[key.upper().replace("_", " ") for key in rows[0]], *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def age(delta: timedelta) -> str:
    """The largest unit or two, as kubectl: 45s, 12m, 3h20m, 5d."""
    total = max(0, int(delta.total_seconds()))
    days, hours, minutes = total // 86400, total // 3600, total // 60
    if days >= 2:
        return f"{days}d"
    if hours >= 2:
        return f"{hours}h{minutes % 60}m" if minutes % 60 and hours < 8 else f"{hours}h"
    return f"{minutes}m" if minutes >= 2 else f"{total}s"


class Progress(Protocol):
    """What a long command tells while it works."""

    def step(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Everything done inside belongs to this step; leaving it shows how long it took."""

    def waiting(self, why: str) -> None:
        """Why the current step is not done yet; empty when there is nothing to say."""

    def result(self, text: str) -> None:
        """How the current step ended, e.g. `unchanged`."""


class Lines:
    """Progress for pipes and logs: a line per step, and one for each new reason to wait."""

    def __init__(self) -> None:
        self._result = ""
        self._why = ""

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        started, self._result, self._why = time.monotonic(), "", ""
        try:
            yield
        except BaseException:
            say(f"{name}: not done after {time.monotonic() - started:.1f} s")
            raise
        say(f"{name}: {self._result or 'done'} ({time.monotonic() - started:.1f} s)")

    def waiting(self, why: str) -> None:
        if why and why != self._why:
            say(f"  waiting: {why}")
        self._why = why

    def result(self, text: str) -> None:
        self._result = text


class Live:
    """Progress for terminals: finished steps stay, the current one spins with its elapsed time."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  30 ms, only on terminals
        from rich.live import Live as Display  # noqa: PLC0415
        from rich.markup import escape  # noqa: PLC0415
        from rich.spinner import Spinner  # noqa: PLC0415

        self._console = Console(stderr=True, highlight=False)
        self._display, self._spinner, self._escape = Display, Spinner, escape
        self._name = self._why = self._result = ""
        self._started = 0.0

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._name, self._why, self._result, self._started = name, "", "", time.monotonic()
        mark = "[red]✗[/]"
        try:
            with self._display(
                get_renderable=self._line, console=self._console, transient=True, refresh_per_second=8
            ):
                yield
            mark = "[green]✓[/]"
        finally:
            said = self._escape(f"{name} {self._result}".rstrip())
            self._console.print(f"{mark} {said} [dim]{time.monotonic() - self._started:.1f} s[/]")

    def waiting(self, why: str) -> None:
        self._why = plain(why)

    def result(self, text: str) -> None:
        self._result = plain(text)

    def _line(self) -> Any:
        elapsed = time.monotonic() - self._started
        why = f" [dim]{self._escape(self._why)}[/]" if self._why else ""
        spinner = self._spinner("dots", f"{self._escape(self._name)} {elapsed:.1f} s{why}")
        spinner.start_time = 0
        return spinner


class Timed:
    """Another progress whose steps are remembered, for a table of where the time went."""

    def __init__(self, inner: Progress) -> None:
        self._inner = inner
        self._took: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        with self.silently(name), self._inner.step(name):
            yield

    @contextlib.contextmanager
    def silently(self, name: str) -> Iterator[None]:
        """A step that shows nothing, because something else is using the terminal."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._took.append((name, time.monotonic() - started))

    def waiting(self, why: str) -> None:
        self._inner.waiting(why)

    def result(self, text: str) -> None:
        self._inner.result(text)

    def report(self) -> str:
        total = sum(seconds for _, seconds in self._took)
        return table(
            [{"step": name, "seconds": f"{took:.2f}"} for name, took in [*self._took, ("all", total)]]
        )


def progress() -> Progress:
    return Live() if sys.stderr.isatty() else Lines()


def log_to_stderr(verbosity: int) -> None:
    """-v shows what happens, -vv every request."""
    if verbosity:
        handler = logging.StreamHandler()
        handler.setFormatter(_Fields())
        level = logging.DEBUG if verbosity > 1 else logging.INFO
        for name in ("vcp", "syncer"):
            logging.getLogger(name).addHandler(handler)
            logging.getLogger(name).setLevel(level)


class _Fields(logging.Formatter):
    """Constant message first, then what the record carries beside the standard attributes."""

    def format(self, record: logging.LogRecord) -> str:
        told = (f"{key}={value}" for key, value in fields(record).items())
        return " ".join((super().format(record), *told))
