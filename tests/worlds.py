"""Both clusters of a syncer in memory: real stores, and what an API server makes of its actions.

A case is a folder below tests/golden: the objects of both sides and what the scope says.
"""

import copy
import functools
import itertools
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kube import apis
from kube.apis import ApiResource, resource_of
from kube.objects import Key, Obj, key_of, uid_of
from syncer.core import marks
from syncer.core.actions import (
    Absent,
    Action,
    Create,
    Delete,
    Ensure,
    Patch,
    Report,
    Side,
    Tokens,
    Try,
    Wait,
)
from syncer.core.kind import Item, Kind, Kinds
from syncer.core.policy import Network, Sync
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.engine.store import Store, Stores
from syncer.kinds.registry import registry
from tests.pod_scope import SCOPE
from tests.unit.podcases import merged

GOLDEN = Path(__file__).parent / "golden"
SIDES: tuple[Side, Side] = ("tenant", "host")


class Strict(Stores):
    """Stores in which a kind that nobody watches is a mistake of the plan that asks for it."""

    def get(self, api: ApiResource, key: Key) -> Obj | None:
        self._known(api)
        return super().get(api, key)

    def indexed(self, api: ApiResource, index: str, value: Hashable) -> Sequence[Obj]:
        self._known(api)
        return super().indexed(api, index, value)

    def _known(self, api: ApiResource) -> None:
        assert self.of(api) is not None, f"no kind watches {api.plural} on this side"


class World:
    """What both API servers hold, and a syncer's view of it."""

    def __init__(
        self,
        scope: Scope,
        tenant: Iterable[Obj],
        host: Iterable[Obj],
        *,
        trim: bool = True,
        kinds: Kinds | None = None,
    ) -> None:
        self.registry = kinds or registry(scope.sync)
        self.kinds = self.registry.by_name
        self._stores: dict[Side, Strict] = {"tenant": Strict(), "host": Strict()}
        self.scope = scope.reading(self._stores["tenant"], self._stores["host"])
        self._objects: dict[tuple[Side, ApiResource, Key], Obj] = {}
        self._versions = itertools.count(1)
        for kind in self.kinds.values():
            for side in kind.watches:
                self._stores[side].add(kind.api, self._store(kind, side, trim=trim))
        for side, objects in (("tenant", tenant), ("host", host)):
            for obj in objects:
                self.put(side, obj)  # type: ignore[arg-type]

    def _store(self, kind: Kind, side: Side, *, trim: bool) -> Store:
        indexes = {
            name: functools.partial(_filed, function, self.scope)
            for name, function in kind.indexes.get(side, {}).items()
        }
        keep = (lambda obj, _: kind.kept(side, obj)) if trim else (lambda obj, _: obj)
        return Store(indexes, keep, kind.indexed_by.get(side, ()))

    def put(self, side: Side, obj: Obj) -> Obj:
        """As an API server stores it: with a uid and a version."""
        number = next(self._versions)
        metadata = {"uid": f"{side}-uid-{number}", **obj["metadata"], "resourceVersion": str(number)}
        whole = {**copy.deepcopy(obj), "metadata": metadata}
        api = self._api_of(obj)
        if side == "tenant" and api.namespaced:
            metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        self._objects[side, api, key_of(whole)] = whole
        store = self._stores[side].of(api)
        if store is not None and self._is_watched(side, whole):
            store.put(copy.deepcopy(whole))
        return whole

    def _api_of(self, obj: Obj) -> ApiResource:
        declared = (kind.api for kind in self.registry if kind.api.kind == obj["kind"])
        return next(declared, None) or resource_of(obj)

    def _is_watched(self, side: Side, obj: Obj) -> bool:
        """On the host only what is marked as this tenant's is seen, and what happens there."""
        if side == "tenant" or obj["kind"] in {"Node", "Event"}:
            return True
        labels = obj["metadata"].get("labels") or {}
        return labels.get(marks.TENANT) == self.scope.name and marks.NAMESPACE in labels

    def remove(self, side: Side, api: ApiResource, key: Key) -> None:
        if whole := self._objects.pop((side, api, key), None):
            store = self._stores[side].of(api)
            if store is not None:
                store.forget(key, uid_of(whole))

    def get(self, side: Side, api: ApiResource, key: Key) -> Obj | None:
        return self._objects.get((side, api, key))

    def objects(self, side: Side) -> list[Obj]:
        return [obj for (where, _, _), obj in self._objects.items() if where == side]

    def items(self) -> list[Item]:
        """Every key that any object concerns, each once."""
        found = (
            item
            for (side, api, _), obj in list(self._objects.items())
            for kind in self.kinds.values()
            if kind.api == api and side in kind.watches
            for item in self.registry.affected(kind, side, None, obj, self.scope)
        )
        return list(dict.fromkeys(found))

    def plan(self, item: Item) -> list[Action]:
        """Raises Refused."""
        kind = self.kinds[item.resource]
        return kind.plan(item.key, *kind.find(item.key, self.scope), self.scope)

    def stored(self, side: Side) -> Strict:
        return self._stores[side]

    def apply(self, actions: Iterable[Action]) -> None:
        """Does what the executor and an API server would."""
        for action in actions:
            self._apply(action)

    def _apply(self, action: Action) -> None:  # noqa: C901  one case for each kind of action
        match action:
            case Try(first, _):
                self._apply(first)
            case Create(side, api, obj, "binding"):
                pod = self._objects[side, api, key_of(obj)]
                self.put(side, pod | {"spec": pod["spec"] | {"nodeName": obj["target"]["name"]}})
            case Create(side, _, obj, _):
                self.put(side, obj)
            case Patch(side, api, key, uid, body, _, form):
                old = self._objects[side, api, key]
                assert uid_of(old) == uid
                self.put(side, merged(old, body) if form == "strategic" else merge(old, body))
            case Delete(side, api, key, uid, _):
                if (old := self._objects.get((side, api, key))) and uid_of(old) == uid:
                    self.remove(side, api, key)
            case Absent(side, api, key, uid):
                there = self._objects.get((side, api, key))
                assert there is None or (uid and uid_of(there) != uid), f"{api.plural} {key} is there"
            case Ensure(resource, key):
                self.apply(self.plan(Item(resource, key)))
            case Tokens(secret=secret):
                renew = {"annotations": {**secret["metadata"]["annotations"], "vcp.dev/renew": "99999999999"}}
                self.put("host", secret | {"metadata": secret["metadata"] | renew})
            case Report() | Wait():
                pass

    def settle(self, rounds: int = 6) -> list[Action]:
        """Applies plans of every key until none has anything to do; returns all that was done."""
        done: list[Action] = []
        for _ in range(rounds):
            acted = False
            for item in self.items():
                try:
                    wanted = active(self.plan(item))
                except Refused:
                    continue
                self.apply(wanted)
                done += wanted
                acted = acted or bool(wanted)
            if not acted:
                return done
        raise AssertionError(
            f"not settled after {rounds} rounds: {[active(self.plan(i)) for i in self.items()]}"
        )


