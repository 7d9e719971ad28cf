"""Compares `kube` with `kubernetes_asyncio`: imports, lists, watches and single requests, against a local
server that sends the same bytes to both. Run as `python tests/bench_client.py`; it takes four minutes.

Nothing is asserted: machines differ. The contestants take turns, and the best round of each counts. The
garbage collector is off while time is taken, for both clients alike.
"""

import asyncio
import ctypes
import functools
import gc
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api
from kubernetes_asyncio.watch import Watch

from kube import auth
from kube.apis import PODS
from kube.client import Client
from kube.objects import Obj
from syncer.kinds.pods.partial import HostPod, TenantPod
from tests.benchserver import server

ROOT = Path(__file__).parents[1]
COUNTS = (1_000, 10_000)
EVENTS, REQUESTS, ROUNDS, PAGE = 5_000, 500, 5, 500
MOST = 2 << 30  # bytes of address space for a process that holds a list
AFTER = """
import time
resident = next(line for line in open("/proc/self/status") if line.startswith("VmRSS:"))
print(time.process_time(), resident.split()[1])
"""
IMPORTS = {
    "nothing": "",
    "aiohttp, msgspec, yaml": "import aiohttp, msgspec, yaml",
    "kube": "import kube.client, kube.kubeconfig",
    "kubernetes_asyncio": "from kubernetes_asyncio import client, config, watch",
}
PATCH = {"metadata": {"annotations": {"vcp.dev/bench": "1"}}}


class Both(NamedTuple):
    """The two clients of one server; a namespace's name is the number of its pods, or of a watch's events."""

    kube: Client
    other: CoreV1Api


Contestant = Callable[[Both, int], Awaitable[Any]]


@asynccontextmanager
async def clients(url: str) -> AsyncIterator[Both]:
    async with Client(auth.Access(url)) as own, ApiClient(Configuration(host=url)) as other:
        yield Both(own, CoreV1Api(other))


# The contestants


async def list_kube(both: Both, count: int, shape: Any) -> Any:
    return await both.kube.list(PODS, str(count), page_size=PAGE, shape=shape)


async def list_models(both: Both, count: int) -> Any:
    items, token = [], None
    while token != "":
        page = await both.other.list_namespaced_pod(
            str(count), limit=PAGE, **({"_continue": token} if token else {})
        )
        items += page.items
        token = page.metadata._continue or ""
    return items


async def list_raw(both: Both, count: int, decode: Callable[[bytes], Any]) -> Any:
    items, token = [], None
    while token != "":
        response = await both.other.list_namespaced_pod(
            str(count), limit=PAGE, _preload_content=False, **({"_continue": token} if token else {})
        )
        page = decode(await response.read())
        items += page["items"]
        token = page["metadata"].get("continue", "")
    return items


async def watch_kube(both: Both, count: int, shape: Any) -> int:
    return len([1 async for _ in both.kube.watch(PODS, str(count), resource_version="1", shape=shape)])


async def watch_models(both: Both, count: int) -> int:
    async with Watch() as watch:
        events = watch.stream(both.other.list_namespaced_pod, str(count), timeout_seconds=300)
        return len([1 async for _ in events])


async def watch_raw(both: Both, count: int) -> int:
    def untyped(*args: Any, **kwargs: Any) -> Any:  # Watch reads the type from a docstring; here is none
        return both.other.list_namespaced_pod(*args, **kwargs)

    async with Watch() as watch:
        return len([1 async for _ in watch.stream(untyped, str(count), timeout_seconds=300)])


def repeated(call: Callable[[Both], Awaitable[Any]], *, raw: bool = False) -> Contestant:
    async def run(both: Both, count: int) -> None:
        for _ in range(count):
            answer = await call(both)
            if raw:
                json.loads(await answer.read())

    return run


