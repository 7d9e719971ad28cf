"""Carries out actions: one request each, the server's answer straight into the store.

So a worker never acts on what it has itself outdated. Every write asks first whether this replica still
leads.
"""

import asyncio
import contextlib
from base64 import b64encode
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kube import apis, errors, requests
from kube.apis import ApiResource
from kube.client import Client
from kube.objects import Key, Obj, annotations_of, key_of, labels_of, uid_of
from kube.requests import Request
from syncer.core import actions, marks
from syncer.core.actions import Absent, Create, Delete, Fetch, Patch, Side, Tokens
from syncer.core.kind import OUTLINE
from syncer.engine.metrics import Metrics, Target
from syncer.engine.store import Stores

_RECENT = 5.0  # seconds, longer than a watch takes to bring what has been written
RENEW_AT = 0.8  # of a token's life, as the kubelet does


class NotLeaderError(Exception):
    """Another replica may be writing by now."""


class NameTakenError(Exception):
    """The host has an object of our name that is not the tenant object's: it is never adopted."""

    def __init__(self, api: ApiResource, key: Key) -> None:
        super().__init__(f"the host has a {api.kind} {key} that is not this tenant's")


class _Recent:
    """Uids of the last seconds."""

    def __init__(self) -> None:
        self._added: OrderedDict[str, float] = OrderedDict()

    def add(self, uid: str) -> None:
        now = asyncio.get_running_loop().time()
        self._added[uid] = now
        while next(iter(self._added.values())) < now - _RECENT:
            self._added.popitem(last=False)

    def is_in(self, uid: str) -> bool:
        return self._added.get(uid, float("-inf")) > asyncio.get_running_loop().time() - _RECENT


