"""`vcp create` to a usable API, to a first running pod, and `vcp delete`: one tenant, and five at once."""

import asyncio
from statistics import median
from typing import Any

from benchkit import generator, pods, processes, stats
from benchkit.bench import Bench, Made
from benchkit.measures import Size
from labkit import images

_POD = 90.0
_AT_ONCE = 5
_IDLE = 10.0  # seconds over which an idle tenant's CPU time is counted


async def measure(bench: Bench, size: Size) -> dict[str, Any]:
    repeat = size.repeat or (5 if size.full else 3)
    alone = [await _round(bench, 1) for _ in range(repeat)]
    together = await _round(bench, size.tenants or _AT_ONCE)
    return {
        "repeat": repeat,
        "alone": _summary([one for each in alone for one in each]),
        "together": {"tenants": len(together), **_summary(together)},
        "idle": await _idle(bench),
    }


async def _round(bench: Bench, count: int) -> list[dict[str, Any]]:
    await bench.quiet()
    made = await asyncio.gather(*(_one(bench) for _ in range(count)))
    deleted = await asyncio.gather(*(bench.delete(one.name) for one, _ in made))
    return [
        {
            "usable": one.usable,
            "returned": one.returned,
            "pod": one.returned + pod,
            "steps": one.steps,
            "deleted": gone,
        }
        for (one, pod), gone in zip(made, deleted, strict=True)
    ]


async def _one(bench: Bench) -> tuple[Made, float]:
    """A tenant, and the seconds from the command's end until a real pod runs in it."""
    made = await bench.create()
    template = pods.real(images.TOOLS, "sleep", "infinity")
    async with generator.running([bench.through(made.name, count=1)]) as load:
        answer = await load.create(template, deadline=_POD)
    (seen,) = answer.seen.values()
    (steps,) = seen.steps.values()
    return made, steps.get("running", answer.ended) - steps["sent"]


def _summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("usable", "returned", "pod", "deleted")
    steps = [name for name in rounds[0]["steps"] if all(name in one["steps"] for one in rounds)]
    return {
        **{name: stats.spread([one[name] for one in rounds])._asdict() for name in names},
        "steps": {name: median(one["steps"][name] for one in rounds) for name in steps},
    }


async def _idle(bench: Bench) -> dict[str, Any]:
    """Memory by component of a tenant that does nothing, and the CPUs that it uses."""
    (name,) = await bench.have_tenants(1)
    await bench.quiet(30)
    before = await bench.snapshot([name])
    await asyncio.sleep(_IDLE)
    after = await bench.snapshot([name])
    mine = {part: used for part, used in after.components.items() if part.startswith(("tenant", "syncer"))}
    spent = processes.spent(before, after)
    return {
        "memory": {part: used.memory for part, used in mine.items()},
        "private": {part: used.private for part, used in mine.items()},
        "working": {part: after.working.get(part, 0) for part in mine},
        "cpus": {part: spent.get(part, 0.0) / _IDLE for part in mine},
    }
