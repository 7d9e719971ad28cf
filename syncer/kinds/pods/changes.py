"""What of a tenant pod may change while it runs, brought to the host pod: patches of single fields, by name.

The host pod is never compared as a whole: what hosts add (sidecars, volumes, defaults, tolerations, labels)
is not the tenant's and stays. Which fields may change is what ValidatePodUpdate of the API server allows,
and the subresources `ephemeralcontainers`, `resize` and `status`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from kube import apis
from kube.objects import Labels, Obj, annotations_of, key_of, labels_of, uid_of
from syncer.core import marks
from syncer.core.actions import Action, Patch, Report
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.kinds.pods import metadata, placement, servicelinks, spec
from syncer.kinds.pods.status import condition_change, conditions_of, is_finished, readiness_gates

_NONE: Mapping[str, Any] = {}
_RESIZABLE = ("cpu", "memory")


def host_changes(tenant: Obj, host: Obj, scope: Scope, *, running: bool) -> list[Action]:
    """Patches of the host pod; empty when it is settled. What is refused is reported and keeps nothing else
    back. `running`: neither pod is being deleted, so that changes of the spec still mean something."""
    differing = _differing(tenant["spec"], host["spec"]) if running else []
    changes: list[Action] = []
    body: dict[str, Any] = {}
    try:
        if metadata_changes := _metadata(tenant, host, scope):
            body["metadata"] = metadata_changes
    except Refused as refused:
        changes.append(_report(tenant, refused))
    try:
        if running and (spec_changes := _spec(tenant, host, scope, differing)):
            body["spec"] = spec_changes
    except Refused as refused:
        changes.append(_report(tenant, refused))
    if body:
        changes.append(_patch(host, body))
    return changes + _subresources(tenant, host, scope, differing) if running else changes


def _subresources(tenant: Obj, host: Obj, scope: Scope, differing: list[str]) -> list[Action]:
    changes = _new_ephemeral_containers(tenant, host, scope)
    if not is_finished(host) and (resized := _resized(tenant, host, differing)):
        changes.append(_patch(host, {"spec": resized}, "resize"))
    if conditions := _gate_conditions(tenant, host):
        changes.append(_patch(host, {"status": {"conditions": conditions}}, "status"))
    return changes


def _differing(ours: Obj, theirs: Obj) -> list[str]:
    """The lists of containers to look at more closely: something that may change is not the same."""
    return [
        field
        for field in ("containers", "initContainers")
        if (own := ours.get(field)) and _changeable(own) != _changeable(theirs.get(field) or ())
    ]


def _changeable(containers: Sequence[Obj]) -> list[tuple[Any, ...]]:
    return [(each["name"], each.get("image"), each.get("resources")) for each in containers]


def _patch(host: Obj, body: Mapping[str, Any], subresource: str = "") -> Patch:
    return Patch("host", apis.PODS, key_of(host), uid_of(host), body, subresource)


def _report(tenant: Obj, refused: Refused) -> Report:
    return Report(tenant, "Warning", "Refused", str(refused))


def _metadata(tenant: Obj, host: Obj, scope: Scope) -> dict[str, Any]:
    """Keys that the tenant took away go from the host pod; keys that somebody on the host added stay. So do
    annotations that are the host's to say (`annotations_to_tenant`), though the tenant pod has them too."""
    labels, annotations = metadata.host_labels(tenant, scope), metadata.host_annotations(tenant, scope)
    current = annotations_of(host)
    copied = _NOTHING if current.get(marks.KEYS) == annotations[marks.KEYS] else _copied(current)
    if theirs := scope.sync.pods.annotations_to_tenant:
        annotations = {key: value for key, value in annotations.items() if key not in theirs}
        copied = _Copied(
            copied.labels, annotations=tuple(key for key in copied.annotations if key not in theirs)
        )
    changes: dict[str, Any] = {}
    if changed := _map_changes(labels, labels_of(host), copied.labels):
        changes["labels"] = changed
    if changed := _map_changes(annotations, current, copied.annotations):
        changes["annotations"] = changed
    return changes


class _Copied(msgspec.Struct, frozen=True):
    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    images: str = ""


_NOTHING = _Copied()


def _copied(annotations: Labels) -> _Copied:
    """What was copied last time. A host's administrator can garble them; then nothing is taken away."""
    try:
        return msgspec.json.decode(annotations.get(marks.KEYS, "{}"), type=_Copied)
    except msgspec.DecodeError:
        return _NOTHING


def _map_changes(wanted: Labels, current: Labels, copied: tuple[str, ...]) -> dict[str, str | None]:
    """Reserved keys (the namespace's labels, files of the downward API) are ours whether copied or not."""
    changes: dict[str, str | None] = {}
    if wanted == current:
        return changes
    if {**current, **wanted} != current:  # at the speed of C, unlike a comparison of items
        changes.update((key, value) for key, value in wanted.items() if current.get(key) != value)
    gone = [
        key
        for key in current
        if key not in wanted and (key in copied or (marks.PREFIX in key and marks.is_reserved(key)))
    ]
    return {**changes, **dict.fromkeys(gone)}


