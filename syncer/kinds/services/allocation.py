"""ClusterIPs and ports of nodes: both clusters give them out of the same range, and only the host's count.

The webhook brings the host's into the tenant before a Service is stored. For every other way the tenant's are
asked of the host first; what somebody else has already is replaced in the tenant. A ClusterIP cannot be
changed, but a Service of type ExternalName has none and may get another with its next type: so a tenant
Service is moved by two patches, keeps its uid, and bears its own spec in an annotation in between.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import msgspec

from kube import apis, patches
from kube.objects import Obj, annotations_of, key_of, uid_of
from syncer.core import marks
from syncer.core.actions import Action, Create, Patch, Report, Try
from syncer.core.scope import Scope
from syncer.kinds.services.spec import OWNED, allowed_annotations, host_service, host_spec

_ADDRESS = ("clusterIP", "clusterIPs")
_PORT = "healthCheckNodePort"
NOWHERE = "address-is-being-changed.invalid"
"""The external name of a Service between its two addresses; `.invalid` never resolves (RFC 2606)."""


def create(tenant: Obj, scope: Scope) -> Action:
    """The host Service with the tenant's addresses and ports; else without those ports; else without both."""
    bodies = [body for body, _ in itertools.groupby(bodies_of(tenant, scope))]
    action: Create | Try = Create("host", apis.SERVICES, bodies[-1])
    for body in reversed(bodies[:-1]):
        action = Try(Create("host", apis.SERVICES, body), (action,))
    return action


def bodies_of(tenant: Obj, scope: Scope) -> tuple[Obj, Obj, Obj]:
    """Three host Services that ask for everything, for the address, and for nothing. Raises Refused."""
    plain = host_service(tenant, scope)
    spec = tenant["spec"]
    address = plain | {"spec": plain["spec"] | {field: spec[field] for field in _ADDRESS if spec.get(field)}}
    everything = address | {"spec": address["spec"] | _ports(tenant)}
    return everything, address, plain


def to_host(tenant: Obj, host: Obj, scope: Scope) -> list[Action]:
    """What the host Service lacks of the tenant's. Raises Refused."""
    metadata = _metadata(tenant, host, scope)
    plain = host_spec(tenant, scope)
    wished = _changes(host, plain | _ports(tenant))
    kept = _changes(host, plain | _kept_ports(tenant, host))
    if "healthCheckNodePort" in host["spec"]:
        wished.pop(_PORT, None)  # it cannot be changed, only moved to
    first, second = _body(metadata, wished), _body(metadata, kept)
    if not first:
        return []
    patch = _patch(host, first)
    if first == second:
        return [patch]
    return [Try(patch, (_patch(host, second),) if second else tuple(_follow(tenant, host)))]


def to_tenant(tenant: Obj, host: Obj) -> list[Action]:
    """Brings a tenant Service to the host's addresses, where they differ."""
    ours, theirs = tenant["spec"], host["spec"]
    moved = [field for field in (*_ADDRESS, _PORT) if ours.get(field) != theirs.get(field)]
    if not moved:
        return []
    key, uid = key_of(tenant), uid_of(tenant)
    saved = {field: value for field, value in ours.items() if field not in (*_ADDRESS, _PORT)}
    annotation = {marks.MOVING: msgspec.json.encode(saved).decode()}
    # The version: what is saved here must be what is replaced there.
    metadata = {"annotations": annotation, "resourceVersion": tenant["metadata"]["resourceVersion"]}
    body = {"metadata": metadata, "spec": {"type": "ExternalName", "externalName": NOWHERE}}
    old, new = (_told(spec, moved) for spec in (ours, theirs))
    message = f"Somebody else on the host has {old}: this Service has {new} now"
    return [
        Patch("tenant", apis.SERVICES, key, uid, body, type="merge"),
        moved_to(tenant, host),
        Report(tenant, "Warning", "AddressChanged", message),
    ]


