"""A small API server in memory, over real HTTP: what clients, informers and commands need of one, any kind.

It lists in pages, watches with bookmarks and 410, upserts on server-side apply, honours preconditions,
finalizers and namespace deletion, and fails on demand (`fail_next`). It validates nothing.
"""

import asyncio
import copy
import json
import re
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import podrules
import servicerules
from aiohttp import web

from kube.objects import Obj

_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?"
)

_RETURNED = {"pods", "services", "namespaces"}  # whose deletion is answered with the object, not a Status


class Key(NamedTuple):
    plural: str
    namespace: str
    name: str


class Change(NamedTuple):
    version: int
    type: str
    key: Key
    obj: Obj
    time: float  # monotonic


class StatusError(Exception):
    def __init__(
        self, code: int, reason: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.code, self.headers = code, headers or {}
        self.body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
        self.body |= {"reason": reason, "message": message}


class FakeApi:
    """`objects` is the state, `requests` what was asked ("GET /api/v1/pods"), `routes` your own answers."""

    def __init__(self) -> None:
        self.objects: dict[Key, Obj] = {}
        self.requests: list[str] = []
        self.bookmark_every = 0.05
        self.late = 0.0  # seconds from a change until watches tell of it, as on a busy server
        self.routes: dict[str, Callable[[web.Request], Any]] = {"/readyz": lambda _: web.Response(text="ok")}
        self.denied: set[tuple[str, str]] = set()  # (verb, plural) that access reviews and requests refuse
        self.granted: dict[str, set[tuple[str, str]]] = {}  # bearer token -> (verb, resource), and no others
        self.admission: list[Callable[[Key, Obj], None]] = []  # may change an object before it is stored
        self.controllers: list[Callable[[Key, Obj], None]] = []  # called soon after each change
        self.allotment: servicerules.Allotment | None = None  # gives Services their addresses
        self.forbidden: list[str] = []  # what was asked for and not granted
        self.url = ""
        self.down = False  # every request fails
        self.half_deletions = 0  # so many pods' deletions stop between the API server's two writes
        self.truncate_next = False  # the next event of a watch breaks off in the middle
        self._streams: set[asyncio.Transport] = set()
        self._version = 0
        self._oldest = 0
        self._log: list[Change] = []
        self._changed = asyncio.Event()
        self._failures: deque[tuple[str, StatusError | None]] = deque()

    @asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["FakeApi"]:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    # What tests do to it

    def put(self, plural: str, obj: Obj) -> Obj:
        """Create or replace as if somebody else had."""
        meta = obj["metadata"]
        key = Key(plural, meta.get("namespace", ""), meta["name"])
        return self._store(key, copy.deepcopy(obj), "MODIFIED" if key in self.objects else "ADDED")

    def find(self, plural: str, name: str, namespace: str = "") -> Obj | None:
        return self.objects.get(Key(plural, namespace, name))

    def remove(self, plural: str, name: str, namespace: str = "") -> None:
        self._remove(Key(plural, namespace, name))

    def compact(self) -> None:
        """Forget history: older watches and continue tokens get 410."""
        self._oldest = self._version
        self._log.clear()

    def fail_next(
        self,
        match: str,
        code: int = 0,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
        message: str = "",
    ) -> None:
        """The next request whose "METHOD /path" contains `match` fails; without a code, it breaks off."""
        failure = StatusError(code, reason, message or f"injected {code}", headers) if code else None
        self._failures.append((match, failure))

    def drop_watches(self) -> None:
        """Break off every watch, as a server that restarts does."""
        for transport in self._streams:
            transport.abort()

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    # HTTP

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        line = f"{request.method} {request.path}"
        self.requests.append(line)
        try:
            if self.down:
                raise StatusError(503, "ServiceUnavailable", "the server is down")
            for index, (match, failure) in enumerate(self._failures):
                if match in line:
                    del self._failures[index]
                    if failure is None:
                        assert request.transport
                        request.transport.abort()
                        return web.Response()
                    raise failure
            self._authorise(request)
            if request.path in self.routes:
                answer = self.routes[request.path](request)
                return await answer if asyncio.iscoroutine(answer) else answer
            return await self._dispatch(request)
        except ConnectionResetError:  # the client went away in the middle of a watch
            return web.Response()
        except StatusError as error:
            return web.json_response(error.body, status=error.code, headers=error.headers)

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        found = _PATH.fullmatch(request.path)
        if not found:
            raise StatusError(404, "NotFound", "no such path")
        key = Key(found["plural"], found["namespace"] or "", found["name"] or "")
        verb = _verb(request, found)
        scope = key.plural if key.namespace or verb not in {"list", "watch"} else f"{key.plural}/all"
        if {(verb, key.plural), (verb, scope)} & self.denied:
            raise StatusError(403, "Forbidden", f"{key.plural} is forbidden: cannot {verb} {scope}")
        body = json.loads(await request.read() or b"{}")
        if key.plural == "selfsubjectaccessreviews":
            wanted = body["spec"]["resourceAttributes"]
            allowed = (wanted["verb"], wanted["resource"]) not in self.denied
            return web.json_response(body | {"status": {"allowed": allowed}}, status=201)
        if verb == "watch":
            return await self._watch(request, key)
        if not key.name:
            return self._create(request, key, body) if request.method == "POST" else self._list(request, key)
        return self._single(request, key, body, found["sub"] or "")

    def _authorise(self, request: web.Request) -> None:
        """Refuses the bearer of a token what no role grants them."""
        found = _PATH.fullmatch(request.path)
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if found is None or bearer not in self.granted:
            return
        verb, resource = _verb(request, found), "/".join(filter(None, (found["plural"], found["sub"])))
        if (verb, resource) not in self.granted[bearer]:
            message = f'{resource} is forbidden: User "{bearer}" cannot {verb} resource'
            self.forbidden.append(f"{verb} {resource}")
            raise StatusError(403, "Forbidden", message)

    def _single(self, request: web.Request, key: Key, body: Any, sub: str) -> web.Response:
        current = self.objects.get(key)
        content = request.headers.get("Content-Type", "")
        if sub == "token":
            return web.json_response(podrules.token(body, key.name), status=201)
        if current is None and "apply-patch" not in content:
            raise StatusError(404, "NotFound", f'{key.plural} "{key.name}" not found')
        if request.method == "GET":
            return web.json_response(current)
        if request.method == "DELETE":
            return web.json_response(self._delete(key, body))
        if request.method == "POST":
            return self._subresource(key, body, sub)
        return self._change(request, key, body, sub)

    def _change(self, request: web.Request, key: Key, body: Any, sub: str) -> web.Response:
        """PUT or PATCH."""
        current = self.objects.get(key)
        content = request.headers.get("Content-Type", "")
        dry = request.query.get("dryRun") == "All"
        if request.method == "PUT":
            wanted = body
        elif "strategic" in content:
            wanted = podrules.strategic(current, body)
        else:
            wanted = _merge(current or {}, body, nulls="apply-patch" not in content)
            if "apply-patch" in content and key.plural == "secrets" and "data" in body:
                wanted["data"] = body["data"]  # what the manager no longer applies goes
        if sub == "status":
            wanted = (current or {}) | {"status": wanted.get("status", {})}
        uid = body.get("metadata", {}).get("uid") if isinstance(body, dict) else None
        if current and uid and uid != current["metadata"]["uid"]:
            raise StatusError(409, "Conflict", "the uid is another")
        version = body.get("metadata", {}).get("resourceVersion") if isinstance(body, dict) else None
        if current and version and version != current["metadata"]["resourceVersion"]:
            raise StatusError(409, "Conflict", "the object has been modified")
        self._allot(key, current, wanted)
        if current is None:
            return web.json_response(wanted if dry else self._store(key, wanted, "ADDED"), status=201)
        if wanted == current or dry:
            return web.json_response(wanted)
        if key.plural == "pods" and wanted.get("spec") != current.get("spec"):
            wanted["metadata"]["generation"] = current["metadata"].get("generation", 1) + 1
        return web.json_response(self._store(key, wanted, "MODIFIED"))

    def _subresource(self, key: Key, body: Obj, sub: str) -> web.Response:
        """POST to a part of an object that is there."""
        if sub != "binding":
            raise StatusError(404, "NotFound", f"no subresource {sub}")
        pod = self.objects[key]
        if pod["spec"].get("nodeName"):
            raise StatusError(409, "Conflict", "the pod is bound already")
        self._store(key, podrules.bound(pod, body), "MODIFIED")
        return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"}, status=201)

    def _create(self, request: web.Request, key: Key, body: Obj) -> web.Response:
        meta = body.setdefault("metadata", {})
        name = meta.setdefault("name", f"{meta.get('generateName', '')}{uuid4().hex[:5]}")
        key = key._replace(name=name)
        if key in self.objects:
            raise StatusError(409, "AlreadyExists", f'{key.plural} "{name}" already exists')
        self._allot(key, None, body)
        if request.query.get("dryRun") == "All":
            return web.json_response(body, status=201)
        if key.plural == "pods":
            podrules.created(body)
        return web.json_response(self._store(key, body, "ADDED"), status=201)

    def _allot(self, key: Key, old: Obj | None, new: Obj) -> None:
        if key.plural != "services" or self.allotment is None:
            return
        try:
            self.allotment.admit(
                (obj for at, obj in self.objects.items() if at.plural == key.plural), old, new
            )
        except servicerules.TakenError as error:
            message = f'Service "{key.name}" is invalid: {error}'
            raise StatusError(422, "Invalid", message) from error

    def _delete(self, key: Key, options: Obj) -> Obj:
        obj = self.objects[key]
        wanted = options.get("preconditions") or {}
        if any(obj["metadata"][name] != value for name, value in wanted.items()):
            raise StatusError(409, "Conflict", "the precondition failed")
        if key.plural == "pods" and (ending := podrules.deleted(obj, options)):
            return ending if ending is obj else self._store(key, ending, "MODIFIED")
        if key.plural == "pods" and self.half_deletions:
            self.half_deletions -= 1
            self._begin_deletion(key)
            raise StatusError(504, "Timeout", "the client has gone")
        if obj["metadata"].get("finalizers"):
            gone = copy.deepcopy(obj)
            gone["metadata"].setdefault("deletionTimestamp", _now())
            return self._store(key, gone, "MODIFIED")
        if key.plural == "namespaces":
            for other in [other for other in self.objects if other.namespace == key.name]:
                self._remove(other)
        removed = self._remove(key)
        if key.plural == "pods":
            ended = {"deletionTimestamp": _now(), "deletionGracePeriodSeconds": 0}
            return removed | {"metadata": removed["metadata"] | ended}
        if key.plural not in _RETURNED:
            return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return removed

    def _begin_deletion(self, key: Key) -> None:
        self._version += 1
        begun = copy.deepcopy(self.objects[key])
        begun["metadata"] |= {"deletionGracePeriodSeconds": 0, "resourceVersion": str(self._version)}
        begun["metadata"].setdefault("deletionTimestamp", _now())
        self.objects[key] = begun
        self._record("MODIFIED", key, begun)

    def _list(self, request: web.Request, key: Key) -> web.Response:
        version, _, start = request.query.get("continue", "").partition(":")
        if version and int(version) < self._oldest:
            raise StatusError(410, "Expired", "the continue token is too old")
        found = [obj for _, obj in sorted(self.objects.items()) if self._selects(request, key, _, obj)]
        first, limit = int(start or 0), int(request.query.get("limit", 0)) or len(found)
        meta = {"resourceVersion": version or str(self._version)}
        if first + limit < len(found):
            meta["continue"] = f"{meta['resourceVersion']}:{first + limit}"
        items = [{k: v for k, v in obj.items() if k not in {"kind", "apiVersion"}} for obj in found]
        return web.json_response({"kind": "List", "metadata": meta, "items": items[first : first + limit]})

    async def _watch(self, request: web.Request, key: Key) -> web.StreamResponse:
        seen = int(request.query.get("resourceVersion") or self._version)
        response = web.StreamResponse()
        await response.prepare(request)
        if seen < self._oldest:
            status = StatusError(410, "Expired", "too old resource version").body
            await _send(response, "ERROR", status)
            return response
        assert isinstance(request.transport, asyncio.Transport)
        self._streams.add(request.transport)
        try:
            return await self._changes(request, response, key, seen)
        finally:
            self._streams.discard(request.transport)

    async def _changes(
        self, request: web.Request, response: web.StreamResponse, key: Key, seen: int
    ) -> web.StreamResponse:
        end = asyncio.get_running_loop().time() + int(request.query.get("timeoutSeconds", 60))
        while asyncio.get_running_loop().time() < end:
            changed, complete = self._changed, self._version
            for change in [change for change in self._log if change.version > seen]:
                if change.time + self.late > time.monotonic():
                    complete = change.version - 1
                    break
                seen = change.version
                if self._selects(request, key, change.key, change.obj):
                    if self.truncate_next:
                        self.truncate_next = False
                        await response.write(b'{"type": "ADDED", "object": {"meta')
                        return response
                    await _send(response, change.type, change.obj)
            try:
                async with asyncio.timeout(self.bookmark_every):
                    await changed.wait()
            except TimeoutError:
                await _send(response, "BOOKMARK", {"metadata": {"resourceVersion": str(complete)}})
        return response

    # State

    def _store(self, key: Key, obj: Obj, type_: str) -> Obj:
        self._version += 1
        meta = obj.setdefault("metadata", {})
        meta.setdefault("uid", str(uuid4()))
        meta.setdefault("creationTimestamp", _now())
        meta["resourceVersion"] = str(self._version)
        if key.namespace:
            meta["namespace"] = key.namespace
        ending = "deletionTimestamp" in meta and not meta.get("deletionGracePeriodSeconds")
        if ending and not meta.get("finalizers"):
            return self._remove(key)
        for admit in self.admission:
            admit(key, obj)
        self.objects[key] = obj
        self._record(type_, key, obj)
        return obj

    def _remove(self, key: Key) -> Obj:
        obj = self.objects.pop(key)
        self._version += 1
        meta = obj["metadata"] | {"resourceVersion": str(self._version)}
        gone = obj | {"metadata": meta}
        self._record("DELETED", key, gone)
        return gone

    def _record(self, type_: str, key: Key, obj: Obj) -> None:
        self._log.append(Change(self._version, type_, key, copy.deepcopy(obj), time.monotonic()))
        self._changed.set()
        self._changed = asyncio.Event()
        if type_ != "DELETED":
            for controller in self.controllers:
                asyncio.get_running_loop().call_soon(controller, key, obj)

    @staticmethod
    def _selects(request: web.Request, wanted: Key, key: Key, obj: Obj) -> bool:
        if key.plural != wanted.plural or (wanted.namespace and key.namespace != wanted.namespace):
            return False
        labels = obj["metadata"].get("labels") or {}
        return all(_matches(labels, term) for term in _terms(request, "labelSelector")) and all(
            str(_field(obj, path)) == value
            for path, _, value in (term.partition("=") for term in _terms(request, "fieldSelector"))
        )


def _verb(request: web.Request, path: re.Match[str]) -> str:
    """The verb that an authoriser is asked about."""
    verb = {"POST": "create", "PUT": "update"}.get(request.method, request.method.lower())
    if path["name"] or verb != "get":
        return verb
    return "watch" if request.query.get("watch") == "true" else "list"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _terms(request: web.Request, name: str) -> Iterator[str]:
    return (term for term in re.split(r",(?![^(]*\))", request.query.get(name, "")) if term)


def _matches(labels: Mapping[str, str], term: str) -> bool:
    if "!=" in term:
        key, _, value = term.partition("!=")
        return labels.get(key) != value
    if term.startswith("!"):
        return term[1:] not in labels
    key, equals, value = term.partition("=")
    if listed := re.fullmatch(r"(\S+) in \(([^)]*)\)", term):
        return labels.get(listed[1]) in listed[2].split(",")
    return labels.get(key) == value if equals else key in labels


def _field(obj: Obj, path: str) -> Any:
    for part in path.split("."):
        obj = obj.get(part) or {}
    return obj or ""


def _merge(old: Any, new: Any, *, nulls: bool) -> Any:
    """RFC 7396, which is also good enough for server-side apply of one manager; never writes to `old`."""
    if not isinstance(new, dict):
        return copy.deepcopy(new)
    merged = copy.deepcopy(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value is None and nulls:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value, nulls=nulls)
    return merged


async def _send(response: web.StreamResponse, type_: str, obj: Obj) -> None:
    await response.write(json.dumps({"type": type_, "object": obj}).encode() + b"\n")