def active(plan: Iterable[Action]) -> list[Action]:
    """What of a plan changes anything."""
    return [action for action in plan if not isinstance(action, Report | Wait | Absent)] and [
        action for action in plan if not isinstance(action, Report | Wait)
    ]


def _filed(function: Any, scope: Scope, obj: Obj) -> Iterable[Hashable]:
    found: Iterable[Hashable] = function(obj, scope)
    return found


def merge(old: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


class Case(msgspec.Struct, frozen=True):
    """The objects of both sides and the scope; `kind` is the plural that the case is about."""

    kind: str
    name: str
    scope: Scope
    tenant: tuple[Obj, ...]
    host: tuple[Obj, ...]

    def world(self, *, trim: bool = True, **scope: Any) -> World:
        return World(replace(self.scope, **scope), self.tenant, self.host, trim=trim)


def cases() -> list[Case]:
    """Every case of every kind."""
    return [
        *(_of_pod(path) for path in sorted(GOLDEN.glob("pods/*/tenant.yaml"))),
        *(_of_service(path) for path in sorted(GOLDEN.glob("services/*/tenant.yaml"))),
        *(_of_kind(path) for path in sorted(GOLDEN.glob("kinds/*/*.yaml"))),
    ]


def _of_kind(path: Path) -> Case:
    content = next(yaml.safe_load_all(path.read_text()))
    fields = content.get("scope", {})
    sync = msgspec.convert(content.get("sync", {}), Sync)
    network = {"network": msgspec.convert(fields.pop("network"), Network)} if "network" in fields else {}
    scope = replace(SCOPE, sync=sync, **network, **fields)
    tenant, host = (tuple(content.get(side, ())) for side in SIDES)
    return Case(path.parent.name, path.stem, scope, tenant, host)


def _of_pod(path: Path) -> Case:
    fields = _scope_file(path)
    sync = msgspec.convert({"pods": fields.pop("policy", {})}, Sync)
    objects = tuple(obj for obj in fields.pop("objects", ()))
    scope = replace(SCOPE, sync=sync, **fields)
    return Case(apis.PODS.plural, path.parent.name, scope, (*objects, yaml.safe_load(path.read_text())), ())


def _of_service(path: Path) -> Case:
    sync = msgspec.convert({"services": _scope_file(path).get("services", {})}, Sync)
    scope = replace(SCOPE, sync=sync)
    return Case(apis.SERVICES.plural, path.parent.name, scope, (yaml.safe_load(path.read_text()),), ())


def _scope_file(path: Path) -> dict[str, Any]:
    file = path.parent / "scope.yaml"
    fields: dict[str, Any] = yaml.safe_load(file.read_text()) if file.exists() else {}
    return fields
