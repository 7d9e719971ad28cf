"""Namespaces of the tenant: read only. They are not on the host; their labels are, on every pod of theirs."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from syncer.core import apis
from syncer.core.actions import Action, Side
from syncer.core.metrics import registration
from syncer.core.objects import Key, Obj, key_of
from syncer.core.resource import Index, Item, Resource, Rule
from syncer.core.scope import Scope
from syncer.core.services import admission, fixed

# What every tenant has, whether anybody has asked for it or removed it.
_ALWAYS: dict[str, tuple[Item, ...]] = {
    namespace: tuple(
        Item(api.plural, key)
        for key in sorted(fixed.KEYS)
        if key.namespace == namespace
        for api in (apis.SERVICES, apis.ENDPOINT_SLICES, apis.ENDPOINTS)
    )
    for namespace in {key.namespace for key in fixed.KEYS}
}
_ALWAYS["default"] += (Item(apis.MUTATING_WEBHOOKS.plural, Key("", admission.NAME)),)
_ALWAYS["kube-system"] += (Item(apis.API_SERVICES.plural, registration.KEY),)


def _all(_namespace: Obj, _scope: Scope) -> Iterable[str]:
    return ("",)


class Namespaces(Resource):
    """Index of tenant namespaces: `all`, under the empty string."""

    api = apis.NAMESPACES
    watches: ClassVar[Mapping[Side, str]] = {"tenant": ""}
    indexes: ClassVar[Mapping[Side, Mapping[str, Index]]] = {"tenant": {"all": _all}}

    def rules(self) -> tuple[Rule, ...]:
        return ()

    def items(self, side: Side, obj: Obj, scope: Scope) -> Iterable[Item]:
        yield from _ALWAYS.get(obj["metadata"]["name"], ())
        for pod in scope.tenant.indexed(apis.PODS, "namespace", obj["metadata"]["name"]):
            yield Item(apis.PODS.plural, key_of(pod))

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        return []
