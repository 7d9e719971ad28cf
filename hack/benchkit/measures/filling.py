"""One tenant filled step by step: memory against pods. Then its syncer is killed: how soon it is in step
again, what it writes, and whether any host pod was touched."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import aiohttp

from benchkit import exposition, generator, pods, processes, stats
from benchkit.bench import Bench, say, scrape
from benchkit.exposition import Sample
from benchkit.measures import Size
from benchkit.measures.throughput import IN_FLIGHT
from kube import apis
from kube.objects import Obj

_SLOWEST = 8.0  # pods per second
_BACK = 90.0
_MIB = 1 << 20
_PROBE = 0.05


async def memory(bench: Bench, size: Size) -> dict[str, Any]:
    """Memory of each component at growing numbers of pods."""
    return (await _filled(bench, size, kills=0))["memory"]


async def restart(bench: Bench, size: Size) -> dict[str, Any]:
    """The syncer's return after SIGKILL, with all pods there."""
    return (await _filled(bench, size, kills=_kills(size)))["restart"]


async def both(bench: Bench, size: Size) -> dict[str, dict[str, Any]]:
    """By the names of the two measurements; the tenant is filled once."""
    return await _filled(bench, size, kills=_kills(size))


def _kills(size: Size) -> int:
    return size.repeat or (3 if size.full else 2)


async def _filled(bench: Bench, size: Size, *, kills: int) -> dict[str, dict[str, Any]]:
    most = size.pods or (10_000 if size.full else 2000)
    await bench.have_tenants(0)
    made = await bench.create()
    await bench.have_fakes(most)
    steps = [most // 4, most // 4, most // 2]
    points = [await _point(bench, made.name, 0)]
    total = 0
    for number, count in enumerate(steps):
        say(f"  filling one tenant: {total + count} of {most} pods")
        target = bench.through(made.name, count=count, in_flight=IN_FLIGHT)
        async with generator.running([target]) as load:
            deadline = 60 + count / _SLOWEST
            answer = await load.create(pods.fake(), deadline=deadline, prefix=f"m{number}")
        total += len(generator.times(answer.seen.values(), "ready"))
        await bench.quiet()
        points.append(await _point(bench, made.name, total))
        bench.keep({"memory": _memory(points)})
        if not answer.complete:
            break
    runs: list[dict[str, Any]] = []
    for _ in range(kills):
        runs.append(await _killed(bench, made.name))
        bench.keep({"restart": _restarts(total, runs)})
    await bench.delete(made.name)
    return {"memory": _memory(points), "restart": _restarts(total, runs)}


def _restarts(pods: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"pods": pods, "repeat": len(runs), "runs": runs}


async def _point(bench: Bench, tenant: str, count: int) -> dict[str, Any]:
    snapshot = await bench.snapshot([tenant])
    private = {name: usage.private for name, usage in snapshot.components.items()}
    memory = processes.memory(snapshot)
    return {"pods": count, "memory": memory, "private": private, "working": dict(snapshot.working)}


def _memory(points: list[dict[str, Any]]) -> dict[str, Any]:
    """Bytes per pod from the slope of each component's memory. The first pods also pay for buffers and heaps
    that grow once, so the line starts where some pods are."""
    filled = points[1:]
    names = set.intersection(*(set(point["memory"]) for point in filled))
    lines = {
        name: stats.fit([(point["pods"], point["memory"][name]) for point in filled])
        for name in sorted(names)
    }
    return {
        "points": points,
        "per_pod": {name: line.slope for name, line in lines.items()},
        "working": {name: line.offset for name, line in lines.items()},
    }


async def _killed(bench: Bench, tenant: str) -> dict[str, Any]:
    """One SIGKILL. Seconds until there is a new process, which the kubelet delays from the second time on; it
    has all stores and leads; it has nothing left to do; a new pod is Ready. `own` is the syncer's part."""
    versions = await _versions(bench, tenant)
    pid = processes.pid_of(await bench.snapshot([tenant]), "syncer")
    address = (await bench.syncer_pod(tenant))["status"]["podIP"]
    async with generator.running([bench.through(tenant, count=1)]) as load, bench.tenant(tenant) as client:
        away = asyncio.create_task(_away(client))
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        made = asyncio.create_task(load.create(pods.fake(), deadline=_BACK, prefix="after"))
        back = await _back(address)
        answer = await made
        metrics = await scrape(address)
        gone = await load.delete(deadline=30)
        away.cancel()
        silent = await away
    ready = generator.times(answer.seen.values(), "ready")
    now = await _versions(bench, tenant)
    after = await bench.snapshot([tenant])
    process = processes.started(processes.pid_of(after, "syncer"))
    return {
        **{name: when - killed for name, when in back.items()},
        "new_pod": (ready[0] if ready else answer.ended) - killed,
        "complete": answer.complete and gone.complete,
        "writes": _writes(metrics),
        "requests": exposition.total(metrics, "vcp_syncer_requests_total"),
        "host_pods_touched": sum(now.get(name) != version for name, version in versions.items()),
        "tenant_api_away": silent,
        "host_pods": len(versions),
        "process": process - killed,
        "own": back["in_step"] - process,
        "syncer_memory": after.components["syncer"].memory,
    }


async def _versions(bench: Bench, tenant: str) -> dict[str, str]:
    """Which version each host pod is at."""
    found: dict[str, str] = {}

    def note(obj: Obj) -> Obj:
        found[obj["metadata"]["name"]] = obj["metadata"]["resourceVersion"]
        return {}

    await bench.host.list(apis.PODS, f"vcp-{tenant}-work", each=note)
    return found


async def _back(address: str) -> dict[str, float]:
    """When, by the monotonic clock: a new process answered, was in step and led, and had nothing to do."""
    seen: dict[str, float] = {}
    async with asyncio.timeout(_BACK):
        while "settled" not in seen:
            await asyncio.sleep(_PROBE)
            try:
                metrics = await scrape(address)
            except (aiohttp.ClientError, OSError, TimeoutError):
                continue
            now = time.monotonic()
            seen.setdefault("answers", now)
            if _in_step(metrics):
                seen.setdefault("in_step", now)
                if not exposition.total(metrics, "vcp_syncer_queue_depth"):
                    seen.setdefault("settled", now)
    return seen


def _in_step(metrics: Mapping[Sample, float]) -> bool:
    complete = [value for sample, value in metrics.items() if sample.name == "vcp_syncer_in_step"]
    return bool(complete) and all(complete) and exposition.total(metrics, "vcp_syncer_leader") == 1


def _writes(metrics: Mapping[Sample, float]) -> dict[str, float]:
    """Of the new process, its lease apart."""
    return {
        f"{sample.label('side')} {sample.label('verb')} {sample.label('resource')}": value
        for sample, value in metrics.items()
        if sample.name == "vcp_syncer_requests_total"
        and sample.label("verb").startswith(("create", "patch", "delete"))
        and sample.label("resource") != "leases"
    }


async def _away(client: Any) -> float:
    """The longest time without an answer of the tenant's API, until cancelled."""
    from kube import errors, requests  # noqa: PLC0415

    longest, last = 0.0, time.monotonic()
    try:
        while True:
            try:
                await client.read(requests.raw("/api/v1/namespaces/default"))
            except errors.KubeError:
                await asyncio.sleep(_PROBE)
                continue
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            await asyncio.sleep(_PROBE)
    except asyncio.CancelledError:
        return longest
