"""Rights that a syncer takes on either side. What the roles grant is derived from these."""

from typing import NamedTuple

from kube import apis
from kube.apis import ApiResource
from syncer.core.actions import Side

READ = ("get", "list", "watch")
SYNCED = (*READ, "create", "patch", "delete")


class Rule(NamedTuple):
    """Verbs on a resource or a subresource of it.

    On the host they hold in the workload namespace unless `cluster`; in the tenant in all namespaces."""

    api: ApiResource
    verbs: tuple[str, ...]
    subresource: str = ""
    cluster: bool = False
    side: Side = "host"


ENGINE = (Rule(apis.EVENTS, ("get", "create", "patch"), side="tenant"),)
"""What is taken whatever the kinds are: Events on tenant objects."""
