"""A greedy tenant beside small ones: what the small ones notice, and what they would notice on the host."""

from typing import Any

from benchkit import generator, pods, stats
from benchkit.bench import Bench
from benchkit.load import Target
from benchkit.measures import Size
from benchkit.measures.throughput import IN_FLIGHT

_SMALL = 10  # pods of each small tenant
_HEAD_START = 3.0  # seconds that the greedy one has
_DEADLINE = 180.0


async def measure(bench: Bench, size: Size) -> dict[str, Any]:
    tenants = size.tenants or (10 if size.full else 4)
    count = size.pods or (1250 if size.full else 600)
    await bench.have_fakes(count + _SMALL * tenants)
    names, spaces = await bench.have_tenants(tenants), await bench.have_namespaces(tenants)
    result: dict[str, Any] = {"greedy_pods": count, "small_pods": _SMALL, "small_tenants": tenants - 1}
    for arm, make, places in (("direct", bench.direct, spaces), ("tenant", bench.through, names)):
        small = [make(name, count=_SMALL, in_flight=2) for name in places[1:]]
        late = [make(name, count=_SMALL, in_flight=2, delay=_HEAD_START) for name in places[1:]]
        greedy = make(places[0], count=count, in_flight=IN_FLIGHT)
        alone = await _ready(bench, small)
        beside = await _ready(bench, [greedy, *late])
        result[arm] = {
            "small alone": stats.percentiles(alone["small"]),
            "small beside greedy": stats.percentiles(beside["small"]),
            "greedy": stats.percentiles(beside["greedy"]),
            "complete": alone["complete"] and beside["complete"],
        }
    return result


async def _ready(bench: Bench, targets: list[Target]) -> dict[str, Any]:
    """Seconds from create to Ready, of the small ones and of the greedy one."""
    await bench.quiet()
    async with generator.running(targets) as load:
        answer = await load.create(pods.fake(), deadline=_DEADLINE)
        await load.delete(deadline=_DEADLINE)
    greedy = {target.name for target in targets if target.count > _SMALL}
    return {
        "small": generator.durations([s for n, s in answer.seen.items() if n not in greedy], "sent", "ready"),
        "greedy": generator.durations([s for n, s in answer.seen.items() if n in greedy], "sent", "ready"),
        "complete": answer.complete,
    }
