"""Logs and execs of real pods, straight from the host and through the tenant's API: the same pods, in turn.

Lines carry the time at which they were written, on this machine's own clock; an exec of `cat` gives back what
it is sent.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from benchkit import generator, pods, processes, stats
from benchkit.bench import HOST, Bench, say
from benchkit.measures import Size
from kube import apis, requests
from kube import kubeconfig as kubeconfigs
from kube.client import Client
from labkit import images
from syncer.core import marks

_PODS = 10
_FOLLOWED = 15.0  # seconds
_ROUNDS = 20  # echoes of each exec
_OPENING = 8  # execs that start at once: each is a process of the container runtime
_LIMIT = 120.0
_BULK = 64 << 20  # bytes
_MIB = 1 << 20
_PROTOCOL = "v5.channel.k8s.io"
_LINES = ("sh", "-c", "while :; do date +%s.%N; sleep 0.5; done")


class Side(NamedTuple):
    """Where to ask: an API, and the pods as (namespace, name) there."""

    client: Client
    pods: list[tuple[str, str]]


async def measure(bench: Bench, size: Size) -> dict[str, Any]:
    """`pods` is the number of streams at once."""
    streams = size.pods or (200 if size.full else 100)
    made = await bench.create()
    async with contextlib.AsyncExitStack() as stack:
        load = await stack.enter_async_context(
            generator.running([bench.through(made.name, count=_PODS, in_flight=4)])
        )
        await load.create(pods.real(images.TOOLS, *_LINES), deadline=_LIMIT)
        sides = {name: await stack.enter_async_context(_side(bench, made.name, name)) for name in _ARMS}
        result: dict[str, Any] = {"streams": streams, "pods": _PODS}
        for name, measured in (("logs", _logs), ("execs", _execs)):
            result[name] = await _both(bench, made.name, name, sides, streams, measured)
        result["bulk"] = {arm: [await _bulk(side) for _ in range(3)] for arm, side in sides.items()}
    await bench.delete(made.name)
    return result


_ARMS = ("direct", "tenant")
_Measured = Callable[[Side, int], Awaitable[dict[str, Any]]]


@contextlib.asynccontextmanager
async def _side(bench: Bench, tenant: str, arm: str) -> AsyncIterator[Side]:
    context = HOST if arm == "direct" else f"vcp-{tenant}"
    access = kubeconfigs.find(str(bench.kubeconfig), context)
    async with Client(access, timeout=60, connections=0) as client:
        if arm == "direct":
            namespace, selector = f"vcp-{tenant}-work", marks.selector(tenant)
            found = await client.list(apis.PODS, namespace, labels=f"{selector},app=bench")
        else:
            namespace = "default"
            found = await client.list(apis.PODS, namespace, labels="app=bench")
        yield Side(client, [(namespace, pod["metadata"]["name"]) for pod in found])


async def _both(
    bench: Bench, tenant: str, what: str, sides: dict[str, Side], streams: int, measured: _Measured
) -> dict[str, Any]:
    result = {}
    for arm, side in sides.items():
        say(f"  {streams} {what}, {arm}")
        await bench.quiet(5)
        before = await bench.snapshot([tenant])
        peak = asyncio.create_task(_peak(bench, tenant))
        async with asyncio.timeout(_LIMIT):
            answer = await measured(side, streams)
        peak.cancel()
        after = await bench.snapshot([tenant])
        result[arm] = answer | {
            "cpu": processes.spent(before, after),
            "syncer_memory_before": before.components["syncer"].memory,
            "syncer_memory": await peak,
        }
    return result


async def _peak(bench: Bench, tenant: str) -> int:
    """The syncer's largest memory, until cancelled."""
    most = 0
    try:
        while True:
            most = max(most, (await bench.snapshot([tenant])).components["syncer"].memory)
            await asyncio.sleep(1.0)
    except asyncio.CancelledError:
        return most


async def _logs(side: Side, streams: int) -> dict[str, Any]:
    """Seconds from a line's writing to its arrival, over all followers; lines from before they came aside."""
    late: list[float] = []
    began = time.time()

    async def follow(pod: tuple[str, str]) -> None:
        rest = b""
        async for chunk in side.client.stream(requests.logs(*pod, follow=True, tail=1)):
            *lines, rest = (rest + chunk).split(b"\n")
            now = time.time()
            late.extend(now - written for line in lines if (written := float(line)) > began + 3)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FOLLOWED), asyncio.TaskGroup() as group:
            for number in range(streams):
                group.create_task(follow(side.pods[number % len(side.pods)]))
    return {"lines": len(late), "latency": stats.percentiles(late)}


async def _execs(side: Side, streams: int) -> dict[str, Any]:
    """Seconds to open an exec, and from a byte sent to its echo while all are open."""
    opening, echoes = asyncio.Semaphore(_OPENING), list[float]()
    opened: list[float] = []
    everyone = asyncio.Barrier(streams)

    async def one(number: int) -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with opening:
                began = time.monotonic()
                socket = await stack.enter_async_context(_exec(side, number, "cat"))
                await _echo(socket)
                opened.append(time.monotonic() - began)
            await everyone.wait()
            for _ in range(_ROUNDS):
                echoes.append(await _echo(socket))
                await asyncio.sleep(0.2)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(streams):
            group.create_task(one(number))
    return {
        "opened": stats.percentiles(opened),
        "echo": stats.percentiles(echoes),
        "seconds": time.monotonic() - began,
    }


def _exec(side: Side, number: int, command: str) -> contextlib.AbstractAsyncContextManager[Any]:
    namespace, name = side.pods[number % len(side.pods)]
    query = {"container": "main", "command": command, "stdin": "true", "stdout": "true"}
    return side.client.websocket(apis.PODS.path(namespace, name, "exec"), query, (_PROTOCOL,))


async def _echo(socket: Any) -> float:
    began = time.monotonic()
    await socket.send_bytes(b"\x00x")
    while (await socket.receive_bytes())[:2] != b"\x01x":
        pass
    return time.monotonic() - began


async def _bulk(side: Side) -> float:
    """MiB per second of one exec's output."""
    async with asyncio.timeout(_LIMIT), _exec(side, 0, "sh") as socket:
        began, got = time.monotonic(), 0
        await socket.send_bytes(b"\x00head -c %d /dev/zero\n" % _BULK)
        while got < _BULK:
            got += len(await socket.receive_bytes()) - 1
        return _BULK / _MIB / (time.monotonic() - began)
