"""The APIService by which the tenant's API server finds the metrics API: made and repaired.

One that leads elsewhere is the choice of the tenant's admin and is left alone.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from syncer.core import apis
from syncer.core.actions import Action, Create, Delete, Ensure, Patch, Side
from syncer.core.metrics import registration
from syncer.core.objects import Key, Obj, is_deleting, uid_of
from syncer.core.resource import Item, Resource, Rule
from syncer.core.scope import Scope
from syncer.core.services import fixed

_BUILT_IN = "kube-aggregator.kubernetes.io/automanaged"  # one per group and version that is not aggregated


class ApiServices(Resource):
    """Only the one of the metrics API is ever looked at."""

    api = apis.API_SERVICES
    watches: ClassVar[Mapping[Side, str]] = {"tenant": f"!{_BUILT_IN}"}

    honours: ClassVar[tuple[str, ...]] = ("sync.metrics",)

    def rules(self) -> tuple[Rule, ...]:
        """What is told to the tenant is read on the host."""
        return (Rule(apis.POD_METRICS, ("get", "list")),)

    def items(self, side: Side, obj: Obj, scope: Scope) -> Iterable[Item]:
        return (Item(self.name, registration.KEY),) if obj["metadata"]["name"] == registration.NAME else ()

    def find(self, key: Key, scope: Scope) -> tuple[Obj | None, Obj | None]:
        return scope.tenant.get(self.api, key), None

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        if tenant is not None and (is_deleting(tenant) or not registration.is_ours(tenant)):
            return []
        if not scope.metrics_address:
            return [Delete("tenant", self.api, key, uid_of(tenant))] if tenant is not None else []
        if not scope.webhook_ca:
            return []
        wanted = registration.api_service(scope)
        if tenant is None:
            # Its Service first: without one, the API server takes the whole group for broken at once.
            parts = (apis.SERVICES, apis.ENDPOINT_SLICES)
            return [
                *(Ensure(part.plural, fixed.METRICS) for part in parts),
                Create("tenant", self.api, wanted),
            ]
        if tenant["spec"] == wanted["spec"]:
            return []
        body = {"spec": {"insecureSkipTLSVerify": None, **wanted["spec"]}}
        return [Patch("tenant", self.api, key, uid_of(tenant), body, type="merge")]


class Unregistered(ApiServices):
    """For a tenant without a metrics API: nothing is read on the host for it."""

    def rules(self) -> tuple[Rule, ...]:
        return ()
