"""Takes keys from the queue, asks their resource for a plan, and has it carried out.

It is level-triggered: it may be called at any time for any key, and decides by what the stores hold. A
failure puts the key back with a pause that grows; what a tenant may not do, or the host refuses, is told to
the tenant.
"""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from kube import errors
from kube.objects import Obj, key_of
from syncer.core import sizes
from syncer.core.actions import (
    Absent,
    Action,
    Create,
    Delete,
    Ensure,
    Fetch,
    Patch,
    Report,
    Single,
    Tokens,
    Try,
    Wait,
)
from syncer.core.kind import Item, Kind
from syncer.core.refusal import Problem, Refused
from syncer.core.scope import Scope
from syncer.engine import pacing
from syncer.engine.executor import Executor, NameTakenError, NotLeaderError
from syncer.engine.metrics import Metrics
from syncer.engine.pacing import Paced, Pacer
from syncer.engine.quotas import Quotas, exceeded
from syncer.engine.recorder import Recorder
from syncer.engine.workqueue import Lane, WorkQueue

_log = logging.getLogger(__name__)
_QUICKLY = 0.05  # seconds: after a conflict, the watch will have brought the newer object
_CONFLICTS = 3  # in a row, until they count as failures
_ASKED = 2  # times, until a refusal counts: what was just deleted gives its address back a moment later
_LASTING = 10  # failures in a row, some 50 s: whatever it is, a retry has not cured it
_TOO_LARGE = 413
_ROOM_AFTER = 30.0  # seconds until it is tried again to put more onto the host than its budget
_TOLD_AFTER = 2.0  # seconds: a write that is put off for less is nothing to speak of
# Why a write is put off -> reason and message of an Event.
_OVER_BUDGET = (
    "this cluster writes more to {where} than its budget allows, so it goes on slowly (sync.budget)"
)
_TOO_OFTEN = "it changes too often to be brought to {where} each time; the last state counts"
_CONTENDED = (
    "something in {where} undoes what the syncer writes to it, so the pauses between attempts grow: look for "
    "admission policies, webhooks and controllers that write to it"
)
_PUT_OFF = {
    "budget": ("OverBudget", _OVER_BUDGET),
    "object": ("ChangesTooOften", _TOO_OFTEN),
    "fight": ("Contended", _CONTENDED),
}
_SCOPE_AGE = 0.1  # seconds: a scope is remade when its `now` is older
_ENSURE_LIMIT = 5.0


