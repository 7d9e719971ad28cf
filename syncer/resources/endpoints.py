"""Legacy Endpoints: those of the two Services that every tenant has, for clients that do not read slices.

All others are written by the tenant's own controllers and users, and none is on the host: there the slices
count, which the tenant's controllers also make of the Endpoints that users write.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from syncer.core import apis
from syncer.core.actions import Action, Side
from syncer.core.objects import Key, Obj, key_of
from syncer.core.resource import Item, Resource, Rule
from syncer.core.scope import Scope
from syncer.core.services import fixed

# All but what the endpoints controller writes (KEP-4974), which changes with every pod.
_BY_OTHERS = "endpoints.kubernetes.io/managed-by!=endpoint-controller"


class Endpoints(Resource):
    api = apis.ENDPOINTS
    watches: ClassVar[Mapping[Side, str]] = {"tenant": _BY_OTHERS}

    def rules(self) -> tuple[Rule, ...]:
        return ()

    def items(self, side: Side, obj: Obj, scope: Scope) -> Iterable[Item]:
        key = key_of(obj)
        return (Item(self.name, key),) if key in fixed.KEYS else ()

    def find(self, key: Key, scope: Scope) -> tuple[Obj | None, Obj | None]:
        return scope.tenant.get(self.api, key), None

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        return fixed.endpoints(key, tenant, scope)
