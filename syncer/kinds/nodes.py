"""Nodes of the tenant: where its pods run, and the way to their logs. Nothing of them is on the host.

Every tenant Node names the syncer as its kubelet. Nothing schedules onto these nodes and no controller of
the tenant watches their heartbeats, so a settled Node costs no write.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from kube import apis, patches
from kube.objects import Key, Obj, annotations_of, key_of, labels_of, uid_of
from syncer.core import marks
from syncer.core.actions import Action, Delete, Patch, Side, Wait
from syncer.core.kind import Made, Trigger
from syncer.core.rights import Rule
from syncer.core.scope import Scope
from syncer.kinds.pods.whereabouts import node, whereabouts

NODE = "vcp.dev/node"
"""The label of Nodes that we made: how, `pseudo` or `real`. Any other Node is the tenant's own affair."""
IDLE_SINCE = "vcp.dev/idle-since"
"""When the last pod went, in seconds since the epoch. It is in the tenant, so a restart does not forget."""
IDLE_SECONDS = 300

_KUBELET_PORT = 10250
_PODS = {"pods": "110"}
"""The kubelet's default. A pod tells nothing of its node's CPU and memory: a number would be made up, and
tools print <unknown> or nothing without one."""
_CONDITIONS = (
    ("MemoryPressure", "False"),
    ("DiskPressure", "False"),
    ("PIDPressure", "False"),
    ("Ready", "True"),
)
_NODE_INFO = (
    *("architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion"),
    *("kubeletVersion", "machineID", "operatingSystem", "osImage", "systemUUID"),
)
_MACHINE = frozenset({"bootID", "machineID", "systemUUID"})  # they identify a machine of the host
_NOT_READY = "node.kubernetes.io/not-ready"
_SPEC = ("taints", "unschedulable")
_STATUS = ("addresses", "allocatable", "capacity", "conditions", "daemonEndpoints", "nodeInfo")


def _ours(tenant: Obj, _scope: Scope) -> Iterable[str]:
    return ("",) if NODE in labels_of(tenant) else ()


def _running(host_pod: Obj, _scope: Scope) -> Iterable[Key]:
    return (Key("", name) for name in node(host_pod))


