"""What pods and nodes of the tenant use: the host's PodMetrics under the tenant's names."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from kube import apis, quantities
from kube.objects import Key, Obj, key_of, labels_of
from syncer.core import marks
from syncer.core.scope import Scope

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


class Measured(NamedTuple):
    """A tenant pod's metrics, and the node that the pod is on."""

    metrics: Obj
    node: str


def pods(found: Iterable[Obj], scope: Scope, now: str) -> list[Measured]:
    """The tenant's PodMetrics, sorted by namespace and name, from the host's `found` ones."""
    measured = [one for host in found if (one := _pod(host, scope, now))]
    return sorted(measured, key=lambda one: key_of(one.metrics))


def _pod(found: Obj, scope: Scope, now: str) -> Measured | None:
    """None if the host pod of that name is not that of a tenant pod that is there now."""
    at = Key(scope.namespace, found["metadata"]["name"])
    host = scope.host.get(apis.PODS, at)
    key = marks.key_of(host) if host else None
    tenant = scope.tenant.get(apis.PODS, key) if key and scope.host_key(key) == at else None
    if host is None or tenant is None or not marks.is_owned(host, tenant):
        return None
    spec = tenant["spec"]
    own = {container["name"] for field in _CONTAINERS for container in spec.get(field) or ()}
    containers = [
        {"name": one["name"], "usage": one.get("usage") or {}}
        for one in found.get("containers") or ()
        if one["name"] in own
    ]
    metadata = _metadata(key_of(tenant), tenant, now)
    metrics = {
        **_measurement(apis.POD_METRICS, metadata, found["timestamp"], found["window"]),
        "containers": containers,
    }
    return Measured(metrics, host["spec"].get("nodeName", ""))


def nodes(measured: Iterable[Measured], scope: Scope, now: str) -> list[Obj]:
    """The tenant's NodeMetrics, sorted by name: of each Node that we made, the sum of the pods on it.

    A node whose pods all run unmeasured as yet has none; one without running pods uses nothing."""
    by_node: dict[str, list[Obj]] = {}
    for one in measured:
        by_node.setdefault(one.node, []).append(one.metrics)
    ours = scope.tenant.indexed(apis.NODES, "ours", "")
    made = (_node(node, by_node.get(node["metadata"]["name"], []), scope, now) for node in ours)
    return sorted(filter(None, made), key=lambda one: key_of(one).name)


def _node(node: Obj, pods: list[Obj], scope: Scope, now: str) -> Obj | None:
    name = node["metadata"]["name"]
    if not pods and any(_is_running(pod) for pod in scope.host.indexed(apis.PODS, "node", name)):
        return None
    oldest = min(pods, key=lambda pod: str(pod["timestamp"]), default={"timestamp": now, "window": "0s"})
    usage = {"cpu": "0", "memory": "0"} | total(pods)
    metadata = _metadata(Key("", name), node, now)
    return {
        **_measurement(apis.NODE_METRICS, metadata, oldest["timestamp"], oldest["window"]),
        "usage": usage,
    }


def _is_running(pod: Obj) -> bool:
    return bool((pod.get("status") or {}).get("phase") == "Running")


def total(pods: Iterable[Obj]) -> dict[str, str]:
    """What all containers of some PodMetrics use together, by resource."""
    sums: dict[str, int] = {}
    for usage in _usages(pods):
        for resource, quantity in usage.items():
            sums[resource] = sums.get(resource, 0) + quantities.nanos(quantity)
    return {resource: quantities.text(nano) for resource, nano in sorted(sums.items())}


def _usages(pods: Iterable[Obj]) -> Iterator[Mapping[str, str]]:
    return (container["usage"] for pod in pods for container in pod["containers"])


def _metadata(key: Key, obj: Obj, now: str) -> Obj:
    metadata: Obj = {"name": key.name, "creationTimestamp": now}
    if key.namespace:
        metadata["namespace"] = key.namespace
    if labels := dict(labels_of(obj)):
        metadata["labels"] = labels
    return metadata


def _measurement(api: apis.ApiResource, metadata: Obj, timestamp: str, window: str) -> Obj:
    return {
        "kind": api.kind,
        "apiVersion": api.api_version,
        "metadata": metadata,
        "timestamp": timestamp,
        "window": window,
    }
