"""Two runs side by side: every number that a reader would look for first. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchkit import goals


def compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Sequence[str]]:
    """Rows of what, before, now, now over before; the first is the head."""
    rows: list[Sequence[str]] = [("", "before", "now", "now / before")]
    before, now = dict(_numbers(old)), dict(_numbers(new))
    for name, value in now.items():
        if name in before:
            ratio = f"{value / before[name]:.2f}" if before[name] else ""
            rows.append((name, f"{before[name]:.3g}", f"{value:.3g}", ratio))
    return rows


def _numbers(results: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for goal, value in goals.judged(results):
        if value is not None:
            yield f"{goal.what}, {goal.unit}".removesuffix(", "), value
    for cell in results.get("throughput", {}).get("cells", ()):
        for part in ("creates", "deletes"):
            yield (
                f"{part}, {cell['pods']} pods, {cell['tenants']} tenants: ratio",
                cell["ratio"][part]["median"],
            )
    for name, values in results.get("latency", {}).get("parts", {}).items():
        yield f"{name}, p50 in ms", values["p50"] * 1000