class _Turns:
    """Lets one at a time do the same thing: of many keys that need one object, the first has it made."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Event] = {}

    @contextlib.asynccontextmanager
    async def of(self, what: Hashable) -> AsyncIterator[bool]:
        """Yields whether somebody else has just done it."""
        others = what in self._under_way
        while (done := self._under_way.get(what)) is not None:
            await done.wait()
        self._under_way[what] = done = asyncio.Event()
        try:
            yield others
        finally:
            del self._under_way[what]
            done.set()


@dataclass(frozen=True)
class Executor:
    """`clients` and `stores` by side; `wall` gives seconds since the epoch."""

    clients: dict[Side, Client]
    stores: dict[Side, Stores]
    metrics: Metrics
    held: Callable[[], bool]
    wall: Callable[[], float]
    parts_made: _Recent = field(default_factory=_Recent)
    """Objects of which a part (`pods/binding`) was made: the answer does not hold them, so no store knows."""
    turns: _Turns = field(default_factory=_Turns)

    def stored(self, action: Patch) -> int:
        """Bytes of the object that is patched, if its kind is weighed."""
        store = self.stores[action.side].of(action.api)
        return store.weight_of(action.key) if store else 0

    async def create(self, action: Create) -> None:
        """Raises NameTakenError, or the API's refusal as a KubeError."""
        if action.subresource:
            await self._create(action)
            return
        async with self.turns.of((action.side, action.api.plural, key_of(action.obj))) as done:
            if not done or not self._is_there(action):
                await self._create(action)

    def _is_there(self, action: Create) -> bool:
        """Whether the store has what is to be created, for the same tenant object."""
        store = self.stores[action.side].of(action.api)
        there = store.get(key_of(action.obj)) if store else None
        ours = annotations_of(action.obj)
        return there is not None and all(
            annotations_of(there).get(mark) == ours.get(mark) for mark in (marks.NAME, marks.UID)
        )

    async def _create(self, action: Create) -> None:
        side, api, obj, subresource = action
        if subresource and self.parts_made.is_in(uid_of(obj)):
            return  # the watch has not brought it yet
        namespace, name = key_of(obj)
        request = requests.create(
            api, namespace, obj, name=name if subresource else "", subresource=subresource
        )
        try:
            answer = await self._write(side, api, "create", key_of(obj), request)
        except errors.AlreadyExistsError as error:
            if subresource:
                raise
            await self._adopt(action, error)
        else:
            if subresource:
                self.parts_made.add(uid_of(obj))
            else:
                self._store(side, api, answer)

    async def patch(self, action: Patch) -> None:
        """A failed uid precondition is a ConflictError."""
        body = {**action.body, "metadata": {**action.body.get("metadata", {}), "uid": action.uid}}
        request = requests.patch(
            action.api,
            *action.key,
            body,
            type_=action.type,
            subresource=action.subresource,
        )
        verb = f"patch {action.subresource}".strip()
        try:
            answer = await self._write(action.side, action.api, verb, action.key, request)
        except errors.InvalidError as error:
            if any(cause.get("field") == "metadata.uid" for cause in error.causes):
                raise errors.ConflictError(409, {"message": error.message}) from error
            raise
        except errors.NotFoundError as error:
            self._forget(action.side, action.api, action.key, action.uid)
            raise errors.ConflictError(409, {"message": error.message}) from error
        self._store(action.side, action.api, answer)

    async def delete(self, action: Delete) -> None:
        """An object that is gone already is as good as deleted."""
        propagation: requests.Propagation = "Background"
        request = requests.delete(
            action.api,
            *action.key,
            uid=action.uid,
            resource_version=action.version,
            grace=action.grace,
            propagation=propagation,
        )
        try:
            answer = await self._write(action.side, action.api, "delete", action.key, request)
        except errors.NotFoundError:
            self._forget(action.side, action.api, action.key, action.uid)
            return
        if _stays(answer.get("metadata", {})):
            self._store(action.side, action.api, answer)
        else:  # gone at once
            self._forget(action.side, action.api, action.key, action.uid)

    async def absent(self, claim: Absent) -> None:
        """Raises ConflictError if the object is there; then the store has it."""
        try:
            there = await self._send(claim.side, claim.api, "get", requests.get(claim.api, *claim.key))
        except errors.NotFoundError:
            return
        if claim.uid in {"", uid_of(there)}:
            self._store(claim.side, claim.api, there)
            raise errors.ConflictError(409, {"message": f"{claim.api.kind} {claim.key} is there after all"})

    async def fetch(self, action: Fetch) -> None:
        """An object that is gone leaves the store."""
        store = self.stores["tenant"].of(action.api)
        if store is None:
            return
        async with self.turns.of(action):
            known = store.get(action.key)
            if known is None or OUTLINE not in known:
                return
            try:
                answer = await self._send("tenant", action.api, "get", requests.get(action.api, *action.key))
            except errors.NotFoundError:
                store.forget(action.key, uid_of(known))
                return
            store.fill(answer)

    async def tokens(self, action: Tokens) -> None:
        """Every token of a pod, and the Secret on the host that the kubelet reads them from."""
        now = self.wall()
        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(self._token(action, request)) for request in action.requests]
        except BaseExceptionGroup as failed:  # as the one request's error, by which the key is retried
            raise failed.exceptions[0] from failed
        data, renew = {}, float("inf")
        for request, task in zip(action.requests, asked, strict=True):
            token, expires = task.result()
            data[request.file] = b64encode(token.encode()).decode()
            renew = min(renew, now + (expires - now) * RENEW_AT)
        self.metrics.tokens.labels("renewed" if action.current else "first").inc(len(data))
        secret = {**action.secret, "data": data}
        metadata = {**secret["metadata"]}
        metadata["annotations"] = {**metadata.get("annotations", {}), actions.RENEW: str(int(renew))}
        secret["metadata"] = metadata
        if not action.current:
            await self.create(Create("host", apis.SECRETS, secret))
            return
        body = {"data": data, "metadata": {"annotations": {actions.RENEW: str(int(renew))}}}
        key = key_of(secret)
        await self.patch(Patch("host", apis.SECRETS, key, action.current, body, type="merge"))

    async def _token(self, action: Tokens, wanted: actions.TokenRequest) -> tuple[str, float]:
        """A token, and when it expires."""
        key = key_of(action.pod)
        bound = {"kind": "Pod", "apiVersion": "v1", "name": key.name, "uid": uid_of(action.pod)}
        spec: dict[str, Any] = {"expirationSeconds": wanted.seconds, "boundObjectRef": bound}
        spec["audiences"] = [wanted.audience] if wanted.audience else []
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        account = Key(key.namespace, action.service_account)
        request = requests.create(
            apis.SERVICE_ACCOUNTS, key.namespace, body, name=account.name, subresource="token"
        )
        answer = await self._send("tenant", apis.SERVICE_ACCOUNTS, "create token", request)
        status = answer["status"]
        return status["token"], datetime.fromisoformat(status["expirationTimestamp"]).timestamp()

    async def _adopt(self, action: Create, error: errors.AlreadyExistsError) -> None:
        """Our own object, which the store has not seen yet, is as good as created; any other is left
        alone."""
        key = key_of(action.obj)
        request = requests.get(action.api, *key)
        try:
            there = await self._send(action.side, action.api, "get", request)
        except errors.NotFoundError:  # gone in between
            raise error from None
        if action.side == "host":
            ours = action.obj
            if marks.key_of(there) != marks.key_of(ours) or labels_of(there).get(marks.TENANT) != labels_of(
                ours
            ).get(marks.TENANT):
                raise NameTakenError(action.api, key) from error
        self._store(action.side, action.api, there)
        if annotations_of(there).get(marks.UID) != annotations_of(action.obj).get(marks.UID):
            raise errors.ConflictError(409, {"message": f"an earlier {action.api.kind} {key} is still there"})

    async def _write(self, side: Side, api: ApiResource, verb: str, key: Key, request: Request) -> Obj:
        if not self.held():
            raise NotLeaderError
        self.metrics.writes.count(Target(side, api.plural, key))
        return await self._send(side, api, verb, request)

    async def _send(self, side: Side, api: ApiResource, verb: str, request: Request) -> Obj:
        code = "none"
        try:
            answer = await self.clients[side].send(request)
            code = "2xx"
        except errors.ApiError as error:
            code = str(error.status)
            raise
        finally:
            self.metrics.requests.labels(side, verb, api.plural, code).inc()
        return answer

    def _store(self, side: Side, api: ApiResource, answer: Obj) -> None:
        store = self.stores[side].of(api)
        if store is not None and answer.get("kind") == api.kind:
            store.put(answer)

    def _forget(self, side: Side, api: ApiResource, key: Key, uid: str) -> None:
        if store := self.stores[side].of(api):
            store.forget(key, uid)


def _stays(metadata: Obj) -> bool:
    """Whether the object outlives the request, because of a grace period or finalizers."""
    waits = metadata.get("deletionGracePeriodSeconds") or metadata.get("finalizers")
    return "deletionTimestamp" in metadata and bool(waits)
