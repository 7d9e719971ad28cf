"""The webhook by which the tenant's API server asks for the addresses of new Services: made and repaired.

A tenant's admin may change or remove it like anything else in their cluster; it comes back.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from syncer.core import apis
from syncer.core.actions import Action, Create, Patch, Side
from syncer.core.objects import Key, Obj, is_deleting, uid_of
from syncer.core.resource import Item, Resource, Rule
from syncer.core.scope import Scope
from syncer.core.services import admission

KEY = Key("", admission.NAME)


class Webhooks(Resource):
    """Only the one configuration is ever looked at."""

    api = apis.MUTATING_WEBHOOKS
    watches: ClassVar[Mapping[Side, str]] = {"tenant": ""}

    def rules(self) -> tuple[Rule, ...]:
        return ()

    def items(self, side: Side, obj: Obj, scope: Scope) -> Iterable[Item]:
        return (Item(self.name, KEY),) if obj["metadata"]["name"] == KEY.name else ()

    def find(self, key: Key, scope: Scope) -> tuple[Obj | None, Obj | None]:
        return scope.tenant.get(self.api, key), None

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        if not scope.webhook_ca or (tenant is not None and is_deleting(tenant)):
            return []
        wanted = admission.configuration(scope)
        if tenant is None:
            return [Create("tenant", self.api, wanted)]
        if tenant.get("webhooks") == wanted["webhooks"]:
            return []
        body = {"webhooks": wanted["webhooks"]}
        return [Patch("tenant", self.api, KEY, uid_of(tenant), body, type="merge")]
