"""What the host knows about a pod, as the tenant is to see it: a strategic merge patch of what differs.

The status is the kubelet's and the host scheduler's, but for three things: `qosClass` is computed and kept
by the API server of each side; `observedGeneration` counts changes of the tenant's object, so a number of
the host's would mean nothing; conditions named in `spec.readinessGates`, and those of types that Kubernetes
does not define, belong to the tenant. Fields not named here stay on the host (`resourceClaimStatuses`,
`extendedResourceClaimStatus`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kube import apis, patches
from kube.objects import Obj, annotations_of, key_of, uid_of
from syncer.core.actions import Patch
from syncer.core.messages import Wording
from syncer.core.scope import Scope
from syncer.kinds.pods.references import wording_of

FINISHED = frozenset({"Succeeded", "Failed"})

HOST_CONDITIONS = frozenset(
    {
        *("PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"),
        *("PodResizePending", "PodResizeInProgress", "AllContainersRestarting"),
    }
)
"""What only kubelets and schedulers write, and hosts therefore also take back. `DisruptionTarget` is not
here: an eviction through the tenant's API sets it on the tenant pod alone (KEP-3329)."""

_BUILT_IN = HOST_CONDITIONS | {"DisruptionTarget", "PodHasNetwork"}
_SCALARS = ("phase", "reason", "startTime", "resize")
_ADDRESSES = (("podIP", "podIPs"), ("hostIP", "hostIPs"))
_MAPS = ("allocatedResources", "resources")
_CONTAINERS = (
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
)
_SCHEDULED = "PodScheduled"
_ELSEWHERE = dict.fromkeys(("conditions", "observedGeneration"))
_NONE: Mapping[str, Any] = {}
_EMPTY: Sequence[Obj] = ()


def is_finished(pod: Obj) -> bool:
    return pod.get("status", _NONE).get("phase") in FINISHED


def readiness_gates(pod: Obj) -> frozenset[str]:
    """The types of conditions that are the tenant's to set. A gate may also name one of Kubernetes itself;
    that stays the host's, or a tenant could forge it."""
    gates = pod["spec"].get("readinessGates")
    return frozenset(gate["conditionType"] for gate in gates) - _BUILT_IN if gates else frozenset()


def conditions_of(pod: Obj) -> dict[str, Obj]:
    """By type."""
    return {condition["type"]: condition for condition in pod.get("status", _NONE).get("conditions") or ()}


def to_tenant(tenant: Obj, host: Obj, scope: Scope, *, settled: bool) -> Patch | None:
    """None if the tenant pod shows it all. `settled`: the host pod has everything that the tenant asks for;
    only then can the host have observed the tenant's generation."""
    body = status_changes(tenant, host, scope, settled=settled)
    if not body:
        return None
    return Patch("tenant", apis.PODS, key_of(tenant), uid_of(tenant), {"status": body}, subresource="status")


def annotations_to_tenant(tenant: Obj, host: Obj, scope: Scope) -> Patch | None:
    """The annotations that the tenant may see of the host pod, by the policy; the host owns them."""
    theirs, ours = annotations_of(host), annotations_of(tenant)
    keys = scope.sync.pods.annotations_to_tenant
    changes = {key: theirs.get(key) for key in keys if theirs.get(key) != ours.get(key)}
    if not changes:
        return None
    body = {"metadata": {"annotations": changes}}
    return Patch("tenant", apis.PODS, key_of(tenant), uid_of(tenant), body)


def status_changes(tenant: Obj, host: Obj, scope: Scope, *, settled: bool) -> dict[str, Any]:
    """The fields of `status` to merge strategically; null takes one away."""
    ours: Mapping[str, Any] = tenant.get("status") or _NONE
    theirs: Mapping[str, Any] = host.get("status") or _NONE
    wording = wording_of(tenant, scope, host["metadata"].get("uid", ""))
    body = {} if _is_shown(ours, theirs) else _fields(tenant, host, ours, theirs, wording)
    if conditions := _conditions(tenant, host, settled, wording):
        body["conditions"] = conditions
    observed = _observed(ours, theirs, tenant, host, settled)
    if observed != ours.get("observedGeneration"):
        body["observedGeneration"] = observed
    return body


