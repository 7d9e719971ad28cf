"""What a pod costs a syncer: time for its translation and for an event, memory for ten thousand. Run as
`python tests/bench_translate.py`.

Nothing is asserted: machines differ, and a slow one is not an error. Times are also given as a share of
`copy.deepcopy` of the same pod in the same run, which takes 89 µs on a quiet machine.
"""

import asyncio
import copy
import functools
import gc
import multiprocessing
import os
import sys
import time
import timeit
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from kube.objects import Obj, key_of
from syncer.core.actions import Side
from syncer.core.kind import Kind
from syncer.core.policy import Sync
from syncer.core.scope import Scope
from syncer.engine.interning import Sharing
from syncer.engine.store import Change, Store
from syncer.engine.workqueue import WorkQueue
from syncer.kinds.pods import metadata, references, spec
from syncer.kinds.pods.pods import Pods
from syncer.kinds.registry import registry
from syncer.kinds.secrets import Secrets
from tests import benchpods
from tests.pod_scope import Objects

KINDS = registry(Sync())
PODS = 10_000
RUNS = 20


class Timing:
    """The best of many short runs of CPU time: what others do on the machine disturbs these least."""

    def __init__(self, tenant: Obj) -> None:
        self.yardstick = self.best(lambda: copy.deepcopy(tenant))
        print(f"  {'copy.deepcopy':<34}{self.yardstick:8.1f} µs")

    def best(self, function: Callable[[], Any]) -> float:
        return min(timeit.Timer(function, timer=time.process_time).repeat(60, RUNS)) / RUNS * 1e6

    def show(self, name: str, function: Callable[[], Any]) -> None:
        self.tell(name, self.best(function))

    def tell(self, name: str, took: float) -> None:
        print(f"  {name:<34}{took:8.1f} µs{took / self.yardstick:8.2f} deepcopy")


class Holding:
    """The stores of pods and Secrets as a manager makes them."""

    def __init__(self, where: Scope) -> None:
        self.sharing = Sharing()
        self.tenant = self.store(Pods(), "tenant", where)
        self.host = self.store(Pods(), "host", where)
        self.secrets = self.store(Secrets(), "host", where)

    def store(self, resource: Kind, side: Side, where: Scope) -> Store:
        indexes = {
            name: functools.partial(lambda function, obj: function(obj, where), function)
            for name, function in resource.indexes.get(side, {}).items()
        }
        by = resource.indexed_by.get(side, ())
        return Store(indexes, lambda obj, old: self.sharing.shared(resource.kept(side, obj), old), by)

    def put(self, held: benchpods.Held) -> None:
        """In the order in which a pod that starts is seen."""
        self.host.put(held.host)
        self.tenant.put(held.tenant)
        self.secrets.put(held.secret)


def translation() -> None:
    tenant, where = benchpods.typical()
    print(f"pod of {len(msgspec.json.encode(tenant))} bytes; load of the machine {os.getloadavg()[0]:.1f}")
    timing = Timing(tenant)
    timing.show("host_pod", lambda: spec.host_pod(tenant, where))
    timing.show("host_labels", lambda: metadata.host_labels(tenant, where))
    timing.show("host_annotations", lambda: metadata.host_annotations(tenant, where))
    timing.show("references", lambda: references.references(tenant))
    settled(timing, tenant, where)
    asyncio.run(events(timing, where))


def settled(timing: Timing, tenant: Obj, where: Scope) -> None:
    """The plan of a pod that needs nothing: both Running, its tokens fresh."""
    held, resource, key = benchpods.held(tenant, where), Pods(), key_of(tenant)
    stores = Holding(where)
    stores.put(held)
    where = replace(where, host=Objects([held.host, held.secret]))
    timing.show("plan, settled", lambda: resource.plan(key, held.tenant, held.host, where))
    timing.show("find", lambda: resource.find(key, where))
    left = [type(action).__name__ for action in resource.plan(key, held.tenant, held.host, where)]
    print(f"  actions of that plan: {', '.join(left) or 'none'}")


async def events(timing: Timing, where: Scope) -> None:
    """What an event of a pod costs until its keys are queued: the first of each pod, and a later one."""
    resource = Pods()
    sides: tuple[Side, ...] = ("host", "tenant")
    for side in sides:
        bodies = [msgspec.json.encode(getattr(held, side)) for held in benchpods.many(500, 10)]
        decoder = msgspec.json.Decoder(resource.shapes[side])
        timing.show(f"{side} event: decode", lambda body=bodies[0], of=decoder: of.decode(body))
        took = {"first": float("inf"), "later": float("inf")}
        for _ in range(5):
            store, queue = getattr(Holding(where), side), WorkQueue[Any]()
            store.on_change = functools.partial(_queued, queue, resource, side, where)
            for number, name in enumerate(took):
                objects = [_newer(body, number * len(bodies)) for body in bodies]
                took[name] = min(took[name], _time(store.put, objects))
        for name, best in took.items():
            timing.tell(f"{side} event: {name} put, items, queue", best)


def _queued(queue: WorkQueue[Any], resource: Kind, side: Side, where: Scope, change: Change) -> None:
    for item in KINDS.affected(resource, side, *change, where):
        queue.add(item)


def _newer(body: bytes, by: int) -> Obj:
    obj: Obj = msgspec.json.decode(body)
    obj["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) + by)
    return obj


def _time(function: Callable[[Obj], Any], objects: Iterable[Obj]) -> float:
    objects = list(objects)
    started = time.process_time()
    for obj in objects:
        function(obj)
    return (time.process_time() - started) / len(objects) * 1e6


def memory(deployments: int) -> None:
    """In a process of its own: memory that Python has freed is not given back."""
    _, where = benchpods.typical()
    stores = Holding(where)
    gc.collect()
    before = _resident()
    for held in benchpods.many(PODS, deployments):
        stores.put(held)
    gc.collect()
    used = _resident() - before
    print(
        f"{PODS} pods, host pods and token Secrets of {deployments} Deployments: "
        f"{used / 2**20:.0f} MiB, {used / PODS / 1024:.1f} KiB each"
    )


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    translation()
    for deployments in (100, PODS):
        process = multiprocessing.get_context("spawn").Process(target=memory, args=(deployments,))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