def meant(tenant: Obj) -> Obj | None:
    """A tenant Service in the middle of its move as its owner knows it; None if it is not moving."""
    saved, spec = annotations_of(tenant).get(marks.MOVING), tenant["spec"]
    if saved is None or (spec.get("type"), spec.get("externalName")) != ("ExternalName", NOWHERE):
        return None
    try:
        spec = msgspec.json.decode(saved, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):  # the tenant may write anything there
        return None
    return tenant | {"spec": spec}


def moved_to(tenant: Obj, host: Obj) -> Patch:
    """The second half of a move: `tenant` as its owner knows it, at the addresses of `host`."""
    spec = tenant["spec"] | {"externalName": None, "ports": _ports_of(tenant, host)}
    spec |= {field: host["spec"].get(field) for field in (*_ADDRESS, _PORT)}
    if not spec["ports"]:
        del spec["ports"]
    body = {"metadata": {"annotations": {marks.MOVING: None}}, "spec": spec}
    return Patch("tenant", apis.SERVICES, key_of(tenant), uid_of(tenant), body, type="merge")


def _metadata(tenant: Obj, host: Obj, scope: Scope) -> dict[str, Any]:
    """Annotations to change: a pending Service becomes this tenant Service's; those listed by the policy."""
    there = annotations_of(host)
    changes = patches.merge_patch(allowed_annotations(host, scope), allowed_annotations(tenant, scope))
    if marks.PENDING in there:
        changes |= {marks.PENDING: None, marks.UID: uid_of(tenant)}
    return changes


def _changes(host: Obj, wanted: Obj) -> dict[str, Any]:
    fields = (*OWNED, _PORT) if _PORT in wanted else OWNED
    theirs = {field: host["spec"][field] for field in fields if field in host["spec"]}
    return patches.merge_patch(theirs, {field: wanted[field] for field in fields if field in wanted})


def _body(annotations: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"metadata": {"annotations": annotations}} if annotations else {}
    return body | ({"spec": spec} if spec else {})


def _patch(host: Obj, body: Mapping[str, Any]) -> Patch:
    return Patch("host", apis.SERVICES, key_of(host), uid_of(host), body, type="merge")


def _ports(tenant: Obj) -> Obj:
    """What the tenant's own API server has allotted of ports."""
    return {field: tenant["spec"][field] for field in ("ports", _PORT) if tenant["spec"].get(field)}


def _kept_ports(tenant: Obj, host: Obj) -> Obj:
    ports = _ports_of(tenant, host, added=False)
    return {"ports": ports} if ports else {}


def _ports_of(tenant: Obj, host: Obj, *, added: bool = True) -> list[Obj]:
    """The tenant's ports with the host's node ports, by name; a port that the host has not yet keeps its own
    if `added`."""
    known = {port.get("name", ""): port.get("nodePort") for port in host["spec"].get("ports") or ()}
    result = []
    for port in tenant["spec"].get("ports") or ():
        node_port = known.get(port.get("name", "")) or (port.get("nodePort") if added else None)
        rest = {field: value for field, value in port.items() if field != "nodePort"}
        result.append(rest | {"nodePort": node_port} if node_port and "nodePort" in port else rest)
    return result


def _follow(tenant: Obj, host: Obj) -> list[Action]:
    """The host could not give the tenant's node ports: the tenant gets the host's."""
    ports = _ports_of(tenant, host)
    numbers = ", ".join(str(port["nodePort"]) for port in ports if "nodePort" in port)
    message = f"Somebody else on the host has a node port of this Service: it has {numbers} now"
    body = {"spec": {"ports": ports}}
    return [
        Patch("tenant", apis.SERVICES, key_of(tenant), uid_of(tenant), body, type="merge"),
        Report(tenant, "Warning", "NodePortChanged", message),
    ]


def _told(spec: Obj, fields: list[str]) -> str:
    if "clusterIP" in fields:
        return f"the ClusterIP {spec.get('clusterIP')}"
    if "clusterIPs" in fields:
        return f"the ClusterIPs {', '.join(spec.get('clusterIPs') or ())}"
    return f"the health check port {spec.get(_PORT)}"
