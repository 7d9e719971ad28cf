"""Percentiles, spreads, ratios and straight lines. Pure: numbers in, numbers out."""

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple


class Spread(NamedTuple):
    """What several repeats gave."""

    median: float
    least: float
    most: float


class Line(NamedTuple):
    """`offset + slope * x`."""

    offset: float
    slope: float

    def at(self, x: float) -> float:
        return self.offset + self.slope * x


def spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed: the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p99; empty if there are no values."""
    if not values:
        return {}
    return {f"p{share}": percentile(values, share / 100) for share in (50, 90, 99)}


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """Each repeat's own ratio: what disturbs the machine for a minute disturbs both of its parts."""
    return spread([over / under for over, under in zip(numerators, denominators, strict=True) if under])


def fit(points: Sequence[tuple[float, float]]) -> Line:
    """Least squares. With fewer than two different x the slope is 0."""
    count = len(points)
    x_mean = sum(x for x, _ in points) / count
    y_mean = sum(y for _, y in points) / count
    variance = sum((x - x_mean) ** 2 for x, _ in points)
    if not variance:
        return Line(y_mean, 0.0)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in points) / variance
    return Line(y_mean - slope * x_mean, slope)


def thinned(times: Sequence[float], points: int = 100) -> list[tuple[float, int]]:
    """How many had happened by when, as at most `points` pairs, the last one included."""
    ordered = sorted(times)
    step = max(1, math.ceil(len(ordered) / points))
    chosen = [(ordered[index], index + 1) for index in range(0, len(ordered), step)]
    if ordered and chosen[-1][1] != len(ordered):
        chosen.append((ordered[-1], len(ordered)))
    return chosen
