"""Durations as people write them: `90s`, `1h30m`, `90d`."""

import re
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction

# In the order in which they are written; each at most once, so that a slip such as `1m1m` is noticed.
_SECONDS = {"y": 31_536_000, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in _SECONDS), re.ASCII)
_BARE = re.compile(_NUMBER, re.ASCII)


def duration(text: str) -> timedelta:
    """A duration such as `90` (seconds), `0.5s`, `1h30m`, `90d` or `1y` (of 365 days); ValueError if it is
    none."""
    if bare := _BARE.fullmatch(text):
        counts: Sequence[str | None] = ("0", "0", "0", "0", bare[1])
    else:
        match = _DURATION.fullmatch(text)
        counts = match.groups() if match else ()
    if not any(counts):
        raise ValueError(f"{text!r} is not a duration; write for example 90s, 30m, 1h30m, 90d or 1y")
    total = sum(
        (Fraction(count) * unit for count, unit in zip(counts, _SECONDS.values(), strict=True) if count),
        Fraction(0),
    )
    try:
        return timedelta(microseconds=round(total * 1_000_000))
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long a duration") from error