class Controller:
    def __init__(
        self,
        resources: Mapping[str, Kind],
        queue: WorkQueue[Item],
        executor: Executor,
        recorder: Recorder,
        metrics: Metrics,
        scope: Scope,
        wall: Callable[[], float],
        pacer: Pacer,
        mirrored: Callable[[], int],
    ) -> None:
        self._resources, self._queue = resources, queue
        self._executor, self._recorder, self._metrics = executor, recorder, metrics
        self._base, self._wall = scope, wall
        self._pacer, self._mirrored = pacer, mirrored
        self._quotas = Quotas(queue)
        self._running: dict[Item, asyncio.Event] = {}

    async def work(self) -> None:
        """Runs one worker forever. A lost leadership ends it with NotLeaderError; the key is not lost."""
        while True:
            item, waited = await self._queue.get()
            self._metrics.waited.labels(item.resource).observe(waited)
            await self._claimed(item, waited)

    async def _claimed(self, item: Item, waited: float) -> None:
        finished = self._running[item] = asyncio.Event()
        try:
            await self._attempt(item, waited)
        except BaseException:
            self._queue.add(item, Lane.RETRY)  # a cancelled or deposed worker leaves it to the next one
            raise
        finally:
            del self._running[item]
            finished.set()
            self._queue.done(item)

    async def _attempt(self, item: Item, waited: float) -> None:
        fields = {"resource": item.resource, "tenant": str(item.key)}
        try:
            await self._reconcile(item, waited)
        except Paced as paced:
            self._queue.add_after(item, paced.seconds, Lane.RETRY)
            return
        except errors.ConflictError as error:
            if self._queue.failures(item) < _CONFLICTS:
                self._queue.count_failure(item)
                self._queue.add_after(item, _QUICKLY)
            else:
                self._retry(item, "conflict", fields, error)
            return
        except (errors.KubeError, NameTakenError) as error:
            if quota := exceeded(error):
                self._queue.count_failure(item)
                self._metrics.retries.labels(item.resource, "Quota").inc()
                self._quotas.refused(item, quota)
                return
            self._retry(item, type(error).__name__.removesuffix("Error"), fields, error)
            return
        except NotLeaderError:
            raise
        except Exception as error:  # a bug, or an object that breaks all rules: this key only
            _log.exception("plan failed", extra=fields)
            self._retry(item, "bug", fields, error)
            return
        self._queue.forget(item)
        self._pacer.forget(item)
        self._quotas.settled(item)

    def _retry(self, item: Item, reason: str, fields: Mapping[str, str], error: Exception) -> None:
        pause = self._queue.retry(item)
        self._metrics.retries.labels(item.resource, reason).inc()
        _log.warning("retry", extra={**fields, "error": str(error), "pause": round(pause, 3)})

    async def _reconcile(self, item: Item, waited: float) -> None:
        resource, scope = self._resources[item.resource], self._scope()
        tenant, host = resource.find(item.key, scope)
        started = asyncio.get_running_loop().time() - waited
        try:
            plan = await self._plan(item, tenant, host, scope)
            if too_large := sizes.problems(plan):
                raise Refused(*too_large)
            if over := self._beyond(resource, plan, scope):
                self._queue.add_after(item, _ROOM_AFTER, Lane.RESYNC)
                raise Refused(over)
        except Refused as refused:
            if tenant is None:
                raise
            await self._refuse(item, tenant, "Refused", str(refused))
            return
        put_off: Paced | None = None
        for action in plan:
            try:
                await self._do(item, action, tenant, started)
            except Paced as paced:
                await self._put_off(item, paced, tenant)
                if not _is_status_of_the_tenant(action):
                    raise
                put_off = paced  # nothing else waits for what the tenant alone may see
        if put_off:
            raise put_off

    async def _plan(self, item: Item, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        """Of whole objects, even if that takes reading some."""
        plan = self._planned(item, tenant, host, scope)
        fetches = [action for action in plan if isinstance(action, Fetch)]
        if not fetches:
            return plan
        for fetch in fetches:
            await self._executor.fetch(fetch)
        return self._planned(item, *self._resources[item.resource].find(item.key, scope), scope)

    def _planned(self, item: Item, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        with self._metrics.planned.labels(item.resource).time():
            return self._resources[item.resource].plan(item.key, tenant, host, scope)

    async def _put_off(self, item: Item, paced: Paced, tenant: Obj | None) -> None:
        """Tells the tenant, if it is more than a moment."""
        self._metrics.paced.labels(paced.target.side, item.resource, paced.why).inc()
        if tenant is not None and paced.seconds >= _TOLD_AFTER:
            reason, message = _PUT_OFF[paced.why]
            where = "this cluster" if paced.target.side == "tenant" else "the host"
            await self._recorder.report(Report(tenant, "Warning", reason, message.format(where=where)))

    async def _do(self, item: Item, action: Action, tenant: Obj | None, started: float) -> None:
        """One action of a plan; the tenant is told what the host refuses."""
        first, otherwise = (action.first, action.otherwise) if isinstance(action, Try) else (action, None)
        try:
            await self._act(item, first, started)
            return
        except (errors.KubeError, NameTakenError) as error:
            if otherwise is None or not _is_taken(error):
                await self._tell(item, first, tenant, error)
                raise
            if self._queue.failures(item) < _ASKED:
                raise errors.ConflictError(409, {"message": str(error)}) from error
        for other in otherwise:
            await self._do(item, other, tenant, started)

    async def _tell(self, item: Item, action: Single, tenant: Obj | None, error: Exception) -> None:
        if tenant is not None and _on_host(action) and self._is_worth_telling(item, error):
            resource = self._resources[item.resource]
            told = resource.told(error, tenant, self._base)
            with contextlib.suppress(Paced):
                await self._refuse(item, tenant, "HostRefused", told)

    def _is_worth_telling(self, item: Item, error: Exception) -> bool:
        """Whether a retry will not cure it soon: a refusal, or any other failure once it has lasted."""
        if isinstance(error, errors.ConflictError) or _terminating(error):
            return False
        return _is_final(error) or self._queue.failures(item) >= _LASTING

    def _beyond(self, resource: Kind, plan: list[Action], scope: Scope) -> Problem | None:
        """Why a kind whose objects are large may not write more of them to the host."""
        limit = scope.sync.budget.mirrored_mib * 2**20
        if not resource.weighed or not any(
            _on_host(action) for action in plan if not isinstance(action, Try)
        ):
            return None
        if (size := self._mirrored()) < limit:
            return None
        reason = f"{size >> 20} MiB of ConfigMaps and Secrets are on the host; at most {limit >> 20}"
        return Problem("metadata", reason, "sync.budget.mirroredMib")

    async def _act(self, item: Item, action: Single, started: float) -> None:
        match action:
            case Create() | Patch() | Tokens():
                await self._write(item, action)
            case Delete():
                await self._executor.delete(action)
            case Ensure():
                await self._ensure(Item(action.resource, action.key))
                return
            case Report():
                await self._recorder.report(action)
                return
            case Absent():
                await self._executor.absent(action)
                return
            case Fetch():  # what it is for has changed meanwhile
                raise errors.ConflictError(409, {"message": f"{action.api.kind} {action.key} is not whole"})
            case Wait():
                self._queue.add_after(item, action.seconds, Lane.RESYNC)
                return
        side = "host" if isinstance(action, Tokens) else action.side
        took = asyncio.get_running_loop().time() - started
        self._metrics.lag.labels(side, item.resource).observe(took)

    async def _write(self, item: Item, action: Create | Patch | Tokens) -> None:
        """Raises Paced if it is too early for that."""
        write = pacing.write(action, self._executor.stored(action) if isinstance(action, Patch) else 0)
        self._pacer.check(item, write)
        match action:
            case Create():
                await self._executor.create(action)
            case Patch():
                await self._executor.patch(action)
            case Tokens():
                await self._executor.tokens(action)
        self._pacer.wrote(write)

    async def _ensure(self, item: Item) -> None:
        """Works on another key now; if somebody does already, waits until that is done."""
        if item.resource not in self._resources:
            return
        if not self._queue.claim(item):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ENSURE_LIMIT):
                    await self._running[item].wait()
            return
        await self._claimed(item, 0.0)

    async def _refuse(self, item: Item, tenant: Obj, reason: str, message: str) -> None:
        """Tells the tenant, by an Event and in the object's status if the kind has a place for it."""
        resource = self._resources[item.resource]
        self._metrics.refused.labels(resource.name, "host" if reason == "HostRefused" else "policy").inc()
        _log.info(
            "refused", extra={"resource": resource.name, "tenant": str(key_of(tenant)), "reason": message}
        )
        await self._recorder.report(Report(tenant, "Warning", reason, message))
        now = datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if action := resource.refused(tenant, reason, message, now):
            await self._write(item, action)

    def _scope(self) -> Scope:
        now = self._wall()
        if not 0 <= now - self._base.now < _SCOPE_AGE:
            self._base = dataclasses.replace(self._base, now=now)
        return self._base


def _is_taken(error: Exception) -> bool:
    """The API cannot give what was asked for. For health-check ports the API server answers 500, not 422
    (Allocators.allocHealthCheckNodePort)."""
    unable = isinstance(error, errors.ServerError) and "HealthCheck NodePort" in error.message
    return unable or isinstance(error, errors.InvalidError)


def _is_status_of_the_tenant(action: Action) -> bool:
    return isinstance(action, Patch) and (action.side, action.subresource) == ("tenant", "status")


def _on_host(action: Single) -> bool:
    return isinstance(action, Tokens) or (isinstance(action, Create | Patch) and action.side == "host")


def _is_final(error: Exception) -> bool:
    """Whether the host has judged the object, as against being away, busy or late."""
    refusals = (errors.ForbiddenError, errors.InvalidError, errors.BadRequestError, NameTakenError)
    return isinstance(error, refusals) or (isinstance(error, errors.ApiError) and error.status == _TOO_LARGE)


def _terminating(error: Exception) -> bool:
    """The host namespace is on its way out: that is not a fault of the tenant's object."""
    return isinstance(error, errors.ApiError) and error.has_cause("NamespaceTerminating")
