"""The webhook by which the tenant's API server asks for the addresses of new Services: made and repaired.

A tenant's admin may change or remove it like anything else in their cluster; it comes back.
"""

from collections.abc import Iterable

from kube import apis
from kube.objects import Key, Obj, uid_of
from syncer.core.actions import Action, Patch, Side
from syncer.core.kind import Made, Trigger
from syncer.core.scope import Scope
from syncer.kinds.services import admission

KEY = Key("", admission.NAME)


def _with_default(namespace: Obj, _scope: Scope) -> Iterable[Key]:
    return (KEY,) if namespace["metadata"]["name"] == "default" else ()


class Webhooks(Made):
    """Only the one configuration is ever looked at."""

    api = apis.MUTATING_WEBHOOKS
    on_host = "nothing"
    to_tenant = "one, made by the syncer: it brings the host's addresses to Services"
    also = {("tenant", apis.NAMESPACES): Trigger(_with_default)}

    def concerned(self, side: Side, obj: Obj) -> Iterable[Key]:
        return (KEY,) if obj["metadata"]["name"] == KEY.name else ()

    def wanted(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> Obj | None:
        return admission.configuration(scope) if scope.webhook_ca else None

    def repairs(self, tenant: Obj, wanted: Obj) -> list[Action]:
        if tenant.get("webhooks") == wanted["webhooks"]:
            return []
        body = {"webhooks": wanted["webhooks"]}
        return [Patch("tenant", self.api, KEY, uid_of(tenant), body, type="merge")]