class Nodes(Made):
    """A Node for each host node that runs a pod of this tenant, made from what the pods tell.

    Index of tenant nodes: `ours`, those that we made, under the empty string."""

    api = apis.NODES
    on_host = "nothing"
    to_tenant = "made by the syncer, see below"
    indexes = {"tenant": {"ours": _ours}}
    honours = ("sync.nodes.mode", "sync.nodes.selector")
    rights = (
        Rule(apis.NODES, ("delete",), side="tenant"),
        Rule(apis.NODES, ("patch",), "status", side="tenant"),
    )
    also = {("host", apis.PODS): Trigger(_running, reads=whereabouts)}

    def concerned(self, side: Side, obj: Obj) -> Iterable[Key]:
        return (Key("", obj["metadata"]["name"]),)

    def is_ours(self, tenant: Obj) -> bool:
        return NODE in labels_of(tenant)

    def wanted(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> Obj | None:
        pods = scope.host.indexed(apis.PODS, "node", key.name)
        return _pseudo(key.name, pods, tenant or {}, scope) if pods else None

    def unwanted(self, key: Key, tenant: Obj | None, scope: Scope) -> list[Action]:
        return [] if tenant is None else _idle(tenant, scope)

    def repairs(self, tenant: Obj, wanted: Obj) -> list[Action]:
        return _changes(tenant, wanted)


class RealNodes(Nodes):
    """The host's own nodes with the labels that `selector` asks for, all if it is empty, and one made from
    pods where a pod runs on a node that is not selected."""

    def __init__(self, selector: str) -> None:
        super().__init__()
        self.watches = {"tenant": "", "host": selector}

    def find(self, key: Key, scope: Scope) -> tuple[Obj | None, Obj | None]:
        return scope.tenant.get(self.api, key), scope.host.get(self.api, key)

    def wanted(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> Obj | None:
        return _real(host, scope) if host else super().wanted(key, tenant, host, scope)


def _idle(tenant: Obj, scope: Scope) -> list[Action]:
    """A Node without pods stays for some minutes: `kubectl logs` of pods that follow, fewer writes."""
    key, uid = key_of(tenant), uid_of(tenant)
    try:
        idle = scope.now - float(annotations_of(tenant)[IDLE_SINCE])
    except (KeyError, ValueError):
        idle = -1.0
    if not idle >= 0:  # not said yet, or by the tenant: a time to come, or none at all
        body = {"metadata": {"annotations": {IDLE_SINCE: str(int(scope.now))}}}
        return [Patch("tenant", apis.NODES, key, uid, body, type="merge"), Wait(IDLE_SECONDS)]
    if idle < IDLE_SECONDS:
        return [Wait(IDLE_SECONDS - idle)]
    return [Delete("tenant", apis.NODES, key, uid)]


def _pseudo(name: str, pods: Sequence[Obj], current: Obj, scope: Scope) -> Obj:
    """`current` is the tenant Node there is, or {}: what no pod tells any more is kept from it, and what the
    tenant added. Admission taints each new Node as not ready (TaintNodesByCondition), and only we take that
    away: with it, DaemonSets would not see the node."""
    since = min(pod["metadata"].get("creationTimestamp", "") for pod in pods)
    addresses = _internal(_addresses_told(pods)) or [
        address for address in _status(current).get("addresses") or () if address["type"] == "InternalIP"
    ]
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", NODE: "pseudo"}
    spec = {field: value for field, value in (current.get("spec") or {}).items() if field in _SPEC}
    if taints := [taint for taint in spec.pop("taints", ()) if taint["key"] != _NOT_READY]:
        spec["taints"] = taints
    status = {
        "capacity": _PODS,
        "allocatable": _PODS,
        "conditions": [_condition(type_, value, since) for type_, value in _CONDITIONS],
        "nodeInfo": {field: "linux" if field == "operatingSystem" else "" for field in _NODE_INFO},
    }
    kept = labels_of(current) if current else {}
    return _node(name, {**kept, **labels}, spec, status, addresses, scope)


def _real(host: Obj, scope: Scope) -> Obj:
    name = host["metadata"]["name"]
    theirs = _status(host)
    labels = {key: value for key, value in labels_of(host).items() if not marks.is_reserved(key)}
    spec = {field: value for field, value in host["spec"].items() if field in _SPEC and value}
    info: Obj = theirs.get("nodeInfo") or {}
    status: Obj = {
        **{field: theirs[field] for field in ("capacity", "allocatable", "conditions") if field in theirs},
        "nodeInfo": {field: "" if field in _MACHINE else info.get(field, "") for field in _NODE_INFO},
    }
    addresses = [one for one in theirs.get("addresses") or () if one["type"] == "InternalIP"]
    return _node(name, labels | {NODE: "real"}, spec, status, addresses, scope)


def _node(
    name: str, labels: dict[str, str], spec: Obj, status: Obj, addresses: list[Obj], scope: Scope
) -> Obj:
    """The API server dials InternalDNS before InternalIP, and InternalDNS is the syncer. A Node keeps the
    status that it is created with (nodeStrategy.PrepareForCreate), so one request makes it."""
    kubelet = {"type": "InternalDNS", "address": scope.kubelet}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {
            **status,
            "addresses": [*addresses, {"type": "Hostname", "address": name}, kubelet],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": _KUBELET_PORT}},
        },
    }


def _changes(tenant: Obj, wanted: Obj) -> list[Action]:
    """Labels, taints and status are brought to what is wanted; other annotations are the tenant's."""
    key, uid = key_of(tenant), uid_of(tenant)
    actions: list[Action] = []
    body: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if labels := patches.merge_patch(labels_of(tenant), wanted["metadata"]["labels"]):
        metadata["labels"] = labels
    if IDLE_SINCE in annotations_of(tenant):
        metadata["annotations"] = {IDLE_SINCE: None}
    if metadata:
        body["metadata"] = metadata
    ours = tenant.get("spec") or {}
    spec = {field: value for field, value in ours.items() if field in _SPEC}
    if change := patches.merge_patch(spec, wanted["spec"]):
        body["spec"] = change
    if body:
        actions.append(Patch("tenant", apis.NODES, key, uid, body, type="merge"))
    current = _status(tenant)
    if status := _status_changes(current, wanted["status"]):
        actions.append(Patch("tenant", apis.NODES, key, uid, {"status": status}, "status", type="merge"))
    return actions


def _status_changes(current: Obj, wanted: Obj) -> dict[str, Any]:
    """Lists as a whole: strategic merging would mix the addresses of one type. Heartbeats alone are no
    change."""
    changes = patches.merge_patch(
        {field: current[field] for field in _STATUS if field in current and field != "conditions"},
        {field: wanted[field] for field in _STATUS if field in wanted and field != "conditions"},
    )
    conditions = wanted.get("conditions") or []
    if _timeless(conditions) != _timeless(current.get("conditions") or []):
        changes["conditions"] = conditions
    return changes


def _timeless(conditions: list[Obj]) -> list[Obj]:
    times = ("lastHeartbeatTime", "lastTransitionTime")
    return [{field: value for field, value in one.items() if field not in times} for one in conditions]


def _condition(type_: str, value: str, since: str) -> Obj:
    """`since` is when the first pod came: the one time known that is not a heartbeat."""
    condition = {"type": type_, "status": value, "reason": "HostNode", "message": "The host runs this node"}
    return condition | ({"lastHeartbeatTime": since, "lastTransitionTime": since} if since else {})


def _addresses_told(pods: Sequence[Obj]) -> list[str]:
    """All pods of a node tell the same."""
    for pod in pods:
        status = _status(pod)
        if told := status.get("hostIPs"):
            return [address["ip"] for address in told]
        if told := status.get("hostIP"):
            return [told]
    return []


def _internal(addresses: list[str]) -> list[Obj]:
    return [{"type": "InternalIP", "address": address} for address in addresses]


def _status(obj: Obj) -> Obj:
    status: Obj = obj.get("status") or {}
    return status
