"""From the needs of a command to the RBAC objects that grant exactly these. Pure.

The needs are those that the command itself asks the host about before it changes anything (`permissions`), so
what is granted and what is asked for cannot drift apart.
"""

from collections.abc import Iterable
from typing import NamedTuple

from kube import apis
from kube.objects import Obj
from vcp import layout
from vcp.provision.permissions import Need


class Account(NamedTuple):
    """The service account that gets the rights."""

    namespace: str
    name: str


def objects(needs: Iterable[Need], account: Account, *, anywhere: bool) -> list[Obj]:
    """Roles and bindings: per namespace, and a ClusterRole for what is in none. With `anywhere`, a
    ClusterRole for everything, because the tenants' names and namespaces are not known beforehand."""
    places: dict[str, list[Need]] = {}
    for need in needs:
        if anywhere:
            # Names of cluster-scoped objects derive from the tenant's; those within it are always the same.
            need = need._replace(namespace="", name=need.name if need.namespace else "")  # noqa: PLW2901
        places.setdefault(need.namespace, []).append(need)
    found: list[Obj] = []
    for place, there in sorted(places.items()):
        found += _granted(place, rules(there), account)
    return found


def rules(needs: Iterable[Need]) -> list[Obj]:
    """RBAC rules; kinds of one group with the same verbs share one. A verb that holds for all objects is not
    repeated for one of them."""
    verbs: dict[tuple[str, str, str], set[str]] = {}  # (group, plural, name)
    for need in needs:
        plural = f"{need.resource.plural}/{need.subresource}" if need.subresource else need.resource.plural
        verbs.setdefault((need.resource.group, plural, need.name), set()).add(need.verb)
    shared: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, plural, name), wanted in sorted(verbs.items()):
        left = wanted - verbs.get((group, plural, ""), set()) if name else wanted
        if left:
            shared.setdefault((group, name, tuple(sorted(left))), []).append(plural)
    return [
        {
            "apiGroups": [group],
            "resources": plurals,
            **({"resourceNames": [name]} if name else {}),
            "verbs": list(wanted),
        }
        for (group, name, wanted), plurals in sorted(shared.items(), key=lambda item: (item[0][0], item[1]))
    ]


def _granted(place: str, granted: list[Obj], account: Account) -> list[Obj]:
    kind = "Role" if place else "ClusterRole"
    meta = {
        "name": f"vcp-ci:{account.namespace}:{account.name}",
        **({"namespace": place} if place else {}),
        "labels": {layout.PART_OF: "vcp"},
    }
    head = {"apiVersion": apis.ROLES.api_version}
    subject = {"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}
    reference = {"apiGroup": apis.ROLES.group, "kind": kind, "name": meta["name"]}
    return [
        {**head, "kind": kind, "metadata": meta, "rules": granted},
        {**head, "kind": f"{kind}Binding", "metadata": meta, "roleRef": reference, "subjects": [subject]},
    ]
