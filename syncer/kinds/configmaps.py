"""ConfigMaps that something on the host refers to, `kube-root-ca.crt` among them."""

from collections.abc import Iterable

from kube import apis
from kube.objects import Obj
from syncer.core.declaration import Declaration, Owned
from syncer.core.kind import Mirror
from syncer.core.scope import Scope
from syncer.kinds.pods import servicelinks


def _serves(host: Obj, _scope: Scope) -> Iterable[str]:
    return servicelinks.serves(host)


class ConfigMaps(Mirror):
    """Index of host ConfigMaps: `serves`, the tenant namespace whose pods are told of services by one."""

    api = apis.CONFIG_MAPS
    weighed = True
    outlined = ("data", "binaryData")
    indexes = {"host": {"serves": _serves}}
    on_host = 'only while a pod refers to it, or it has the annotation `vcp.dev/sync: "true"`'
    declared = Declaration(owned=Owned(tenant=("data", "binaryData", "immutable")), on_demand=True)
