"""What most kinds need, as data that reads the same in Python and in YAML (docs/adding-a-kind.md).

Finding and rewriting read the same declaration, so neither can know a place that the other does not.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kube.objects import Key, Obj, key_of
from syncer.core import podselectors
from syncer.core.paths import Paths
from syncer.core.policy import Sync
from syncer.core.refusal import Problem, Refused
from syncer.core.scope import Scope


class Owned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The top-level fields that only one side writes; on the other side they follow."""

    tenant: tuple[str, ...] = ()
    host: tuple[str, ...] = ()


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a tenant may not set a field, and the key of the policy that lets them: `true` lets them set it to
    anything, a list to its members, a mapping to its keys. Without a key nothing does."""

    reason: str
    allow: str = ""


class Declaration(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", dict=True
):
    """Where a kind's objects refer to others, which side owns what, and what is refused.

    Paths are as `syncer/core/paths.py` reads them, from the object's top."""

    owned: Owned = Owned()
    references: Annotated[
        Mapping[str, str], Meta(description="Path to a name -> the kind, as PLURAL or PLURAL.GROUP.")
    ] = {}
    selectors: Annotated[
        tuple[str, ...], Meta(description="Paths to label selectors over pods of the object's namespace.")
    ] = ()
    refused: Annotated[Mapping[str, Refusal], Meta(description="Path to a field -> why it is refused.")] = {}
    on_demand: Annotated[
        bool, Meta(description="Objects are on the host only while another one there refers to them.")
    ] = False

    def __post_init__(self) -> None:
        """Raises ValueError for a path that cannot be one."""
        _ = self._places, self._refused

    @cached_property
    def _places(self) -> Paths[tuple[str, str]]:
        """All that is rewritten: path and kind of a reference; the kind of a selector is empty."""
        kinds = {**dict.fromkeys(self.selectors, ""), **self.references}
        return Paths({path: (path, kind) for path, kind in kinds.items()})

    @cached_property
    def _refused(self) -> Paths[Refusal]:
        return Paths(self.refused)

    @property
    def policy(self) -> tuple[str, ...]:
        """The fields of the scope's policy that decide what is refused, as `sync.services.external_ips`."""
        allowing = dict.fromkeys(one.allow for one in self.refused.values() if one.allow)
        return tuple(re.sub(r"(?<=[a-z])[A-Z]", lambda m: f"_{m[0].lower()}", key) for key in allowing)

    @property
    def referring(self) -> tuple[str, ...]:
        """The top-level fields that hold references."""
        return tuple(dict.fromkeys(re.split(r"[.[]", path, maxsplit=1)[0] for path in self.references))

    def referred(self, obj: Obj) -> frozenset[tuple[str, Key]]:
        """(kind, tenant key) of everything that a tenant object refers to in its own namespace, each once."""
        namespace = obj["metadata"].get("namespace", "")
        found = self._places.found(obj)
        return frozenset(
            (kind, Key(namespace, name)) for (_, kind), name in found if kind and isinstance(name, str)
        )

    def translated(self, obj: Obj, namespace: str, scope: Scope) -> Obj:
        """A tenant object, or a part of one, with its references and selectors in terms of the host."""

        def change(place: tuple[str, str], value: Any) -> Any:
            if not place[1]:
                return podselectors.of_namespace(value, namespace, scope)
            return scope.host_key(Key(namespace, value)).name if isinstance(value, str) else value

        return self._places.mapped(obj, change)

    def problems(self, obj: Obj, sync: Sync) -> Iterator[Problem]:
        """Every refusal, and every place that does not hold what is declared: it might name something of the
        host."""
        for path in self._places.misfits(obj):
            yield Problem(path, "is not what this kind has there")
        for (path, kind), value in self._places.found(obj):
            if not isinstance(value, str if kind else dict):
                yield Problem(path, f"does not hold a {'name' if kind else 'selector'}")
        yield from self.refusals(obj, sync)

    def refusals(self, obj: Obj, sync: Sync) -> Iterator[Problem]:
        """Every refused field that is set and that the policy does not allow."""
        for place, refusal, value in self._refused.located(obj):
            allowed = _policy(sync, refusal.allow)
            if isinstance(allowed, tuple | list | dict):
                if value not in allowed:
                    yield Problem(place, f"{value} {refusal.reason}", refusal.allow)
            elif allowed is not True:
                yield Problem(place, refusal.reason, refusal.allow)

    def to_host(self, tenant: Obj, scope: Scope) -> Obj:
        """The fields of the tenant as the host has them. Raises Refused."""
        if found := tuple(self.problems(tenant, scope.sync)):
            raise Refused(*found)
        theirs = {field: tenant[field] for field in self.owned.tenant if field in tenant}
        return self.translated(theirs, key_of(tenant).namespace, scope)


def _policy(sync: Sync, key: str) -> Any:
    """What the policy says at a key like `sync.services.externalIps`; None if there is no key."""
    found: Any = msgspec.to_builtins(sync) if key else {}
    for part in key.split(".")[1:]:
        found = found[part]
    return found if key else None
