"""The spec of the bench's tenants: the defaults, but for requests of CPU and the fake nodes' taint. Pure.

Twenty tenants by the defaults request more CPUs than the lab's two nodes say they have. With a quarter each,
they fit on one. To the kernel a request is a weight, so the components of all tenants keep their proportions.
"""

from typing import Any

import msgspec

from benchkit import pods
from kube import quantities
from vcp.spec.model import ComponentResources

_PART = 4
_MILLI = quantities.NANO // 1000


def spec() -> dict[str, Any]:
    resources = msgspec.to_builtins(ComponentResources())
    for one in resources.values():
        cpu = quantities.nanos(one["requests"]["cpu"])
        one["requests"]["cpu"] = f"{max(1, cpu // _PART // _MILLI)}m"
    return {
        "tier": "none",
        "resources": resources,
        "sync": {"pods": {"allowedTolerations": [pods.TOLERATION]}},
    }
