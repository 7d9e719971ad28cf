"""Namespaces of the tenant: read only. They are not on the host; their labels are, on every pod of theirs."""

from collections.abc import Iterable

from kube import apis
from kube.objects import Key, Obj
from syncer.core.actions import Side
from syncer.core.kind import Kind
from syncer.core.scope import Scope


def _all(_namespace: Obj, _scope: Scope) -> Iterable[str]:
    return ("",)


class Namespaces(Kind):
    """Index of tenant namespaces: `all`, under the empty string."""

    api = apis.NAMESPACES
    on_host = "nothing; those of its labels that pods select namespaces by are on its pods"
    watches = {"tenant": ""}
    indexes = {"tenant": {"all": _all}}

    def concerned(self, side: Side, obj: Obj) -> Iterable[Key]:
        """Nothing is done about a namespace; it concerns what other kinds keep in it."""
        return ()