LISTS: Mapping[str, Contestant] = {
    "kube, what is read of a host pod": functools.partial(list_kube, shape=HostPod),
    "kube, what is read of a tenant pod": functools.partial(list_kube, shape=TenantPod),
    "kube, whole": functools.partial(list_kube, shape=Obj),
    "kubernetes_asyncio, models": list_models,
    "kubernetes_asyncio, raw, json": functools.partial(list_raw, decode=json.loads),
    "kubernetes_asyncio, raw, msgspec": functools.partial(list_raw, decode=msgspec.json.decode),
}
WATCHES: Mapping[str, Contestant] = {
    "kube, what is read of a host pod": functools.partial(watch_kube, shape=HostPod),
    "kube, what is read of a tenant pod": functools.partial(watch_kube, shape=TenantPod),
    "kube, whole": functools.partial(watch_kube, shape=Obj),
    "kubernetes_asyncio, models": watch_models,
    "kubernetes_asyncio, raw": watch_raw,
}
RAW, AS_MERGE = {"_preload_content": False}, {"_content_type": "application/merge-patch+json"}
GETS: Mapping[str, Contestant] = {
    "kube": repeated(lambda both: both.kube.get(PODS, "1", "web")),
    "kubernetes_asyncio, models": repeated(lambda both: both.other.read_namespaced_pod("web", "1")),
    "kubernetes_asyncio, raw, json": repeated(
        lambda both: both.other.read_namespaced_pod("web", "1", **RAW), raw=True
    ),
}
PATCHES: Mapping[str, Contestant] = {
    "kube": repeated(lambda both: both.kube.patch(PODS, "1", "web", PATCH)),
    "kubernetes_asyncio, models": repeated(
        lambda both: both.other.patch_namespaced_pod("web", "1", PATCH, **AS_MERGE)
    ),
    "kubernetes_asyncio, raw, json": repeated(
        lambda both: both.other.patch_namespaced_pod("web", "1", PATCH, **AS_MERGE, **RAW), raw=True
    ),
}


# What is measured


def imports() -> None:
    print("imports, of a fresh process          wall ms   CPU ms   RSS MiB")
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in IMPORTS}
    for _ in range(ROUNDS):
        for name, code in IMPORTS.items():
            began = time.perf_counter()
            run = subprocess.run(
                [sys.executable, "-c", code + AFTER], cwd=ROOT, check=True, capture_output=True, text=True
            )
            wall = time.perf_counter() - began
            cpu, resident = map(float, run.stdout.split())
            found[name].append((wall * 1e3, cpu * 1e3, resident / 1024))
    for name, rounds in found.items():
        print(f"  {name:<34}" + "".join(f"{min(column):9.0f}" for column in zip(*rounds, strict=True)))


async def timed(both: Both, title: str, contestants: Mapping[str, Contestant], count: int) -> None:
    """CPU and wall time for each of `count`, and the CPU time as a multiple of the first contestant's."""
    print(f"{title:<36} CPU µs  wall µs    times   rounds (CPU µs)")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, contestant in contestants.items():
            gc.collect()
            gc.disable()
            cpu, wall = time.process_time(), time.perf_counter()
            result = await contestant(both, count)
            took = ((time.process_time() - cpu) / count * 1e6, (time.perf_counter() - wall) / count * 1e6)
            found[name].append(took)
            gc.enable()
            del result
    first = min(found[next(iter(found))])[0]
    for name, rounds in found.items():
        cpu, wall = (min(column) for column in zip(*rounds, strict=True))
        each = " ".join(f"{one:.0f}" for one, _ in rounds)
        print(f"  {name:<34}{cpu:8.1f}{wall:9.1f}{cpu / first:9.2f}   {each}")


def memory(url: str) -> None:
    for count in COUNTS:
        print(f"held after a list of {count:<15} KiB a pod   peak MiB")
        for name in LISTS:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
                used, peak = alone.submit(held, url, name, count).result()
            print(f"  {name:<34}{used / count / 1024:9.1f}{peak / 2**20:11.0f}")


def held(url: str, name: str, count: int) -> tuple[int, int]:
    """In a process of its own: memory that Python has freed is not given back."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))

    async def run() -> tuple[int, int]:
        async with clients(url) as both:
            await LISTS[name](both, 1)
            before = _resident()
            found = await LISTS[name](both, count)
            peak, after = _memory("VmHWM"), _resident()
            assert len(found) == count
            return after - before, peak - before

    return asyncio.run(run())


def _resident() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _memory("VmRSS")


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))


async def times(url: str) -> None:
    async with clients(url) as both:
        await timed(both, f"GET of a pod, {REQUESTS} in turn", GETS, REQUESTS)
        await timed(both, f"PATCH of a pod, {REQUESTS} in turn", PATCHES, REQUESTS)
        await timed(both, f"watch of {EVENTS} events", WATCHES, EVENTS)
        for count in COUNTS:
            await timed(both, f"list of {count} pods", LISTS, count)


def main() -> None:
    print(f"Python {sys.version.split()[0]}", end="")
    for name in ("kubernetes_asyncio", "aiohttp", "msgspec"):
        print(f", {name} {version(name)}", end="")
    print(f"; load of the machine {os.getloadavg()[0]:.1f}")
    imports()
    with server(max(COUNTS), PAGE) as (url, size):
        print(f"pods of {size} bytes")
        asyncio.run(times(url))
        memory(url)


if __name__ == "__main__":
    main()
