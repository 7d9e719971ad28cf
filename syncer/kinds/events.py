"""Events of host objects, told on the tenant's objects in the tenant's words.

Denied by default: an Event shows in the tenant only if it is proven to be about a host object of this
tenant's that is there now or, for pods, was there in the tenant pod's life.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, TypedDict

from kube import apis, patches
from kube.objects import Key, Obj, key_of, uid_of
from kube.partial import Identity
from syncer.core import marks
from syncer.core.actions import Action, Create, Patch, Side
from syncer.core.kind import Kind, Mirror
from syncer.core.rights import Rule
from syncer.core.scope import Scope

MIRRORED = "vcp.dev/mirrored"
"""The label of tenant Events that were made from the host's: the only ones that are watched there."""

_COPIED = (
    *(
        "reason",
        "type",
        "count",
        "firstTimestamp",
        "lastTimestamp",
        "eventTime",
        "series",
        "source",
        "action",
    ),
    *("reportingComponent", "reportingInstance"),
)
_LIVE = ("count", "firstTimestamp", "lastTimestamp", "series", "message")  # what repetitions change
_MESSAGE_LIMIT = 1024  # characters, ValidateEventCreate
_NAME_LIMIT = 253
_CONTAINER = re.compile(r"spec\.(?:containers|initContainers|ephemeralContainers)\{(.+)\}")


class _About(NamedTuple):
    """The tenant object that a host Event is about, its kind, and the uid of its host object."""

    kind: Mirror
    tenant: Obj
    host_uid: str


class _Involved(TypedDict, total=False):
    apiVersion: Any
    kind: Any
    namespace: Any
    name: Any
    uid: Any
    fieldPath: Any


class _Repeated(TypedDict, total=False):
    """What repetitions change: all that is read again of a tenant's Event."""

    apiVersion: Any
    kind: Any
    metadata: Identity
    count: Any
    firstTimestamp: Any
    lastTimestamp: Any
    series: Any
    message: Any


class _HostEvent(_Repeated, total=False):
    involvedObject: _Involved
    reason: Any
    type: Any
    eventTime: Any
    source: Any
    action: Any
    reportingComponent: Any
    reportingInstance: Any


class Events(Kind):
    """The key is that of the host Event; the tenant Event's follows from the object that it is about."""

    api = apis.EVENTS
    watches = {"tenant": MIRRORED, "host": ""}
    shapes = {"tenant": _Repeated, "host": _HostEvent}
    rights = (Rule(apis.EVENTS, ("create", "patch"), side="tenant"),)
    on_host = "nothing"
    to_tenant = "those about the tenant's objects, in the tenant's words"

    def __init__(self, mirrors: Iterable[Mirror]) -> None:
        """`mirrors` are the kinds whose host objects are told of."""
        super().__init__()
        self._mirrors = tuple(mirrors)

    def concerned(self, side: Side, obj: Obj) -> Iterable[Key]:
        """Tenant Events are only looked up: one that expires there is not told a second time."""
        return (key_of(obj),) if side == "host" else ()

    def find(self, key: Key, scope: Scope) -> tuple[Obj | None, Obj | None]:
        host = scope.host.get(self.api, key)
        if host is None or (about := self._about(host, scope)) is None:
            return None, host
        return scope.tenant.get(self.api, _tenant_key(host, about.tenant)), host

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        """A host Event that expired leaves the tenant's to expire by itself."""
        if host is None or (about := self._about(host, scope)) is None:
            return []
        wanted = _tenant_event(host, about, scope)
        if tenant is None:
            return [Create("tenant", self.api, wanted)]
        body = patches.merge_patch(
            {field: tenant[field] for field in _LIVE if tenant.get(field) is not None},
            {field: wanted[field] for field in _LIVE if wanted.get(field) is not None},
        )
        return [Patch("tenant", self.api, key_of(tenant), uid_of(tenant), body, type="merge")] if body else []

    def _kind_of(self, involved: Obj) -> Mirror | None:
        """Not everybody who records Events says the version."""
        version, name = involved.get("apiVersion", ""), involved.get("kind")
        known = (one for one in self._mirrors if one.api.kind == name)
        return next((one for one in known if version in ("", one.api.api_version)), None)

    def _about(self, event: Obj, scope: Scope) -> _About | None:
        involved = event.get("involvedObject") or {}
        kind = self._kind_of(involved)
        name, uid = involved.get("name", ""), involved.get("uid", "")
        if kind is None or involved.get("namespace") != scope.namespace or not name or not uid:
            return None
        if (tenant := kind.tenant_of(name, scope)) is None:
            return None
        host = scope.host.get(kind.api, Key(scope.namespace, name))
        if host is not None:
            known = uid_of(host) == uid and marks.is_owned(host, tenant)
        else:  # gone, or not seen yet: only its time can tell it from an earlier object of this name
            known = _last_time(event)[:19] >= tenant["metadata"]["creationTimestamp"][:19]
        return _About(kind, tenant, uid) if known and _is_shown(involved, tenant) else None


def _last_time(event: Obj) -> str:
    """RFC 3339 in UTC: up to the second, the order of texts is that of times."""
    series = event.get("series") or {}
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    return max((time for time in times if time), default="")


def _is_shown(involved: Obj, tenant: Obj) -> bool:
    """Not what happens to containers that hosts add to a pod."""
    container = _CONTAINER.fullmatch(involved.get("fieldPath", ""))
    if container is None or involved["kind"] != apis.PODS.kind:
        return True
    spec = tenant["spec"]
    fields = ("containers", "initContainers", "ephemeralContainers")
    return any(one["name"] == container[1] for field in fields for one in spec.get(field) or ())


def _tenant_key(event: Obj, tenant: Obj) -> Key:
    """`<tenant object>.<suffix>`: an Event is named after its object, and the suffix makes it unique."""
    namespace, own = key_of(tenant)
    suffix = event["metadata"]["name"].rpartition(".")[2]
    return Key(namespace, f"{own[: _NAME_LIMIT - 1 - len(suffix)].rstrip('.-')}.{suffix}")


def _tenant_event(event: Obj, about: _About, scope: Scope) -> Obj:
    namespace, name = _tenant_key(event, about.tenant)
    key = key_of(about.tenant)
    involved = {
        "apiVersion": about.kind.api.api_version,
        "kind": about.kind.api.kind,
        "namespace": key.namespace,
        "name": key.name,
        "uid": uid_of(about.tenant),
    }
    if path := event["involvedObject"].get("fieldPath"):
        involved["fieldPath"] = path
    text = about.kind.wording(about.tenant, scope, about.host_uid)(event.get("message", ""))
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": name, "labels": {MIRRORED: "true"}},
        "involvedObject": involved,
        "message": text[:_MESSAGE_LIMIT],
        **{field: event[field] for field in _COPIED if event.get(field) is not None},
    }
