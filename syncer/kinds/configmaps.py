"""ConfigMaps that pods refer to, `kube-root-ca.crt` among them."""

from kube import apis
from kube.objects import Obj
from syncer.core.kind import Mirror
from syncer.core.scope import Scope
from syncer.kinds.referenced import by_pods, is_referenced


class ConfigMaps(Mirror):
    api = apis.CONFIG_MAPS
    tenant_owned = ("data", "binaryData", "immutable")
    also = by_pods(apis.CONFIG_MAPS.plural)

    def wanted(self, tenant: Obj, scope: Scope) -> bool:
        return is_referenced(self.name, tenant, scope)