def _is_shown(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether `_fields` is empty for sure, which it is for most pods most of the time: found at the speed of
    C, for equal parts of stored objects are one and the same."""
    if "message" in theirs or "nominatedNodeName" in theirs:  # these are not shown as they are
        return False
    return {**ours, **_ELSEWHERE} == {**theirs, **_ELSEWHERE}


def _fields(
    tenant: Obj, host: Obj, ours: Mapping[str, Any], theirs: Mapping[str, Any], wording: Wording
) -> dict[str, Any]:
    """What differs but for the conditions and `observedGeneration`."""
    body = _plain(ours, theirs)
    message = theirs.get("message")
    if (shown := wording(message) if message else None) != ours.get("message"):
        body["message"] = shown
    # A bound pod's nomination may be cleared, never set (ValidatePodStatusUpdate); older hosts keep it.
    nominated = None if host["spec"].get("nodeName") else theirs.get("nominatedNodeName")
    if ours.get("nominatedNodeName") != nominated:
        body["nominatedNodeName"] = nominated
    for field, containers in _CONTAINERS:
        if ours.get(field) != theirs.get(field):
            wanted = _container_statuses(theirs.get(field) or _EMPTY, containers, tenant, host, wording)
            if wanted != (ours.get(field) or []):
                body[field] = wanted or None
    return body


def _plain(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same on both sides."""
    body: dict[str, Any] = {
        field: theirs.get(field) for field in _SCALARS if ours.get(field) != theirs.get(field)
    }
    for one, all_ in _ADDRESSES:
        # Both at once: the API server takes the single one if they disagree. The list would merge by `ip`.
        if ours.get(all_) != theirs.get(all_) or ours.get(one) != theirs.get(one):
            addresses = theirs.get(all_)
            body[one] = theirs.get(one)
            body[all_] = [*addresses, {"$patch": "replace"}] if addresses else None
    for field in _MAPS:
        if (current := ours.get(field)) != (wanted := theirs.get(field)):
            body[field] = patches.merge_patch(current or {}, wanted) if wanted is not None else None
    return body


def _observed(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], tenant: Obj, host: Obj, settled: bool
) -> int | None:
    """The tenant's generation once the host's kubelet has caught up with all of it, and no step before."""
    kept: int | None = ours.get("observedGeneration")
    observed, generation = theirs.get("observedGeneration"), tenant["metadata"].get("generation")
    caught_up = settled and observed is not None and observed == host["metadata"].get("generation")
    return generation if caught_up and generation is not None else kept


def _conditions(tenant: Obj, host: Obj, settled: bool, wording: Wording) -> list[Obj]:
    """Elements to merge by type. A list put in place of the other would erase what one side alone wrote."""
    ours, theirs = conditions_of(tenant), conditions_of(host)
    if _is_scheduled(ours) and _is_scheduled(theirs):
        # The tenant's API server wrote its own when we bound the pod, and nothing changes it.
        del ours[_SCHEDULED], theirs[_SCHEDULED]
    one_count = tenant["metadata"].get("generation") == host["metadata"].get("generation")
    changes: list[Obj] = []
    if one_count and ours == theirs:
        return changes
    gates = readiness_gates(tenant)
    for type_, condition in theirs.items():
        current = ours.get(type_, _NONE)
        if current == condition and (one_count or "observedGeneration" not in condition):
            continue
        if type_ in gates or "/" in type_:
            continue
        wanted = _condition(condition, current, tenant, host, settled, wording)
        if change := condition_change(current, wanted):
            changes.append(change)
    gone = HOST_CONDITIONS.intersection(ours) - theirs.keys() - gates
    return changes + [{"type": type_, "$patch": "delete"} for type_ in sorted(gone)]


def _is_scheduled(conditions: Mapping[str, Obj]) -> bool:
    return _SCHEDULED in conditions and conditions[_SCHEDULED]["status"] == "True"


def _condition(
    theirs: Obj, ours: Mapping[str, Any], tenant: Obj, host: Obj, settled: bool, wording: Wording
) -> Obj:
    message = theirs.get("message")
    observed = theirs.get("observedGeneration")
    if observed is None and not message:
        return theirs
    wanted = dict(theirs)
    if message:
        wanted["message"] = wording(message)
    if observed is not None:
        generation = _observed(ours, theirs, tenant, host, settled)
        wanted["observedGeneration"] = generation
    return wanted


def condition_change(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> Obj:
    """The element to merge; empty if it is there. A field left out would survive, so it is null."""
    if current == wanted:
        return {}
    change = {
        field: wanted.get(field) for field in {**current, **wanted} if current.get(field) != wanted.get(field)
    }
    return {"type": wanted["type"], **change} if change else {}


def _container_statuses(
    statuses: Sequence[Obj], field: str, tenant: Obj, host: Obj, wording: Wording
) -> list[Obj]:
    """Those of the tenant's own containers; what hosts add to a pod is not shown."""
    own = {container["name"]: container for container in tenant["spec"].get(field) or _EMPTY}
    on_host = {container["name"]: container for container in host["spec"].get(field) or _EMPTY}
    return [
        _container_status(status, own[name], on_host.get(name, _NONE), wording)
        for status in statuses
        if (name := status["name"]) in own
    ]


def _container_status(status: Obj, own: Obj, on_host: Mapping[str, Any], wording: Wording) -> Obj:
    shown = dict(status)
    if status.get("image") == on_host.get("image"):
        shown["image"] = own.get("image", "")
    if mounts := status.get("volumeMounts"):
        paths = {mount["mountPath"] for mount in own.get("volumeMounts") or _EMPTY}
        _keep(shown, "volumeMounts", [mount for mount in mounts if mount["mountPath"] in paths])
    if devices := status.get("allocatedResourcesStatus"):
        resources = own.get("resources", _NONE)
        asked = {*resources.get("limits", _NONE), *resources.get("requests", _NONE)}
        _keep(shown, "allocatedResourcesStatus", [device for device in devices if device["name"] in asked])
    for field in ("state", "lastState"):
        if state := status.get(field):
            shown[field] = {kind: _state(details, wording) for kind, details in state.items()}
    return shown


def _keep(shown: Obj, field: str, elements: list[Obj]) -> None:
    """The API server drops an empty list, so writing one would never settle."""
    if elements:
        shown[field] = elements
    else:
        del shown[field]


def _state(details: Obj, wording: Wording) -> Obj:
    message = details.get("message")
    return details | {"message": wording(message)} if message else details
