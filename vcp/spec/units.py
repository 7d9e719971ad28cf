"""Kubernetes quantities and durations: text that people write, checked and turned into numbers."""

import re
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

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 31_536_000}
_DURATION = re.compile(r"(?:\d+[smhdy])+")


def quantity(text: str) -> Fraction:
    """The number that a Kubernetes quantity such as `500m` or `5Gi` stands for; ValueError if it is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity; write for example 500m, 2 or 5Gi")
    return Fraction(match[1]) * _SUFFIXES[match[2] or ""]


def duration(text: str) -> timedelta:
    """A duration such as `8h`, `90d` or `1d12h` (a year has 365 days); ValueError if it is none."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write for example 30m, 8h, 90d or 1y")
    parts = re.findall(r"(\d+)([smhdy])", text)
    try:
        return timedelta(seconds=sum(int(count) * _SECONDS[unit] for count, unit in parts))
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long a duration") from error
