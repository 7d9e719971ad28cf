"""The extension point: what a kind is, and the two templates that most kinds follow.

A `Kind` says what is watched, what concerns it, which rights it takes and what has to be done about a key.
Informers, queue, metrics, RBAC rules and writes follow from it. `Mirror` is the template "put a tenant object
on the host", `Made` is "make an object in the tenant and repair it".
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from kube import patches
from kube.apis import ApiResource
from kube.objects import Key, Obj, annotations_of, is_deleting, key_of, uid_of
from syncer.core import marks
from syncer.core.actions import Absent, Action, Create, Delete, Ensure, Fetch, Patch, Side
from syncer.core.declaration import Declaration
from syncer.core.messages import Wording, worded
from syncer.core.rights import READ, SYNCED, Rule
from syncer.core.scope import Scope

OUTLINE = "vcp.dev/outline"
"""Marks an object in a store as one without its `outlined` fields."""
Index = Callable[[Obj, Scope], Iterable[Hashable]]


class Item(NamedTuple):
    """What the work queue holds: a kind by its name, and a key of it."""

    resource: str
    key: Key


class Trigger(NamedTuple):
    """The keys of a kind that an object of another kind concerns."""

    keys: Callable[[Obj, Scope], Iterable[Key]]
    reads: Callable[[Obj], Any] | None = None
    """What of the object matters here: while that stays the same, no key is looked at. By default all."""


Triggers = Mapping[tuple[Side, ApiResource], Trigger]


class Kind:
    """What a kind is. Methods are pure, and called at any time with whatever the stores hold.

    Class attributes are defaults; a kind that depends on the policy sets its own on the instance.
    """

    api: ApiResource
    watches: Mapping[Side, str] = {"tenant": "", "host": marks.selector("{tenant}")}
    """The sides on which the kind is kept in a store, each with a label selector; `{tenant}` in it stands for
    the tenant's name."""
    indexes: Mapping[Side, Mapping[str, Index]] = {}
    indexed_by: Mapping[Side, tuple[str, ...]] = {}
    """The top-level fields that all indexes of a side read, if they read nothing else but the key: while
    these stay as they are, an object stays where it is filed."""
    shapes: Mapping[Side, Any] = {}
    """What any plan reads of this kind, as a TypedDict; the rest is not even decoded. By default all."""
    outlined: tuple[str, ...] = ()
    """The fields that make tenant objects large, if these are held only of those that are wanted on the
    host."""
    weighed: bool = False
    """Whether its host objects are large enough to have their bytes counted (`sync.budget.mirroredMib`)."""
    honours: tuple[str, ...] = ()
    """The fields of the scope's policy that plans of this kind obey, as `sync.pods.volumes`."""
    rights: tuple[Rule, ...] = ()
    """What it takes on either side, beyond what `rules` derives."""
    also: Triggers = MappingProxyType({})
    """Objects of other kinds that concern keys of this one, by side and API."""
    declared: Declaration = Declaration()
    """What its objects refer to, which side owns which fields, and what is refused."""
    on_host: str = ""
    to_tenant: str = ""
    """What of it is on the host, and what comes back, in a few words for `docs/concepts.md`."""
    referrers: tuple[ApiResource, ...] = ()
    """The kinds whose objects may refer to this one; `Kinds` fills it in."""
    ensures: tuple[str, ...] = ()
    """The kinds on demand, by name, that objects of this one may refer to; `Kinds` fills it in."""

    def __init__(self) -> None:
        if self.declared.references:
            own = {"references": lambda obj, _scope: self.refers(obj), **self.indexes.get("tenant", {})}
            self.indexes = {**self.indexes, "tenant": own}
        if self.declared.refused:
            self.honours = (*self.honours, *self.declared.policy)

    @property
    def name(self) -> str:
        return self.api.plural

    def rules(self) -> Iterator[Rule]:
        """All that it takes on either side: reading what it watches, and `rights`."""
        for side in self.watches:
            yield Rule(self.api, READ, cluster=not self.api.namespaced, side=side)
        yield from self.rights

    def concerned(self, side: Side, obj: Obj) -> Iterable[Key]:
        """The keys to look at when an object of this kind appears, changes or goes."""
        return (key_of(obj),) if side == "tenant" else ()

    def kept(self, side: Side, obj: Obj) -> Obj:
        """What of an object a store holds: all that any plan reads of this kind. `obj` may be changed, so
        nobody else holds it. Applied twice it does no more than once."""
        if shape := self.shapes.get(side):
            kept: Obj = msgspec.convert(obj, shape)
            return kept
        obj["metadata"].pop("managedFields", None)
        return obj

    def held(self, tenant: Obj, scope: Scope) -> Obj:
        """What a store holds of a tenant object, as `kept` gives it, which may be changed."""
        return tenant

    def replaces(self, tenant: Obj) -> str:
        """The API, as `discovery.k8s.io/v1`, that a tenant object has another server answer for; mostly
        none."""
        return ""

    def find(self, key: Key, scope: Scope) -> tuple[Obj | None, Obj | None]:
        """The tenant object and the host object of a key."""
        return scope.tenant.get(self.api, key), None

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        """What has to be done, decided by what `find` gives. May raise Refused, which becomes an Event on the
        tenant object."""
        return []

    def refers(self, tenant: Obj) -> Iterable[tuple[str, Key]]:
        """(kind, tenant key) of everything that a tenant object refers to, each once. The index `references`
        of kinds that declare any."""
        return self.declared.referred(tenant)

    def needed(self, tenant: Obj) -> list[Action]:
        """Brings what a tenant object refers to onto the host, where it is on demand; in one order, so that
        plans compare."""
        return [Ensure(kind, key) for kind, key in sorted(self.refers(tenant)) if kind in self.ensures]

    def host_names(self, tenant: Obj, scope: Scope) -> Mapping[str, str]:
        """The tenant's names, by the host's, of an object and of what it refers to."""
        keys = [key_of(tenant), *(key for _, key in self.refers(tenant))]
        return {scope.host_key(key).name: key.name for key in keys}

    def refused(self, tenant: Obj, reason: str, message: str, now: str) -> Patch | None:
        """How the tenant object's own status says that it was refused; `now` as the API writes times."""
        return None

    def told(self, error: Exception, tenant: Obj, scope: Scope) -> str:
        """What the tenant may read of a refusal by the host: with their own names in it."""
        return self.wording(tenant, scope)(str(error))

    def wording(self, tenant: Obj, scope: Scope, host_uid: str = "") -> Wording:
        """Puts the host's texts about a tenant object into the tenant's words."""
        return Wording(tenant, scope, lambda: self.host_names(tenant, scope), host_uid)


