"""The synced kinds: one file each, saying what goes to the host and what comes back. Pure."""

from syncer.core.kind import Kinds
from syncer.core.policy import Sync
from syncer.kinds.configmaps import ConfigMaps
from syncer.kinds.events import Events
from syncer.kinds.metrics.apiservices import ApiServices
from syncer.kinds.namespaces import Namespaces
from syncer.kinds.nodes import Nodes, RealNodes
from syncer.kinds.pods.pods import Pods
from syncer.kinds.secrets import Secrets
from syncer.kinds.serviceaccounts import ServiceAccounts
from syncer.kinds.services.endpoints import Endpoints
from syncer.kinds.services.endpointslices import EndpointSlices
from syncer.kinds.services.services import Services
from syncer.kinds.services.webhooks import Webhooks


def registry(sync: Sync) -> Kinds:
    """Every kind that a tenant of this policy has."""
    services = (Services(), EndpointSlices())
    accounts = (ServiceAccounts(),) if sync.service_accounts.enabled else ()
    others = (ConfigMaps(), Secrets(), *accounts, Pods())
    return Kinds(
        Namespaces(),
        Nodes() if sync.nodes.mode == "pseudo" else RealNodes(sync.nodes.selector),
        *services,
        Endpoints(),
        Webhooks(),
        ApiServices(metrics=sync.metrics),
        *others,
        Events((*services, *others)),
    )
