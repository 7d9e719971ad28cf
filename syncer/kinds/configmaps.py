"""ConfigMaps that something on the host refers to, `kube-root-ca.crt` among them."""

from kube import apis
from syncer.core.declaration import Declaration, Owned
from syncer.core.kind import Mirror


class ConfigMaps(Mirror):
    api = apis.CONFIG_MAPS
    weighed = True
    on_host = 'only while a pod refers to it, or it has the annotation `vcp.dev/sync: "true"`'
    declared = Declaration(owned=Owned(tenant=("data", "binaryData", "immutable")), on_demand=True)
