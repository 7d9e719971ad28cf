"""The sizes of a tenant: what it may take of the host unless its spec says otherwise.

They count what pods ask for (requests) and not what they are limited to: a default limit would end pods that
run on any other cluster. Pods that ask for nothing are counted with a little, so that they need no change.
"""

from collections.abc import Mapping
from typing import Literal

Tier = Literal["small", "medium", "large", "none"]

REQUESTED = {"cpu": "10m", "memory": "32Mi"}
"""What a container asks for that does not say so itself, in every tier but `none`."""

_COUNTED = (
    "pods",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "persistentvolumeclaims",
    "services",
    "count/configmaps",
    "count/secrets",
)
# Every pod has a Secret with its tokens.
_SIZES = {
    "small": ("40", "4", "8Gi", "50Gi", "10", "40", "200", "300"),
    "medium": ("200", "16", "64Gi", "500Gi", "50", "200", "1000", "1500"),
    "large": ("1000", "64", "256Gi", "5Ti", "250", "1000", "5000", "7500"),
}
_SCARCE = {"services.nodeports": "0", "services.loadbalancers": "0"}  # of all tenants together

QUOTAS: Mapping[str, Mapping[str, str]] = {
    "none": {},
    **{tier: dict(zip(_COUNTED, sizes, strict=True)) | _SCARCE for tier, sizes in _SIZES.items()},
}
"""The `hard` of the ResourceQuota of each tier."""
