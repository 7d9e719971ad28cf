"""Many pods at once, with 32 creates in flight: pods per second, latencies, and what each component paid.

Direct use and tenants take turns; direct use spreads its pods over as many namespaces as there are tenants.
"""

from collections.abc import Sequence
from typing import Any

from benchkit import generator, pods, processes, stats
from benchkit.bench import Bench, say
from benchkit.load import Answer, Target
from benchkit.measures import Size

IN_FLIGHT = 32
_SLOWEST = 6.0  # pods per second, below which a part is given up
_CELLS = ((1000, 1, 2), (1250, 5, 1))  # pods, tenants, repeats
_FULL = (
    (1250, 1, 3),
    (2500, 1, 3),
    (5000, 1, 2),
    (10000, 1, 1),
    *((1250, 5, 3), (2500, 5, 2), (5000, 5, 1)),
    *((2500, 10, 2), (5000, 10, 1)),
    (5000, 20, 1),
)


async def measure(bench: Bench, size: Size) -> dict[str, Any]:
    cells: Sequence[tuple[int, int, int]] = _FULL if size.full else _CELLS
    if size.pods or size.tenants:
        cells = [(size.pods or 1250, size.tenants or 1, size.repeat or 2)]
    elif size.repeat:
        cells = [(count, tenants, size.repeat) for count, tenants, _ in cells]
    return {"cells": [await _cell(bench, *cell) for cell in cells]}


async def _cell(bench: Bench, count: int, tenants: int, repeat: int) -> dict[str, Any]:
    await bench.have_fakes(count)
    names = await bench.have_tenants(tenants)
    share: dict[str, Any] = {"count": count // tenants, "in_flight": max(1, IN_FLIGHT // tenants)}
    direct = [bench.direct(name, **share) for name in await bench.have_namespaces(tenants)]
    through = [bench.through(name, **share) for name in names]
    runs: dict[str, list[dict[str, Any]]] = {"direct": [], "tenant": []}
    for number in range(repeat):
        for arm, targets in (("direct", direct), ("tenant", through)):
            say(f"  {count} pods, {tenants} tenants, {arm}, {number + 1} of {repeat}")
            runs[arm].append(await run(bench, targets, names if arm == "tenant" else []))
    return {"pods": count, "tenants": tenants, "repeat": repeat, "runs": runs, "ratio": _ratio(runs)}


async def run(bench: Bench, targets: Sequence[Target], tenants: Sequence[str]) -> dict[str, Any]:
    """Creates all pods, waits until they are ready, deletes them; counts what both parts cost."""
    count = sum(target.count for target in targets)
    deadline = 30.0 + count / _SLOWEST
    await bench.quiet()
    async with generator.running(targets) as load:
        start = await bench.snapshot(tenants)
        made = await load.create(pods.fake(), deadline=deadline)
        full = await bench.snapshot(tenants)
        gone = await load.delete(deadline=deadline)
        end = await bench.snapshot(tenants)
    seen = list(gone.seen.values())
    return {
        "creates": {
            "rate": generator.rate(seen, "sent", "ready"),
            "ready": stats.percentiles(generator.durations(seen, "sent", "ready")),
            "answered": stats.percentiles(generator.durations(seen, "sent", "answered")),
            "curve": generator.curve(seen, "sent", "ready"),
            **_cost(start, full, made, count),
        },
        "deletes": {
            "rate": generator.rate(seen, "deleting", "gone"),
            "gone": stats.percentiles(generator.durations(seen, "deleting", "gone")),
            **_cost(full, end, gone, count),
        },
        "memory": processes.memory(full),
        "memory_before": processes.memory(start),
    }


def _cost(
    before: processes.Snapshot, after: processes.Snapshot, answer: Answer, count: int
) -> dict[str, Any]:
    """CPU seconds per 1,000 pods; the load generator is a process of the bench, not of the lab."""
    spent = processes.spent(before, after)
    spent["others"] = max(0.0, spent["others"] - answer.cpu) if "others" in spent else 0.0
    per_thousand = {name: round(seconds * 1000 / count, 2) for name, seconds in spent.items()}
    return {
        "cpu": per_thousand | {"load generator": round(answer.cpu * 1000 / count, 2)},
        "seconds": answer.ended - answer.started,
        "complete": answer.complete,
        "failed": answer.failed,
    }


def _ratio(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Tenant over direct, repeat by repeat."""
    return {
        part: stats.ratios(
            [one[part]["rate"] for one in runs["tenant"]], [one[part]["rate"] for one in runs["direct"]]
        )._asdict()
        for part in ("creates", "deletes")
    }
