"""Counts what pods cost the syncer in requests, writes and bytes, against a recorded budget: the same on any
machine, however busy."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchkit import budget, exposition, generator, pods, processes
from benchkit.bench import Bench, say
from benchkit.budget import Budget
from benchkit.exposition import Sample
from benchkit.measures import Size

BUDGET = Path(__file__).parents[1] / "budget.json"
_PODS = 150
_IN_FLIGHT = 8
_DEADLINE = 60.0
_STILL = 6.0  # seconds without a request, until all has settled: Events come some seconds after their cause


async def measure(bench: Bench, size: Size) -> dict[str, Any]:
    """Counts per pod of creates and of deletes."""
    count = size.pods or _PODS
    await bench.have_fakes(count)
    (tenant,) = await bench.have_tenants(1)
    await _settled(bench, tenant)
    result: dict[str, Any] = {"pods": count}
    async with generator.running([bench.through(tenant, count=count, in_flight=_IN_FLIGHT)]) as load:
        for part in ("creates", "deletes"):
            before, sent = await bench.syncer(tenant), await _bytes(bench, tenant)
            if part == "creates":
                answer = await load.create(pods.fake(), deadline=_DEADLINE)
            else:
                answer = await load.delete(deadline=_DEADLINE)
            bytes_ = await _bytes(bench, tenant) - sent
            after = await _settled(bench, tenant)
            result[part] = budget.counts(exposition.grown(before, after), bytes_, count)
            result[f"{part}_complete"] = answer.complete
    return result


def judged(result: Mapping[str, Any]) -> list[str]:
    """What exceeds the recorded budget, in words."""
    budgets = msgspec.json.decode(BUDGET.read_bytes(), type=dict[str, Budget])
    told = [f"not all {part} were done in time" for part in budgets if not result[f"{part}_complete"]]
    for part, allowed in budgets.items():
        told += [f"{part}: {one}" for one in budget.exceeded(result[part], allowed, result["pods"])]
    return told


def record(result: Mapping[str, Any]) -> None:
    """Makes what was measured the budget."""
    budgets = {part: budget.recorded(result[part]) for part in ("creates", "deletes")}
    BUDGET.write_bytes(msgspec.json.format(msgspec.json.encode(budgets), indent=1) + b"\n")
    say(f"  {BUDGET.name} is written")


async def _bytes(bench: Bench, tenant: str) -> int:
    snapshot = await bench.snapshot([tenant])
    return processes.received_and_sent(processes.pid_of(snapshot, "syncer"))


async def _settled(bench: Bench, tenant: str) -> dict[Sample, float]:
    """The syncer's counts once they have stood still."""
    loop = asyncio.get_running_loop()
    seen, since = await _requests(bench, tenant), loop.time()
    async with asyncio.timeout(_DEADLINE):
        while loop.time() - since < _STILL:
            await asyncio.sleep(0.5)
            now = await _requests(bench, tenant)
            if now != seen:
                seen, since = now, loop.time()
    return seen


async def _requests(bench: Bench, tenant: str) -> dict[Sample, float]:
    return await bench.syncer(tenant, "vcp_syncer_requests_total")
