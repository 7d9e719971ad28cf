"""The bench's tenants: the defaults, but for requests of CPU, the fake nodes' taint, who reads metrics. Pure.

Twenty tenants by the defaults request more CPUs than the lab's two nodes say they have. With a quarter each,
they fit on one. To the kernel a request is a weight, so the components of all tenants keep their proportions.
"""

from typing import Any

import msgspec

from benchkit import pods
from kube import quantities
from kube.objects import Obj
from labkit import network
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


def collector() -> Obj:
    """A policy that lets the bench read a syncer's metrics from the first node, wherever the syncer runs."""
    nodes = {"ipBlock": {"cidr": network.FABRIC_CIDR}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "metrics"},
        "spec": {
            "podSelector": {"matchLabels": {"vcp.dev/component": "syncer"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [nodes], "ports": [{"protocol": "TCP", "port": 8080}]}],
        },
    }
