"""Services of the tenant: read only. Pods are told of them in their environment when they are created."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from syncer.core import apis
from syncer.core.actions import Action, Side
from syncer.core.objects import Key, Obj
from syncer.core.resource import Index, Item, Resource, Rule
from syncer.core.scope import Scope


def _namespace(service: Obj, _scope: Scope) -> Iterable[str]:
    return (service["metadata"]["namespace"],)


class Services(Resource):
    """Index of tenant services: `namespace`."""

    api = apis.SERVICES
    watches: ClassVar[Mapping[Side, str]] = {"tenant": ""}
    indexes: ClassVar[Mapping[Side, Mapping[str, Index]]] = {"tenant": {"namespace": _namespace}}

    def rules(self) -> tuple[Rule, ...]:
        return ()

    def items(self, side: Side, obj: Obj, scope: Scope) -> Iterable[Item]:
        return ()

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        return []
