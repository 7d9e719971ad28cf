"""The extension point: a kind is one class that says what goes to the host and what comes back.

Everything else follows from the class: RBAC rules, informers, queue, metrics, marks, uid checks and writes.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec

from syncer.core import marks, patches
from syncer.core.actions import Absent, Action, Create, Delete, Patch, Side
from syncer.core.apis import ApiResource
from syncer.core.objects import Key, Obj, annotations_of, is_deleting, key_of, uid_of
from syncer.core.scope import Scope

Index = Callable[[Obj, Scope], Iterable[Hashable]]


class Item(NamedTuple):
    """What the work queue holds: a resource by its name, and a key of it."""

    resource: str
    key: Key


class Rule(NamedTuple):
    """Rights on the host that a resource needs, in the workload namespace unless `cluster`."""

    api: ApiResource
    verbs: tuple[str, ...]
    subresource: str = ""
    cluster: bool = False


SYNCED = ("get", "list", "watch", "create", "patch", "delete")
READ = ("get", "list", "watch")


class Resource:
    """Base of all kinds. Methods are pure, and called at any time with whatever the stores hold.

    `watches` are the sides on which the kind is kept in a store, each with a label selector;
    `{tenant}` in it stands for the tenant's name.
    """

    api: ClassVar[ApiResource]
    watches: ClassVar[Mapping[Side, str]] = {"tenant": "", "host": marks.selector("{tenant}")}
    indexes: ClassVar[Mapping[Side, Mapping[str, Index]]] = {}
    indexed_by: ClassVar[Mapping[Side, tuple[str, ...]]] = {}
    """The top-level fields that all indexes of a side read, if they read nothing else but the key: while
    these stay as they are, an object stays where it is filed."""
    shapes: ClassVar[Mapping[Side, Any]] = {}
    """What any plan reads of this kind, as a TypedDict; the rest is not even decoded. By default all."""
    honours: ClassVar[tuple[str, ...]] = ()
    """The fields of the scope's policy that plans of this kind obey, as `sync.pods.volumes`."""
    tenant_owned: ClassVar[tuple[str, ...]] = ()
    """The top-level fields that only the tenant writes; on the host they follow."""

    @property
    def name(self) -> str:
        return self.api.plural

    def rules(self) -> tuple[Rule, ...]:
        return (Rule(self.api, SYNCED),)

    def items(self, side: Side, obj: Obj, scope: Scope) -> Iterable[Item]:
        """What has to be looked at when `obj` appears, changes or goes: itself, and what depends on it."""
        if side == "tenant":
            yield Item(self.name, key_of(obj))
        elif key := marks.key_of(obj):
            yield Item(obj["metadata"].get("annotations", {}).get(marks.RESOURCE, self.name), key)

    def affected(self, side: Side, old: Obj | None, new: Obj | None, scope: Scope) -> Iterable[Item]:
        """What has to be looked at, each once, after an object came (without `old`), changed or went (without
        `new`)."""
        return dict.fromkeys(
            item for obj in (old, new) if obj is not None for item in self.items(side, obj, scope)
        )

    def kept(self, side: Side, obj: Obj) -> Obj:
        """What of an object a store holds: all that any plan reads of this kind. `obj` may be changed, so
        nobody else holds it. Applied twice it does no more than once."""
        if shape := self.shapes.get(side):
            kept: Obj = msgspec.convert(obj, shape)
            return kept
        obj["metadata"].pop("managedFields", None)
        return obj

    def find(self, key: Key, scope: Scope) -> tuple[Obj | None, Obj | None]:
        """The tenant object and the host object of a key."""
        return scope.tenant.get(self.api, key), scope.host.get(self.api, scope.host_key(key))

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        """The four cases. May raise Refused, which becomes an Event on the tenant object."""
        if tenant is None:
            return self.unwanted(host, key)
        if not self.wanted(tenant, scope):
            return self.unwanted(host)
        if host is None:
            return [] if is_deleting(tenant) else self.absent(tenant, scope)
        if not marks.is_owned(host, tenant):  # an earlier object of this name: it has to go first
            return self.unwanted(host, key)
        return self.both(tenant, host, scope)

    def wanted(self, tenant: Obj, scope: Scope) -> bool:
        """Whether the tenant object is to be on the host at all."""
        return True

    def unwanted(self, host: Obj | None, gone: Key | None = None) -> list[Action]:
        """The host object is not to be there (any more): with `gone`, because the tenant object of this key
        that it stood for is not."""
        if host is None or is_deleting(host):
            return []
        return [*self.verified(host, gone), Delete("host", self.api, key_of(host), uid_of(host))]

    def verified(self, host: Obj, gone: Key | None) -> list[Action]:
        """Makes sure that the tenant object which this host object was made for is gone."""
        if gone is None:
            return []
        return [Absent("tenant", self.api, gone, annotations_of(host).get(marks.UID, ""))]

    def absent(self, tenant: Obj, scope: Scope) -> list[Action]:
        """There is a tenant object and no host object."""
        return [Create("host", self.api, self.to_host(tenant, scope))]

    def both(self, tenant: Obj, host: Obj, scope: Scope) -> list[Action]:
        """Each side gets what the other one owns."""
        actions: list[Action] = []
        if body := self.host_changes(tenant, host, scope):
            actions.append(Patch("host", self.api, key_of(host), uid_of(host), body, type="merge"))
        return actions

    def refused(self, tenant: Obj, reason: str, message: str, now: str) -> Patch | None:
        """How the tenant object's own status says that it was refused; `now` as the API writes times."""
        return None

    def told(self, error: Exception, tenant: Obj, scope: Scope) -> str:
        """What the tenant may read of a refusal by the host: with their own names in it."""
        host = scope.host_key(key_of(tenant))
        return (
            str(error)
            .replace(host.name, key_of(tenant).name)
            .replace(host.namespace, key_of(tenant).namespace)
        )

    def to_host(self, tenant: Obj, scope: Scope) -> Obj:
        """The whole host object as it is created. Raises Refused."""
        host = new_host_object(self.api, tenant, scope)
        return host | {field: tenant[field] for field in self.tenant_owned if field in tenant}

    def host_changes(self, tenant: Obj, host: Obj, scope: Scope) -> Mapping[str, Any]:
        """The merge patch that brings the tenant's fields to the host; empty when it is settled."""
        wanted = self.to_host(tenant, scope)
        fields = self.tenant_owned
        return patches.merge_patch(
            {field: host[field] for field in fields if field in host},
            {field: wanted[field] for field in fields if field in wanted},
        )


def new_host_object(api: ApiResource, tenant: Obj, scope: Scope) -> Obj:
    """Kind, name, marks and owner of a host object; nothing of the tenant object's content."""
    key = key_of(tenant)
    namespace, name = scope.host_key(key)
    metadata: Obj = {
        "name": name,
        "namespace": namespace,
        "labels": marks.labels(scope.name, key),
        "annotations": marks.annotations(key, uid_of(tenant)),
    }
    if owner := scope.owner():
        metadata["ownerReferences"] = owner
    return {"apiVersion": api.api_version, "kind": api.kind, "metadata": metadata}