def _spec(tenant: Obj, host: Obj, scope: Scope, differing: Iterable[str]) -> dict[str, Any]:
    ours, theirs = tenant["spec"], host["spec"]
    changes: dict[str, Any] = {}
    asked = differing and _copied(annotations_of(host)).images != metadata.images(tenant)
    for field in differing if asked else ():
        if images := _images(field, tenant, host, scope):
            changes[field] = images
    tolerations = placement.tolerations(ours, scope.sync.pods) if ours.get("tolerations") else None
    if tolerations and tolerations != theirs.get("tolerations"):
        wanted = _tolerations(tolerations, theirs.get("tolerations") or [])
        if wanted != theirs.get("tolerations"):
            changes["tolerations"] = wanted
    deadline, current = ours.get("activeDeadlineSeconds"), theirs.get("activeDeadlineSeconds")
    if deadline is not None and (current is None or deadline < current):  # it may only become earlier
        changes["activeDeadlineSeconds"] = deadline
    if ours.get("terminationGracePeriodSeconds") == 1 and theirs.get("terminationGracePeriodSeconds", 0) < 0:
        changes["terminationGracePeriodSeconds"] = 1  # the one change that is allowed
    return changes


def _images(field: str, tenant: Obj, host: Obj, scope: Scope) -> list[Obj]:
    """Elements to merge by name: a whole list would take the containers away that hosts injected. Only for a
    tenant that has changed images since they were copied: otherwise it is the host that did."""
    current = {container["name"]: container.get("image") for container in host["spec"].get(field) or ()}
    changes = []
    for container in tenant["spec"][field]:
        name = container["name"]
        if name in current and container.get("image") != current[name]:
            image = spec.host_container(container, tenant, scope).get("image")
            if image != current[name]:
                changes.append({"name": name, "image": image})
    return changes


def _tolerations(wanted: list[Obj], current: list[Obj]) -> list[Obj]:
    """All of the host's and what the tenant has besides: the list is atomic, and the API server refuses one
    that lacks an old toleration; only the seconds of one may change (validateOnlyAddedTolerations)."""
    merged = list(current)
    for toleration in wanted:
        if toleration in merged:
            continue
        for index, other in enumerate(merged):
            if _without_seconds(other) == _without_seconds(toleration):
                merged[index] = toleration
                break
        else:
            merged.append(toleration)
    return merged


def _without_seconds(toleration: Obj) -> Obj:
    return {field: value for field, value in toleration.items() if field != "tolerationSeconds"}


def _new_ephemeral_containers(tenant: Obj, host: Obj, scope: Scope) -> list[Action]:
    """They may be added and never changed; the list merges by name, so the new ones are enough. One that is
    refused stays in the tenant's list for good, so it must keep none of the others back."""
    containers = tenant["spec"].get("ephemeralContainers")
    if not containers:
        return []
    there = {container["name"] for container in host["spec"].get("ephemeralContainers") or ()}
    allowed: list[Obj] = []
    reports: list[Action] = []
    for container in containers:
        if container["name"] not in there:
            try:
                allowed.append(spec.host_container(container, tenant, scope))
            except Refused as refused:
                reports.append(_report(tenant, refused))
    if not allowed:
        return reports
    added: Obj = {"spec": {"ephemeralContainers": allowed}}
    told = servicelinks.made(tenant, added, scope)
    return [*told, _patch(host, added, "ephemeralcontainers"), *reports]


def _resized(tenant: Obj, host: Obj, differing: Iterable[str]) -> dict[str, Any]:
    """CPU and memory, the only resources that may change (KEP-1287), of containers, sidecars and the pod."""
    ours, theirs = tenant["spec"], host["spec"]
    changes: dict[str, Any] = {}
    if change := _resources(ours, theirs):
        changes["resources"] = change
    for field in differing:
        current = {container["name"]: container for container in theirs.get(field) or ()}
        resized = [
            {"name": container["name"], "resources": change}
            for container in ours[field]
            if (field == "containers" or container.get("restartPolicy") == "Always")
            and (there := current.get(container["name"]))
            and (change := _resources(container, there))
        ]
        if resized:
            changes[field] = resized
    return changes


def _resources(ours: Obj, theirs: Obj) -> dict[str, Any]:
    """What the tenant names and the host has otherwise; what a LimitRange of the host added is not drift."""
    wanted = ours.get("resources")
    if not wanted or wanted == theirs.get("resources"):
        return {}
    changes: dict[str, Any] = {}
    for kind in ("requests", "limits"):
        current = theirs.get("resources", _NONE).get(kind) or _NONE
        asked = wanted.get(kind) or _NONE
        change = {
            name: asked[name] for name in _RESIZABLE if name in asked and asked[name] != current.get(name)
        }
        if change:
            changes[kind] = change
    return changes


def _gate_conditions(tenant: Obj, host: Obj) -> list[Obj]:
    """The conditions of the tenant's readiness gates, one by one by type; the kubelet computes Ready from
    them and leaves them alone. `observedGeneration` counts in tenant terms and is not theirs to know."""
    gates = readiness_gates(tenant)
    if not gates:
        return []
    return list(_gate_changes(gates, conditions_of(tenant), conditions_of(host)))


def _gate_changes(gates: frozenset[str], ours: Mapping[str, Obj], theirs: Mapping[str, Obj]) -> Iterator[Obj]:
    for type_ in sorted(gates):
        if type_ in ours:
            wanted = {field: value for field, value in ours[type_].items() if field != "observedGeneration"}
            if change := condition_change(theirs.get(type_, _NONE), wanted):
                yield change
        elif type_ in theirs:
            yield {"type": type_, "$patch": "delete"}
