"""Namespaces of the tenant: read only. They are not on the host; labels of theirs are, on their pods, and the
variables of their services, which this kind removes once no pod reads them."""

from collections.abc import Iterable

from kube import apis
from kube.objects import Key, Obj
from syncer.core import marks
from syncer.core.actions import Action, Side
from syncer.core.kind import Kind, Trigger
from syncer.core.rights import SYNCED, Rule
from syncer.core.scope import Scope
from syncer.kinds.pods import servicelinks


def _all(_namespace: Obj, _scope: Scope) -> Iterable[str]:
    return ("",)


def _served(config_map: Obj, _scope: Scope) -> Iterable[Key]:
    return [Key("", namespace) for namespace in servicelinks.serves(config_map)]


def _of_reader(host_pod: Obj, _scope: Scope) -> Iterable[Key]:
    key = marks.key_of(host_pod)
    return [Key("", key.namespace)] if key and servicelinks.read_by(host_pod) else []


class Namespaces(Kind):
    """Index of tenant namespaces: `all`, under the empty string."""

    api = apis.NAMESPACES
    on_host = "the variables of its Services; on its pods, labels that pods select namespaces by"
    watches = {"tenant": ""}
    indexes = {"tenant": {"all": _all}}
    rights = (Rule(apis.CONFIG_MAPS, SYNCED),)
    also = {
        ("host", apis.CONFIG_MAPS): Trigger(_served),
        ("host", apis.PODS): Trigger(_of_reader, reads=servicelinks.read_by),
    }

    def concerned(self, side: Side, obj: Obj) -> Iterable[Key]:
        """Nothing is done about a namespace itself; it concerns what other kinds keep in it."""
        return ()

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        return servicelinks.unused(key.name, scope)
