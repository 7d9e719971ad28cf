"""How results are written: tables, spreads, units. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchkit import stats

Results = Mapping[str, Any]
MIB = 1 << 20
KIB = 1 << 10
PARTS = ("creates", "deletes")
FOREIGN = ("other pods", "others", "load generator")
"""Components that neither the host nor a tenant under test is made of."""


def table(rows: Iterable[Sequence[object]]) -> str:
    """The first row is the head."""
    first, *rest = [[str(cell) for cell in row] for row in rows]
    lines = [first, ["---"] * len(first), *rest]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(one: Mapping[str, float], digits: int = 1) -> str:
    """`median (least-most)`."""
    middle, least, most = (f"{one[name]:.{digits}f}" for name in ("median", "least", "most"))
    return f"{middle} ({least}-{most})"


def mib(size: float) -> str:
    return f"{size / MIB:.0f}"


def rates(runs: Sequence[Results], part: str) -> str:
    return spread(stats.spread([run[part]["rate"] for run in runs])._asdict())


def heads(arm: str) -> tuple[str, str, str]:
    return f"{arm} p50", "p90", "p99"


def milliseconds(values: Mapping[str, float]) -> list[str]:
    return [f"{values[name] * 1000:.0f}" if name in values else "" for name in ("p50", "p90", "p99")]


def seconds(values: Mapping[str, float]) -> list[str]:
    return [f"{values[name]:.2f}" if name in values else "" for name in ("p50", "p90", "p99")]


def cpu(runs: Sequence[Results], part: str) -> dict[str, float]:
    """The median over the repeats of each component's CPU seconds per 1,000 pods."""
    names = set().union(*(run[part]["cpu"] for run in runs))
    return {name: stats.spread([run[part]["cpu"].get(name, 0.0) for run in runs]).median for name in names}
