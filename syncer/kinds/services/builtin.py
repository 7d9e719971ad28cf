"""Three Services of every tenant that no host Service stands for: `default/kubernetes`,
`kube-system/kube-dns` and, unless the tenant has no metrics API, `kube-system/vcp-metrics`.

They are names, inside the tenant, of the host Services `api`, `dns` and `syncer`, and have their ClusterIPs,
which are reached through the host's proxies. Their slices and Endpoints have that address too, and not those
of the control plane's pods: it stays the same when pods are replaced, it is in the API's certificate, and to
know it takes no right on the host. The tenant's API server makes `kubernetes` with the first address of the
range and never looks at it again once it is there (kubernetesservice.Controller), so what is written here
stays.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from kube import apis, patches
from kube.apis import ApiResource
from kube.objects import Key, Labels, Obj, is_deleting, key_of, labels_of, uid_of
from syncer.core import marks
from syncer.core.actions import Action, Create, Delete, Patch
from syncer.core.kind import Trigger, Triggers
from syncer.core.scope import Scope
from syncer.kinds.services.allocation import NOWHERE

KUBERNETES = Key("default", "kubernetes")
KUBE_DNS = Key("kube-system", "kube-dns")
METRICS = Key("kube-system", "vcp-metrics")
METRICS_PORT = 4443
KEYS = frozenset({KUBERNETES, KUBE_DNS, METRICS})

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
SYNCER = "syncer.vcp.dev"
_OURS = {"app.kubernetes.io/managed-by": "vcp"}
_SPEC = ("type", "ports", "selector", "externalName", "externalIPs")


def _of_namespace(namespace: Obj, _scope: Scope) -> Iterable[Key]:
    return (key for key in sorted(KEYS) if key.namespace == namespace["metadata"]["name"])


IN_NAMESPACES: Triggers = {("tenant", apis.NAMESPACES): Trigger(_of_namespace)}
"""They are looked at with their namespace, whether anybody has asked for them or removed them."""


class _Fixed(NamedTuple):
    address: str
    labels: dict[str, str]
    ports: list[Obj]


def _fixed(key: Key, scope: Scope) -> _Fixed:
    if key == KUBERNETES:
        labels = {"component": "apiserver", "provider": "kubernetes"}
        return _Fixed(scope.api_address, labels, [_port("https", 443, "TCP", 6443)])
    if key == METRICS:
        ports = [_port("https", METRICS_PORT, "TCP", METRICS_PORT)]
        return _Fixed(scope.metrics_address, _OURS, ports)
    labels = {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
    }
    ports = [_port("dns", 53, "UDP", 53), _port("dns-tcp", 53, "TCP", 53)]
    return _Fixed(scope.dns_address, labels, ports)


def service(key: Key, tenant: Obj | None, scope: Scope) -> list[Action]:
    """Makes or repairs the Service; nothing while its address is not known."""
    address, labels, ports = _fixed(key, scope)
    if tenant is not None and is_deleting(tenant):
        return []
    if not address:
        return _taken_back(apis.SERVICES, tenant, _OURS)
    spec: Obj = {"type": "ClusterIP", "ports": ports, "clusterIP": address}
    if tenant is None:
        metadata = {"name": key.name, "namespace": key.namespace, "labels": labels}
        body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
        return [Create("tenant", apis.SERVICES, body)]
    there = tenant["spec"]
    if there.get("clusterIP") == address:
        changes = patches.merge_patch(
            {field: there[field] for field in _SPEC if field in there},
            {field: spec[field] for field in _SPEC if field in spec},
        )
        return [_patch(key, tenant, changes)] if changes else []
    leave = {"type": "ExternalName", "externalName": NOWHERE}
    change = {**spec, "clusterIPs": [address], "externalName": None, "selector": None, "externalIPs": None}
    return [
        *([_patch(key, tenant, leave)] if there.get("clusterIP") else []),
        _patch(key, tenant, change),
    ]


def _patch(key: Key, tenant: Obj, spec: dict[str, Any]) -> Patch:
    annotations = {"metadata": {"annotations": {marks.MOVING: None}}}
    moving = marks.MOVING in (tenant["metadata"].get("annotations") or {})
    body = {"spec": spec} | (annotations if moving else {})
    return Patch("tenant", apis.SERVICES, key, uid_of(tenant), body, type="merge")


def endpoints(key: Key, tenant: Obj | None, scope: Scope) -> list[Action]:
    """Makes or repairs the legacy Endpoints, which nobody is to make a second slice of."""
    address, _, ports = _fixed(key, scope)
    if tenant is not None and is_deleting(tenant):
        return []
    labels = {SKIP_MIRROR: "true"}
    if not address:
        return _taken_back(apis.ENDPOINTS, tenant, labels)
    subsets = [{"addresses": [{"ip": address}], "ports": _reached(ports)}]
    if tenant is None:
        body = {
            "apiVersion": apis.ENDPOINTS.api_version,
            "kind": apis.ENDPOINTS.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels},
            "subsets": subsets,
        }
        return [Create("tenant", apis.ENDPOINTS, body)]
    # The API server puts the ports into an order of its own (endpoints.SortSubsets).
    is_right = _in_order(tenant.get("subsets") or []) == _in_order(subsets)
    return _repair(apis.ENDPOINTS, tenant, {} if is_right else {"subsets": subsets}, labels)


def endpoint_slice(key: Key, tenant: Obj | None, scope: Scope) -> list[Action]:
    """Makes or repairs the slice, which is called as its Service is."""
    address, _, ports = _fixed(key, scope)
    if tenant is not None and is_deleting(tenant):
        return []
    if not address:
        return _taken_back(apis.ENDPOINT_SLICES, tenant, {MANAGED_BY: SYNCER})
    labels = {SERVICE_NAME: key.name, MANAGED_BY: SYNCER}
    wanted = {
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": _reached(ports),
    }
    if tenant is None:
        body = {
            "apiVersion": apis.ENDPOINT_SLICES.api_version,
            "kind": apis.ENDPOINT_SLICES.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels},
            "addressType": "IPv6" if ":" in address else "IPv4",
            **wanted,
        }
        return [Create("tenant", apis.ENDPOINT_SLICES, body)]
    return _repair(apis.ENDPOINT_SLICES, tenant, wanted, labels)


def _repair(api: ApiResource, tenant: Obj, wanted: Obj, labels: Labels) -> list[Action]:
    changes: dict[str, Any] = {field: value for field, value in wanted.items() if tenant.get(field) != value}
    if any(labels_of(tenant).get(label) != value for label, value in labels.items()):
        changes["metadata"] = {"labels": labels}
    return [Patch("tenant", api, key_of(tenant), uid_of(tenant), changes, type="merge")] if changes else []


def _in_order(subsets: list[Obj]) -> list[Obj]:
    return [
        one | {"ports": sorted(one.get("ports") or (), key=lambda port: str(port.get("name")))}
        for one in subsets
    ]


def _reached(ports: list[Obj]) -> list[Obj]:
    return [{field: port[field] for field in ("name", "port", "protocol")} for port in ports]


def _taken_back(api: ApiResource, tenant: Obj | None, labels: Labels) -> list[Action]:
    """The metrics API's, once there is none: that it is ours is seen by the labels."""
    if tenant is None or key_of(tenant) != METRICS:
        return []
    if any(labels_of(tenant).get(label) != value for label, value in labels.items()):
        return []
    return [Delete("tenant", api, METRICS, uid_of(tenant))]


def _port(name: str, port: int, protocol: str, target: int) -> Obj:
    return {"name": name, "port": port, "protocol": protocol, "targetPort": target}
