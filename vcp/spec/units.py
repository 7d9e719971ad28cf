"""Kubernetes quantities and durations: text that people write, checked and turned into numbers."""

import re
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction

# resource.Quantity: decimal and binary suffixes (Kubernetes API conventions, "Quantity").
_SUFFIXES = {
    "": Fraction(1),
    "m": Fraction(1, 1000),
    **{suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|[kMGTPE]|[KMGTPE]i)?")

# In the order in which they are written; each at most once, so that a slip such as `1m1m` is noticed.
_SECONDS = {"y": 31_536_000, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in _SECONDS), re.ASCII)
_BARE = re.compile(_NUMBER, re.ASCII)


def quantity(text: str) -> Fraction:
    """The number that a Kubernetes quantity such as `500m` or `5Gi` stands for; ValueError if it is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity; write for example 500m, 2 or 5Gi")
    return Fraction(match[1]) * _SUFFIXES[match[2] or ""]


def duration(text: str) -> timedelta:
    """A duration such as `90` (seconds), `0.5s`, `1h30m`, `90d` or `1y` (of 365 days); ValueError if it is
    none."""
    if bare := _BARE.fullmatch(text):
        counts: Sequence[str | None] = ("0", "0", "0", "0", bare[1])
    else:
        match = _DURATION.fullmatch(text)
        counts = match.groups() if match else ()
    if not any(counts):
        raise ValueError(f"{text!r} is no duration; write for example 90s, 30m, 1h30m, 90d or 1y")
    total = sum(
        (Fraction(count) * unit for count, unit in zip(counts, _SECONDS.values(), strict=True) if count),
        Fraction(0),
    )
    try:
        return timedelta(microseconds=round(total * 1_000_000))
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long a duration") from error