class Mirror(Kind):
    """Puts tenant objects on the host: marked, owned, under a name of their own."""

    def __init__(self, api: ApiResource | None = None, declared: Declaration | None = None) -> None:
        """A kind that needs no code of its own is an instance: its API, and what it declares."""
        self.api = api or self.api
        self.declared = declared or self.declared
        super().__init__()

    def rules(self) -> Iterator[Rule]:
        """Writing host objects, too, and what the host owns of tenant objects."""
        yield from super().rules()
        yield Rule(self.api, SYNCED)
        for field in self.declared.owned.host:
            yield Rule(self.api, ("patch",), "status" if field == "status" else "", side="tenant")

    def concerned(self, side: Side, obj: Obj) -> Iterable[Key]:
        if side == "tenant":
            return (key_of(obj),)
        key = marks.key_of(obj)
        return (key,) if key and annotations_of(obj).get(marks.RESOURCE, self.name) == self.name else ()

    def find(self, key: Key, scope: Scope) -> tuple[Obj | None, Obj | None]:
        """A host object that stands for another tenant object is left alone: it stays in our way, so creating
        ours is refused."""
        host = scope.host.get(self.api, scope.host_key(key))
        if host is not None and marks.is_of_another(host, key):
            host = None
        return scope.tenant.get(self.api, key), host

    def tenant_of(self, host_name: str, scope: Scope) -> Obj | None:
        """The tenant object that the host object of this name stands for."""
        host = scope.host.get(self.api, Key(scope.namespace, host_name))
        keys = tuple(self.concerned("host", host)) if host is not None else ()
        return scope.tenant.get(self.api, keys[0]) if keys else None

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        """The four cases."""
        if tenant is None:
            return self.unwanted(host, key)
        if not self.wanted(tenant, scope):
            return self.unwanted(host)
        if OUTLINE in tenant:
            return [Fetch(self.api, key)]
        if host is None:
            return [] if is_deleting(tenant) else self.absent(tenant, scope)
        if not marks.is_owned(host, tenant):  # an earlier object of this name: it has to go first
            return self.unwanted(host, key)
        return self.both(tenant, host, scope)

    def held(self, tenant: Obj, scope: Scope) -> Obj:
        """Its outline, unless it is wanted on the host: whatever a tenant stores would be in memory."""
        if self.outlined and not self.wanted(tenant, scope):
            for field in self.outlined:
                tenant.pop(field, None)
            tenant[OUTLINE] = True
        return tenant

    def wanted(self, tenant: Obj, scope: Scope) -> bool:
        """Whether the tenant object is to be on the host at all."""
        return not self.declared.on_demand or self.is_referred(tenant, scope)

    def is_referred(self, tenant: Obj, scope: Scope) -> bool:
        """Whether a tenant object that is on the host refers to it, or the tenant wants it there anyway."""
        if annotations_of(tenant).get(marks.SYNC) == "true":
            return True
        sought = (self.name, key_of(tenant))
        return any(scope.tenant.indexed(api, "references", sought) for api in self.referrers)

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
        create = Create("host", self.api, self.to_host(tenant, scope))
        return [*self.needed(tenant), create]

    def both(self, tenant: Obj, host: Obj, scope: Scope) -> list[Action]:
        """Each side gets what the other one owns."""
        actions = self.tenant_changes(tenant, host, scope)
        if body := self.host_changes(tenant, host, scope):
            actions.append(Patch("host", self.api, key_of(host), uid_of(host), body, type="merge"))
        return actions

    def to_host(self, tenant: Obj, scope: Scope) -> Obj:
        """The whole host object as it is created. Raises Refused."""
        return new_host_object(self.api, tenant, scope) | self.declared.to_host(tenant, scope)

    def host_changes(self, tenant: Obj, host: Obj, scope: Scope) -> Mapping[str, Any]:
        """The merge patch that brings the tenant's fields to the host; empty when it is settled."""
        wanted = self.to_host(tenant, scope)
        fields = self.declared.owned.tenant
        return patches.merge_patch(
            {field: host[field] for field in fields if field in host},
            {field: wanted[field] for field in fields if field in wanted},
        )

    def tenant_changes(self, tenant: Obj, host: Obj, scope: Scope) -> list[Action]:
        """What brings the host's fields to the tenant: `status` by its subresource."""
        return [
            Patch(
                "tenant",
                self.api,
                key_of(tenant),
                uid_of(tenant),
                {field: body},
                "status" if field == "status" else "",
                type="merge",
            )
            for field in self.declared.owned.host
            if (body := self._tenant_change(field, tenant, host, scope))
        ]

    def _tenant_change(self, field: str, tenant: Obj, host: Obj, scope: Scope) -> Mapping[str, Any]:
        wording = self.wording(tenant, scope, uid_of(host))
        return patches.merge_patch(tenant.get(field) or {}, worded(host.get(field) or {}, wording))


