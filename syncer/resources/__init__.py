"""The synced kinds: one file each, saying what goes to the host and what comes back. Pure."""

from syncer.core.kind import Kinds
from syncer.core.policy import Sync
from syncer.resources.apiservices import ApiServices
from syncer.resources.configmaps import ConfigMaps
from syncer.resources.endpoints import Endpoints
from syncer.resources.endpointslices import EndpointSlices
from syncer.resources.events import Events
from syncer.resources.namespaces import Namespaces
from syncer.resources.nodes import Nodes, RealNodes
from syncer.resources.pods import Pods
from syncer.resources.secrets import Secrets
from syncer.resources.services import Services
from syncer.resources.webhooks import Webhooks


def registry(sync: Sync) -> Kinds:
    """Every kind that a tenant of this policy has."""
    return Kinds(
        Namespaces(),
        Nodes() if sync.nodes.mode == "pseudo" else RealNodes(sync.nodes.selector),
        Services(),
        EndpointSlices(),
        Endpoints(),
        Webhooks(),
        ApiServices(metrics=sync.metrics),
        ConfigMaps(),
        Secrets(),
        Pods(),
        Events(),
    )
