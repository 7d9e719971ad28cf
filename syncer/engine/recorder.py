"""Events on tenant objects: how a tenant learns why something is not as they asked for.

An Event's name follows from what it says, so the same thing said again is counted, even by another replica,
and at most every few minutes: a system that stays refused stays quiet.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

from kube import apis, errors
from kube.client import Client
from kube.objects import Obj, key_of, uid_of
from syncer.core.actions import Create, Patch, Report
from syncer.engine.executor import Executor

_log = logging.getLogger(__name__)
_AGAIN_AFTER = 300.0  # seconds until the same thing is said again
_REMEMBERED = 10_000
_MESSAGE_LIMIT = 1024  # what the API allows in an Event
COMPONENT = "vcp-syncer"


class Recorder:
    def __init__(self, executor: Executor, client: Client, wall: Callable[[], float]) -> None:
        self._executor, self._client, self._wall = executor, client, wall
        self._said: OrderedDict[str, float] = OrderedDict()

    async def report(self, report: Report) -> None:
        """Writes the Event; what fails is logged, for an Event is never worth a retry of the whole key."""
        event = self._event(report)
        name, now = event["metadata"]["name"], self._wall()
        if now - self._said.get(name, float("-inf")) < _AGAIN_AFTER:
            return
        self._said[name] = now
        self._said.move_to_end(name)
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        try:
            await self._write(event)
        except errors.KubeError as error:
            self._said.pop(name, None)
            _log.warning(
                "event not written",
                extra={"tenant": str(key_of(report.obj)), "reason": report.reason, "error": str(error)},
            )

    async def _write(self, event: Obj) -> None:
        key = key_of(event)
        try:
            there = await self._client.get(apis.EVENTS, *key)
        except errors.NotFoundError:
            await self._executor.create(Create("tenant", apis.EVENTS, event))
            return
        body = {"count": (there.get("count") or 1) + 1, "lastTimestamp": event["lastTimestamp"]}
        await self._executor.patch(Patch("tenant", apis.EVENTS, key, uid_of(there), body, type="merge"))

    def _event(self, report: Report) -> Obj:
        obj = report.obj
        key, uid = key_of(obj), uid_of(obj)
        digest = hashlib.sha256("\0".join((uid, report.reason, report.message)).encode()).hexdigest()
        now = datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        namespace = key.namespace or "default"  # where the API keeps Events of cluster-scoped objects
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{key.name}.{digest[:16]}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": obj["apiVersion"],
                "kind": obj["kind"],
                "namespace": key.namespace,
                "name": key.name,
                "uid": uid,
            },
            "type": report.type,
            "reason": report.reason,
            "message": report.message[:_MESSAGE_LIMIT],
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
