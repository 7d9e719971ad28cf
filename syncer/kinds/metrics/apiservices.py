"""The APIService by which the tenant's API server finds the metrics API: made and repaired.

One that leads elsewhere is the choice of the tenant's admin and is left alone. So is one that has another
server answer for an API of Kubernetes itself; what that tells cannot be believed, which the engine sees to.
"""

from collections.abc import Iterable

from kube import apis
from kube.objects import Key, Obj, key_of, uid_of
from syncer.core.actions import Action, Create, Delete, Ensure, Patch, Side
from syncer.core.kind import Made, Trigger
from syncer.core.rights import Rule
from syncer.core.scope import Scope
from syncer.kinds.metrics import registration
from syncer.kinds.services import builtin


def _with_system(namespace: Obj, _scope: Scope) -> Iterable[Key]:
    return (registration.KEY,) if namespace["metadata"]["name"] == "kube-system" else ()


class ApiServices(Made):
    """Only the one of the metrics API is ever looked at.

    With `metrics`, what is told to the tenant is read on the host; without, a registered one goes."""

    api = apis.API_SERVICES
    on_host = "nothing"
    to_tenant = "`metrics.k8s.io`, made by the syncer"
    honours = ("sync.metrics",)
    also = {("tenant", apis.NAMESPACES): Trigger(_with_system)}

    def __init__(self, *, metrics: bool = True) -> None:
        super().__init__()
        served = (
            Rule(apis.POD_METRICS, ("get", "list")),
            Rule(apis.SUBJECT_ACCESS_REVIEWS, ("create",), side="tenant"),
        )
        self.rights = (Rule(self.api, ("delete",), side="tenant"), *(served if metrics else ()))

    def concerned(self, side: Side, obj: Obj) -> Iterable[Key]:
        return (registration.KEY,) if obj["metadata"]["name"] == registration.NAME else ()

    def is_ours(self, tenant: Obj) -> bool:
        return registration.is_ours(tenant)

    def replaces(self, tenant: Obj) -> str:
        spec = tenant.get("spec") or {}
        if not spec.get("service"):
            return ""
        return "/".join(part for part in (spec.get("group"), spec.get("version")) if part)

    def wanted(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> Obj | None:
        return registration.api_service(scope) if scope.metrics_address and scope.webhook_ca else None

    def unwanted(self, key: Key, tenant: Obj | None, scope: Scope) -> list[Action]:
        if tenant is None or scope.metrics_address:
            return []
        return [Delete("tenant", self.api, key, uid_of(tenant))]

    def missing(self, wanted: Obj) -> list[Action]:
        """Its Service first: without one, the API server takes the whole group for broken at once."""
        parts = (apis.SERVICES, apis.ENDPOINT_SLICES)
        return [*(Ensure(part.plural, builtin.METRICS) for part in parts), Create("tenant", self.api, wanted)]

    def repairs(self, tenant: Obj, wanted: Obj) -> list[Action]:
        if tenant["spec"] == wanted["spec"]:
            return []
        body = {"spec": {"insecureSkipTLSVerify": None, **wanted["spec"]}}
        return [Patch("tenant", self.api, key_of(tenant), uid_of(tenant), body, type="merge")]
