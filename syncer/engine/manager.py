"""One syncer: stores and informers for every resource, the queue between them and the workers, and who may
write.

Workers run only while this replica leads and after every informer has listed once: a plan that saw half of a
cluster would delete the other half.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Coroutine, Hashable, Iterable
from typing import Any, NamedTuple

from kube.client import Client
from kube.objects import Key, Obj, key_of
from kube.reflector import View
from syncer.core import marks
from syncer.core.actions import Side
from syncer.core.kind import Index, Item, Kind, Kinds
from syncer.core.scope import Scope
from syncer.engine.controller import Controller
from syncer.engine.executor import Executor, NotLeaderError
from syncer.engine.informer import Informer
from syncer.engine.interning import Sharing
from syncer.engine.leadership import Leadership
from syncer.engine.metrics import Metrics
from syncer.engine.pacing import Pacer
from syncer.engine.recorder import Recorder
from syncer.engine.store import Change, Store, Stores
from syncer.engine.workqueue import ClosedError, Lane, WorkQueue

_log = logging.getLogger(__name__)
_FEW = 20  # objects in a page of a list, of kinds that take up to a MiB each
_DRAIN_LIMIT = 4.0  # seconds; the pod's grace period is longer


class Parts(NamedTuple):
    """What a manager is made of; `scope` without its readers, which are the manager's own stores."""

    clients: dict[Side, Client]
    kinds: Kinds
    scope: Scope
    leadership: Leadership
    metrics: Metrics
    wall: Callable[[], float]
    workers: int


