"""The kinds that are synced. Everything that depends on which kinds there are asks `registry`."""

from syncer.core import apis
from syncer.core.policy import Nodes
from syncer.core.resource import READ, Resource, Rule


class Pods(Resource):
    """Pods: created, bound, followed."""

    api = apis.PODS

    def rules(self) -> tuple[Rule, ...]:
        parts = ("status", "ephemeralcontainers", "resize")
        return (*super().rules(), *(Rule(self.api, ("patch",), part) for part in parts))


class ConfigMaps(Resource):
    """Those that pods use."""

    api = apis.CONFIG_MAPS


class Secrets(Resource):
    """Those that pods use, and their tokens."""

    api = apis.SECRETS


class Events(Resource):
    """The host's, about the tenant's pods."""

    api = apis.EVENTS

    def rules(self) -> tuple[Rule, ...]:
        return (Rule(self.api, READ),)


class RealNodes(Resource):
    """The host's nodes."""

    api = apis.NODES

    def rules(self) -> tuple[Rule, ...]:
        return (Rule(self.api, READ, cluster=True),)


def registry(nodes: Nodes) -> tuple[Resource, ...]:
    """One instance of each kind that is synced."""
    real = (RealNodes(),) if nodes.mode == "real" else ()
    return (Pods(), ConfigMaps(), Secrets(), Events(), *real)
