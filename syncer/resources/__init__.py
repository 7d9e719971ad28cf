"""The synced kinds: one file each, saying what goes to the host and what comes back. Pure."""

from syncer.core.policy import Nodes
from syncer.core.resource import Resource
from syncer.resources.configmaps import ConfigMaps
from syncer.resources.secrets import Secrets


def registry(nodes: Nodes) -> tuple[Resource, ...]:
    """An instance of every kind; `nodes` says which of them the tenant sees."""
    del nodes
    return (ConfigMaps(), Secrets())
