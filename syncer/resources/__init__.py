"""The synced kinds: one file each, saying what goes to the host and what comes back. Pure."""

from syncer.core.policy import Sync
from syncer.core.resource import Resource
from syncer.resources.apiservices import ApiServices, Unregistered
from syncer.resources.configmaps import ConfigMaps
from syncer.resources.endpoints import Endpoints
from syncer.resources.endpointslices import EndpointSlices
from syncer.resources.events import Events
from syncer.resources.namespaces import Namespaces
from syncer.resources.nodes import Nodes, real
from syncer.resources.pods import Pods
from syncer.resources.secrets import Secrets
from syncer.resources.services import Services
from syncer.resources.webhooks import Webhooks


def registry(sync: Sync) -> tuple[Resource, ...]:
    """An instance of every kind that a tenant of this policy has."""
    return (
        Namespaces(),
        Nodes() if sync.nodes.mode == "pseudo" else real(sync.nodes.selector),
        Services(),
        EndpointSlices(),
        Endpoints(),
        Webhooks(),
        ApiServices() if sync.metrics else Unregistered(),
        ConfigMaps(),
        Secrets(),
        Pods(),
        Events(),
    )
