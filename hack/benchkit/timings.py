"""Reads what `vcp create --timings` says: a line as each step ends, and at the end a table of all. Pure."""

import re

USABLE = "controllers"  # with this step the API answers, as its cluster-admin, with all that belongs in it
_LINE = re.compile(r"(\S.*?): .*\(\d+\.\d s\)")
_ROW = re.compile(r"(\S.*?) {3,}(\d+\.\d+)")
_SUM = "all"


def ended(line: str) -> str:
    """The step that a line says has ended; empty if it is another line."""
    match = _LINE.fullmatch(line)
    return match[1] if match else ""


def steps(lines: list[str]) -> dict[str, float]:
    """Seconds by step, from the table; steps of one name together."""
    found: dict[str, float] = {}
    for match in filter(None, map(_ROW.fullmatch, lines)):
        if match[1] != _SUM:
            found[match[1]] = round(found.get(match[1], 0.0) + float(match[2]), 3)
    return found
