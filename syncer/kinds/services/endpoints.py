"""Legacy Endpoints: those of the Services that every tenant has, for clients that do not read slices.

All others are written by the tenant's own controllers and users, and none is on the host: there the slices
count, which the tenant's controllers also make of the Endpoints that users write.
"""

from collections.abc import Iterable

from kube import apis
from kube.objects import Key, Obj, key_of
from syncer.core.actions import Action, Side
from syncer.core.kind import Kind
from syncer.core.rights import Rule
from syncer.core.scope import Scope
from syncer.kinds.services import builtin

# All but what the endpoints controller writes (KEP-4974), which changes with every pod.
_BY_OTHERS = "endpoints.kubernetes.io/managed-by!=endpoint-controller"


class Endpoints(Kind):
    api = apis.ENDPOINTS
    on_host = "nothing"
    to_tenant = "those of the Services that every tenant has, made by the syncer"
    watches = {"tenant": _BY_OTHERS}
    also = builtin.IN_NAMESPACES
    rights = (Rule(apis.ENDPOINTS, ("create", "patch", "delete"), side="tenant"),)

    def concerned(self, side: Side, obj: Obj) -> Iterable[Key]:
        key = key_of(obj)
        return (key,) if key in builtin.KEYS else ()

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        return builtin.endpoints(key, tenant, scope)
