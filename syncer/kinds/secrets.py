"""Secrets that something on the host refers to. Those with the tokens of a pod are made by that kind."""

from kube import apis
from kube.objects import Obj, annotations_of
from syncer.core import marks
from syncer.core.actions import Side
from syncer.core.declaration import Declaration, Owned
from syncer.core.kind import Mirror
from syncer.core.scope import Scope

# Types whose only meaning is which keys they must hold. Any other becomes Opaque, for on the host it might
# act: a service account token would be filled with a token of the host, a bootstrap token would let nodes
# join.
_PASSIVE = {
    "Opaque",
    "kubernetes.io/basic-auth",
    "kubernetes.io/dockercfg",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/ssh-auth",
    "kubernetes.io/tls",
}


class Secrets(Mirror):
    api = apis.SECRETS
    weighed = True
    outlined = ("data",)
    on_host = "as for ConfigMaps"
    declared = Declaration(owned=Owned(tenant=("data", "immutable")), on_demand=True)

    def kept(self, side: Side, obj: Obj) -> Obj:
        """Tokens are written and never read, so none stays in memory."""
        secret = super().kept(side, obj)
        if side == "host" and marks.RESOURCE in annotations_of(secret):
            secret.pop("data", None)
        return secret

    def to_host(self, tenant: Obj, scope: Scope) -> Obj:
        kind = tenant.get("type", "Opaque")
        return super().to_host(tenant, scope) | {"type": kind if kind in _PASSIVE else "Opaque"}
