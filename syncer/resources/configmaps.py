"""ConfigMaps that pods refer to, `kube-root-ca.crt` among them."""

from syncer.core import apis
from syncer.core.objects import Obj
from syncer.core.referenced import is_referenced
from syncer.core.resource import Resource
from syncer.core.scope import Scope


class ConfigMaps(Resource):
    api = apis.CONFIG_MAPS
    tenant_owned = ("data", "binaryData", "immutable")

    def wanted(self, tenant: Obj, scope: Scope) -> bool:
        return is_referenced(self.name, tenant, scope)
