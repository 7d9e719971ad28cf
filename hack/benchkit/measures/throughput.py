"""Many pods at once, with 32 creates in flight: pods per second, latencies, and what each component paid.

Direct use and tenants take turns; direct use spreads its pods over as many namespaces as there are tenants.
"""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchkit import generator, pods, processes, stats
from benchkit.bench import Bench, say
from benchkit.load import Answer, Target
from benchkit.measures import Size

IN_FLIGHT = 32
SLOWEST = 8.0  # pods per second, below which a part is given up


class Cell(NamedTuple):
    pods: int
    tenants: int
    repeat: int

    @property
    def limit(self) -> float:
        """Seconds after which the cell is given up: some three times what it takes on two CPUs."""
        return 120.0 + 15.0 * self.tenants + 0.2 * self.pods * self.repeat


# The smallest first: where time is short, it is the largest that are not measured.
_CELLS = (Cell(1000, 1, 2), Cell(1250, 5, 1))
_FULL = (
    *(Cell(1250, 1, 2), Cell(2500, 1, 1)),
    *(Cell(1250, 5, 1), Cell(1250, 10, 1), Cell(1250, 20, 1)),
    *(Cell(5000, 1, 1), Cell(10_000, 1, 1)),
)


async def measure(bench: Bench, size: Size) -> dict[str, Any]:
    """Each cell is kept as soon as it is measured, and with it what is still missing."""
    cells, missing, wanted = list[dict[str, Any]](), list[dict[str, Any]](), list(_wanted(size))
    for number, cell in enumerate(wanted):
        if cells:
            rest = [_missing(one) for one in wanted[number:]]
            bench.keep({"throughput": {"cells": cells, "missing": missing + rest}})
        try:
            async with asyncio.timeout(cell.limit):
                cells.append(await _measured(bench, cell))
        except Exception as error:  # what the other cells measure is worth having
            why = "no end in time" if isinstance(error, TimeoutError) else f"{type(error).__name__} {error}"
            say(f"  ✗ {cell.pods} pods, {cell.tenants} tenants: {why}")
            missing.append(_missing(cell, why))
            await bench.clean()  # pods that are left would be in the way of the next
    if not cells:
        raise RuntimeError("no cell was measured")
    return {"cells": cells, "missing": missing}


def _wanted(size: Size) -> Sequence[Cell]:
    cells = _FULL if size.full else _CELLS
    if size.pods or size.tenants:
        return [Cell(size.pods or 1250, size.tenants or 1, size.repeat or 2)]
    return [cell._replace(repeat=size.repeat or cell.repeat) for cell in cells]


def _missing(cell: Cell, why: str = "no time") -> dict[str, Any]:
    return {"pods": cell.pods, "tenants": cell.tenants, "why": why}


async def _measured(bench: Bench, cell: Cell) -> dict[str, Any]:
    count, tenants, repeat = cell
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
    deadline = 30.0 + count / SLOWEST
    await bench.quiet()
    async with generator.running(targets) as load:
        start = await bench.snapshot(tenants)
        made = await load.create(pods.fake(), deadline=deadline, prefix=f"b{secrets.token_hex(2)}")
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
