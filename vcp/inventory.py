"""The tenants that stand on a host, read from their objects alone: there is no other record of them.

The Secret `control-plane` says that a tenant exists and what its spec is; its annotations say whether its
kubeconfig has been published and when its first certificate expires; the workloads' status says how it is.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from syncer.core import apis
from syncer.kube import errors as kube
from syncer.kube.client import Client
from vcp import layout
from vcp.errors import NotFoundError

Obj = Mapping[str, Any]

SELECTOR = f"{layout.PART_OF}=vcp"
# Annotations of the record, written when the kubeconfig has been published.
PUBLISHED = "vcp.dev/published"
EXPIRES = "vcp.dev/certificates-expire"


class Component(msgspec.Struct, frozen=True):
    """A workload of the control plane; `why` is empty when all its replicas are ready."""

    name: str
    kind: str
    ready: int
    desired: int
    images: tuple[str, ...] = ()
    why: str = ""


class Tenant(msgspec.Struct, frozen=True):
    name: str
    namespace: str
    workload_namespace: str
    distro: str
    version: str
    state: str  # Provisioning, Ready, NotReady, Terminating
    reason: str
    created: datetime
    certificates_expire: datetime | None
    protected: bool
    components: tuple[Component, ...]

    @property
    def ready(self) -> int:
        return sum(component.ready for component in self.components)

    @property
    def desired(self) -> int:
        return sum(component.desired for component in self.components)


class Listing(msgspec.Struct, frozen=True):
    """The tenants that the user may see; `limited_to` is the one namespace if not the whole cluster."""

    tenants: tuple[Tenant, ...]
    limited_to: str = ""


async def read(host: Client, namespace: str = "") -> Listing:
    """All tenants of the cluster, or of one namespace; if the user may not list them all, those of the
    context's namespace."""
    try:
        return Listing(assemble(*await _objects(host, namespace)), namespace)
    except kube.ForbiddenError:
        if namespace:
            raise
    return Listing(assemble(*await _objects(host, host.access.namespace)), host.access.namespace)


async def find(host: Client, name: str, namespace: str = "") -> Tenant:
    """One tenant: in the namespace named, in its usual one, or wherever the user may look.

    Raises NotFoundError."""
    for place in (namespace,) if namespace else (f"vcp-{name}", ""):
        try:
            found = [tenant for tenant in (await read(host, place)).tenants if tenant.name == name]
        except kube.ForbiddenError:
            if namespace:
                raise
            continue  # without leave to read the usual namespace, the context's own may be the one
        if found:
            return found[0]
    where = f" in namespace {namespace}" if namespace else ""
    raise NotFoundError(f"no tenant {name!r}{where}", hint="`vcp list` shows those that there are")


async def _objects(host: Client, namespace: str) -> tuple[list[Any], list[Any], list[Any]]:
    records = await host.list(
        apis.SECRETS, namespace, labels=SELECTOR, fields=f"metadata.name={layout.RECORD}"
    )
    if not records:
        return [], [], []
    workloads = [
        *await host.list(apis.STATEFUL_SETS, namespace, labels=SELECTOR),
        *await host.list(apis.DEPLOYMENTS, namespace, labels=SELECTOR),
    ]
    return (
        records,
        workloads,
        await _namespaces(host, [record["metadata"]["namespace"] for record in records]),
    )


async def _namespaces(host: Client, names: list[str]) -> list[Any]:
    """The namespaces themselves, as far as the user may read them; one request for many."""
    try:
        if len(names) == 1:
            return [await host.get(apis.NAMESPACES, "", names[0])]
        return await host.list(apis.NAMESPACES)
    except (kube.ForbiddenError, kube.NotFoundError):
        return []


def assemble(
    records: Iterable[Obj], workloads: Iterable[Obj], namespaces: Iterable[Obj]
) -> tuple[Tenant, ...]:
    """Pure: tenants, sorted by name, from their records and what belongs to them."""
    by_namespace: dict[str, list[Obj]] = {}
    for workload in workloads:
        by_namespace.setdefault(workload["metadata"]["namespace"], []).append(workload)
    ending = {ns["metadata"]["name"] for ns in namespaces if ns["metadata"].get("deletionTimestamp")}
    found = []
    for record in records:
        namespace = record["metadata"]["namespace"]
        found.append(_tenant(record, by_namespace.get(namespace, ()), terminating=namespace in ending))
    return tuple(sorted(found, key=lambda tenant: (tenant.name, tenant.namespace)))


def spec_of(record: Obj) -> dict[str, Any]:
    """The spec as applied, as plain data, so that a record of another version of vcp can still be listed."""
    encoded = (record.get("data") or {}).get("spec.json", "")
    try:
        spec = msgspec.json.decode(msgspec.convert(encoded, bytes, strict=False)) if encoded else {}
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
    return spec if isinstance(spec, dict) else {}


def component(workload: Obj) -> Component:
    meta, spec, status = workload["metadata"], workload["spec"], workload.get("status") or {}
    containers = spec["template"]["spec"]["containers"]
    desired = spec.get("replicas", 1)
    current = status.get("observedGeneration", 0) >= meta.get("generation", 0)
    ready = min(desired, status.get("readyReplicas", 0)) if current else 0
    return Component(
        name=meta["name"],
        kind=workload["kind"],
        ready=ready,
        desired=desired,
        images=tuple(container["image"] for container in containers),
        why="" if ready == desired else f"{meta['name']} {ready}/{desired} ready",
    )


def _tenant(record: Obj, workloads: Iterable[Obj], *, terminating: bool) -> Tenant:
    meta, spec = record["metadata"], spec_of(record)
    annotations = meta.get("annotations") or {}
    components = tuple(sorted(map(component, workloads), key=lambda found: found.name))
    lagging = ", ".join(found.why for found in components if found.why)
    if terminating or meta.get("deletionTimestamp"):
        state, reason = "Terminating", ""
    elif PUBLISHED not in annotations:
        state, reason = "Provisioning", lagging
    elif not components:
        state, reason = "NotReady", "no workloads"
    else:
        state, reason = ("NotReady", lagging) if lagging else ("Ready", "")
    name = meta["labels"][layout.TENANT]
    return Tenant(
        name=name,
        namespace=meta["namespace"],
        workload_namespace=spec.get("workloadNamespace", ""),
        distro=spec.get("distro", ""),
        version=spec.get("version", ""),
        state=state,
        reason=reason,
        created=parse_time(meta["creationTimestamp"]),
        certificates_expire=parse_time(annotations[EXPIRES]) if EXPIRES in annotations else None,
        protected=bool(spec.get("protected")),
        components=components,
    )


def parse_time(text: str) -> datetime:
    """An RFC 3339 time of the Kubernetes API, always in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