class Manager:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.metrics = parts.metrics
        self._sharing = Sharing()
        self.queue: WorkQueue[Item] = WorkQueue()
        self.stores: dict[Side, Stores] = {"tenant": Stores(), "host": Stores()}
        self.scope = parts.scope.reading(self.stores["tenant"], self.stores["host"])
        self.informers = [
            self._informer(resource, side, selector)
            for resource in parts.kinds
            for side, selector in resource.watches.items()
        ]
        self._read = {kind.api.api_version for kind in parts.kinds if "tenant" in kind.watches}
        self._replacing: dict[Key, str] = {}
        self.replaced: list[str] = []
        """The APIs of the tenant that are read here and that another server answers for: nothing is written
        while there are any."""
        self.restored = asyncio.Event()
        """Set once there are none any more. What has been read meanwhile is forgotten by starting anew."""
        parts.leadership.notes = self.notes
        self.pacer = Pacer(parts.scope.sync.budget, time.monotonic)
        executor = Executor(parts.clients, self.stores, parts.metrics, self.may_write, parts.wall)
        self.controller = Controller(
            parts.kinds.by_name,
            self.queue,
            executor,
            Recorder(executor, parts.clients["tenant"], parts.wall),
            parts.metrics,
            self.scope,
            parts.wall,
            self.pacer,
            self.mirrored,
        )

    async def listed(self) -> None:
        """Returns when every store has been complete once."""
        for informer in self.informers:
            await informer.listed.wait()

    @property
    def in_step(self) -> bool:
        """Whether every store is complete."""
        return all(informer.in_step for informer in self.informers)

    def lagging(self) -> list[str]:
        """The informers that are not in step, each as `tenant pods`."""
        return [
            f"{informer.side} {informer.view.resource.plural}"
            for informer in self.informers
            if not informer.in_step
        ]

    def notes(self) -> dict[str, str]:
        """What the Lease tells whoever looks at the tenant from the host: why writes wait."""
        found = {marks.OVERDRAWN: int(self.pacer.overdrawn()), marks.FIGHTS: self.pacer.fights()}
        counted = {key: str(count) for key, count in found.items() if count}
        return counted | ({marks.REPLACED: ",".join(self.replaced)} if self.replaced else {})

    def may_write(self) -> bool:
        return self._parts.leadership.held() and not self.replaced

    def mirrored(self) -> int:
        """Bytes of what is on the host of the kinds that are weighed."""
        return sum(informer.store.weight for informer in self.informers if informer.side == "host")

    def measure(self) -> None:
        """Brings the gauges up to date, for somebody who is about to read them."""
        metrics = self.metrics
        metrics.leader.set(self._parts.leadership.held())
        metrics.replaced.set(len(self.replaced))
        metrics.fights.set(self.pacer.fights())
        metrics.mirrored.set(self.mirrored())
        for lane in Lane:
            metrics.depth.labels(lane.name.lower()).set(self.queue.depth(lane))
        for informer in self.informers:
            labels = (informer.side, informer.view.resource.plural)
            metrics.objects.labels(*labels).set(len(informer.store))
            metrics.in_step.labels(*labels).set(informer.in_step)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, or the tenant's own API server answers for all again; then what is being
        written is finished, and the lease given back."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    self._followed(informer), name=f"{informer.side} {informer.view.resource.plural}"
                )
                for informer in self.informers
            ]
            tasks.append(group.create_task(self._parts.leadership.run(), name="leadership"))
            lead = group.create_task(self._lead(), name="lead")
            await _first(stop.wait(), self.restored.wait())
            _log.info("draining")
            self.queue.close()
            await asyncio.wait({lead}, timeout=_DRAIN_LIMIT)
            lead.cancel()
            tasks[-1].cancel()
            await self._parts.leadership.release()
            for task in tasks:
                task.cancel()

    async def _followed(self, informer: Informer) -> None:
        """Kinds that are held whole only if something refers to them come after what may do so."""
        kind = next(kind for kind in self._parts.kinds if kind.api == informer.view.resource)
        if informer.side == "tenant" and kind.outlined:
            for other in self.informers:
                if other.side == "tenant" and other.view.resource in kind.referrers:
                    await other.listed.wait()
        await informer.run()

    async def _lead(self) -> None:
        """Works whenever this replica leads, until the queue is closed."""
        closing = self.queue.closing
        await _first(self.listed(), closing.wait())
        leadership = self._parts.leadership
        while not closing.is_set():
            if self.may_write():
                await _first(self._work(), self._deposed())
            else:
                leadership.changed.clear()
                await _first(leadership.changed.wait(), closing.wait())

    async def _work(self) -> None:
        """All workers; returns when the queue is closed and they have finished, or the lead is lost."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._parts.workers):
                    group.create_task(self.controller.work(), name=f"worker {number}")
        except* (NotLeaderError, ClosedError):
            pass

    async def _deposed(self) -> None:
        leadership = self._parts.leadership
        while self.may_write():
            leadership.changed.clear()
            await leadership.changed.wait()

    def _informer(self, resource: Kind, side: Side, selector: str) -> Informer:
        scope = self.scope
        indexes = {
            name: functools.partial(_indexed, function, scope)
            for name, function in resource.indexes.get(side, {}).items()
        }
        keep = functools.partial(_kept, resource, side, self._sharing, scope)
        weighed = resource.weighed and side == "host"
        store = Store(indexes, keep, resource.indexed_by.get(side, ()), weighed=weighed)
        self.stores[side].add(resource.api, store)
        namespace = scope.namespace if side == "host" and resource.api.namespaced else ""
        shape = resource.shapes.get(side, Obj)
        page = _FEW if resource.weighed else View.page
        view = View(resource.api, namespace, selector.format(tenant=scope.name), shape=shape, page=page)
        informer = Informer(self._parts.clients[side], side, view, store)
        store.on_change = functools.partial(self._changed, resource, informer)
        return informer

    def _changed(self, resource: Kind, informer: Informer, change: Change) -> None:
        if informer.side == "tenant":
            self._trust(resource, change)
        lane = _lane(informer, change)
        for item in self._parts.kinds.affected(resource, informer.side, *change, self.scope):
            self.queue.add(item, lane)

    def _trust(self, resource: Kind, change: Change) -> None:
        """Notes what a change of a tenant object says of who answers for the tenant's APIs."""
        before = resource.replaces(change.old) if change.old else ""
        after = resource.replaces(change.new) if change.new else ""
        if before == after:
            return
        if change.old and before:
            del self._replacing[key_of(change.old)]
        if change.new and after:
            self._replacing[key_of(change.new)] = after
        found = sorted(self._read.intersection(self._replacing.values()))
        if found == self.replaced:
            return
        _log.warning("another server answers for APIs of the tenant", extra={"apis": ", ".join(found)})
        if not found:
            self.restored.set()
        self.replaced = found
        self._parts.leadership.changed.set()


def _lane(informer: Informer, change: Change) -> Lane:
    """In a burst of creates, pods that the host binds and runs are finished before others are begun. What is
    new on the host is our own work, or an Event: nobody waits for that."""
    if informer.listing:
        return Lane.RESYNC
    return Lane.ONGOING if informer.side == "host" and change.old is not None else Lane.FRESH


def _indexed(function: Index, scope: Scope, obj: Obj) -> Iterable[Hashable]:
    return function(obj, scope)


def _kept(resource: Kind, side: Side, sharing: Sharing, scope: Scope, obj: Obj, old: Obj | None) -> Obj:
    kept = resource.kept(side, obj)
    return sharing.shared(resource.held(kept, scope) if side == "tenant" else kept, old)


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Returns when one of them does; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            await _cancel(task)


async def _cancel(task: asyncio.Future[Any]) -> None:
    """Ends a task and waits for its end; what it raised is raised here."""
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        if (current := asyncio.current_task()) and current.cancelling():
            raise