class Made(Kind):
    """Makes objects in the tenant and repairs them; nothing of them is on the host."""

    watches: Mapping[Side, str] = {"tenant": ""}

    def rules(self) -> Iterator[Rule]:
        """Making and repairing, too."""
        yield from super().rules()
        yield Rule(self.api, ("create", "patch"), side="tenant")

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        if tenant is not None and (is_deleting(tenant) or not self.is_ours(tenant)):
            return []
        wanted = self.wanted(key, tenant, host, scope)
        if wanted is None:
            return self.unwanted(key, tenant, scope)
        if tenant is None:
            return self.missing(wanted)
        return self.repairs(tenant, wanted)

    def is_ours(self, tenant: Obj) -> bool:
        """Whether we have made it. Whatever else has the name is the tenant's own affair."""
        return True

    def wanted(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> Obj | None:
        """The whole object as it is to be, or None if there is to be none."""
        raise NotImplementedError

    def unwanted(self, key: Key, tenant: Obj | None, scope: Scope) -> list[Action]:
        return []

    def missing(self, wanted: Obj) -> list[Action]:
        return [Create("tenant", self.api, wanted)]

    def repairs(self, tenant: Obj, wanted: Obj) -> list[Action]:
        """What brings the tenant's object to the wanted one."""
        raise NotImplementedError


class Kinds:
    """The kinds of one syncer, and which of their keys a change concerns."""

    def __init__(self, *kinds: Kind) -> None:
        self.by_name = {kind.name: kind for kind in kinds}
        watched = {(side, kind.api) for kind in kinds for side in kind.watches}
        self._triggers: dict[tuple[Side, ApiResource], list[tuple[str, Trigger]]] = {}
        for kind in kinds:
            for source, trigger in {**kind.also, **self._referring(kind, kinds)}.items():
                if source not in watched:
                    raise ValueError(
                        f"{kind.name} waits for {source[0]} {source[1].plural}, which nobody watches"
                    )
                self._triggers.setdefault(source, []).append((kind.name, trigger))

    @staticmethod
    def _referring(kind: Kind, kinds: Iterable[Kind]) -> dict[tuple[Side, ApiResource], Trigger]:
        """Who comes to refer to an object, or ceases to, concerns it if it is on the host on demand."""
        if not kind.declared.on_demand:
            return {}
        others = [other for other in kinds if kind.name in other.declared.references.values()]
        kind.referrers = tuple(other.api for other in others)
        for other in others:
            other.ensures = (*other.ensures, kind.name)
        return {("tenant", other.api): _referred(other, kind.name) for other in others}

    def __iter__(self) -> Iterator[Kind]:
        return iter(self.by_name.values())

    def affected(
        self, kind: Kind, side: Side, old: Obj | None, new: Obj | None, scope: Scope
    ) -> Iterable[Item]:
        """What has to be looked at, each once, after an object came (without `old`), changed or went (without
        `new`)."""
        there = [obj for obj in (old, new) if obj is not None]
        items = [Item(kind.name, key) for obj in there for key in kind.concerned(side, obj)]
        for name, trigger in self._triggers.get((side, kind.api), ()):
            if (
                old is None
                or new is None
                or trigger.reads is None
                or trigger.reads(old) != trigger.reads(new)
            ):
                items += [Item(name, key) for obj in there for key in trigger.keys(obj, scope)]
        return dict.fromkeys(items)


def _referred(referrer: Kind, name: str) -> Trigger:
    """The keys of a kind that an object of another kind refers to."""

    def keys(obj: Obj, _scope: Scope) -> Iterable[Key]:
        return sorted(key for kind, key in referrer.refers(obj) if kind == name)

    fields = referrer.declared.referring
    return Trigger(keys, reads=lambda obj: [obj.get(field) for field in fields])


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
