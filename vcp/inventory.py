"""The tenants that stand on a host, read from their objects alone: there is no other record of them.

The Secret `control-plane` says that a tenant exists and what its spec is; its annotations say whether its
kubeconfig has been published and when its first certificate expires; the workloads' status says how it is.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from kube import apis
from kube import errors as kube
from kube.client import Client
from kube.objects import Obj, labels_of
from vcp import layout
from vcp.errors import NotFoundError, RefusedError
from vcp.spec import Spec

SELECTOR = f"{layout.PART_OF}=vcp"
# Annotations of the record, written when the kubeconfig has been published.
PUBLISHED = "vcp.dev/published"
EXPIRES = "vcp.dev/certificates-expire"
# When the tenant may be deleted. Also on the namespaces that vcp makes, which stand before the record does.
EXPIRES_AT = "vcp.dev/expires-at"

# Which `vcp run` has made this, the record or a namespace, and so may delete it.
RUN = "vcp.dev/run"


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
    expires: datetime | None = None

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
        return Listing(assemble(*await _objects(host, namespace), whole=not namespace), namespace)
    except kube.ForbiddenError:
        if namespace:
            raise
    place = host.access.namespace
    return Listing(assemble(*await _objects(host, place), whole=False), place)


async def find(host: Client, name: str, namespace: str = "") -> Tenant:
    """One tenant: in the namespace named, or wherever the user may look.

    Raises NotFoundError, and RefusedError if there are several of that name."""
    for place in (namespace,) if namespace else await _places(host, name):
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


async def _places(host: Client, name: str) -> tuple[str, ...]:
    """Where to look for a tenant. Raises RefusedError if it may be meant in several places."""
    try:
        found = await _records(host, labels=f"{SELECTOR},{layout.TENANT}={name}")
    except kube.ForbiddenError:
        return (f"vcp-{name}", "")  # the usual namespace, then the context's own
    places = sorted(record["metadata"]["namespace"] for record in found)
    if len(places) > 1:
        raise RefusedError(
            f"there are {len(places)} tenants {name!r}, in the namespaces {', '.join(places)}",
            hint=f"say which one is meant: -n {places[0]}",
        )
    return (*places, "")


async def records(host: Client, namespace: str = "") -> tuple[Tenant, ...]:
    """As `read`, but without a look at the workloads, which takes further rights: no state is told."""
    found = await _records(host, namespace)
    return assemble(found, (), await _namespaces(host, namespace), whole=not namespace)


async def _records(host: Client, namespace: str = "", labels: str = SELECTOR) -> list[Obj]:
    """The records of one namespace or of all."""
    return await host.list(apis.SECRETS, namespace, labels=labels, fields=f"metadata.name={layout.RECORD}")


async def _objects(host: Client, namespace: str) -> tuple[list[Any], list[Any], list[Any]]:
    records = await _records(host, namespace)
    namespaces = await _namespaces(host, namespace)
    if not records:
        return [], [], namespaces
    workloads = [
        *await host.list(apis.STATEFUL_SETS, namespace, labels=SELECTOR),
        *await host.list(apis.DEPLOYMENTS, namespace, labels=SELECTOR),
    ]
    return records, workloads, namespaces


async def _namespaces(host: Client, name: str) -> list[Any]:
    """The named namespace, or all of them, as far as the user may read them."""
    try:
        if name:
            return [await host.get(apis.NAMESPACES, "", name)]
        return await host.list(apis.NAMESPACES)
    except (kube.ForbiddenError, kube.NotFoundError):
        return []


def assemble(
    records: Iterable[Obj], workloads: Iterable[Obj], namespaces: Iterable[Obj], *, whole: bool
) -> tuple[Tenant, ...]:
    """Pure: tenants, sorted by name, from their records and what belongs to them. Only where the objects are
    those of the `whole` cluster is a namespace without a record the remains of a tenant."""
    by_namespace: dict[str, list[Obj]] = {}
    for workload in workloads:
        by_namespace.setdefault(workload["metadata"]["namespace"], []).append(workload)
    namespaces, records = list(namespaces), list(records)
    ending = {ns["metadata"]["name"] for ns in namespaces if ns["metadata"].get("deletionTimestamp")}
    recorded = {record["metadata"]["labels"][layout.TENANT] for record in records}
    found = list(_remains(namespaces, recorded)) if whole else []
    for record in records:
        namespace = record["metadata"]["namespace"]
        found.append(_tenant(record, by_namespace.get(namespace, ()), terminating=namespace in ending))
    return tuple(sorted(found, key=lambda tenant: (tenant.name, tenant.namespace)))


def _remains(namespaces: Iterable[Obj], recorded: Collection[str]) -> Iterator[Tenant]:
    """Tenants of which only namespaces are there: a create died before the record was written, or a deletion
    that has taken the record is blocked by something else."""
    by_tenant: dict[tuple[str, str], list[Obj]] = {}
    for namespace in namespaces:
        labels = labels_of(namespace)
        tenant = labels.get(layout.TENANT)
        if tenant and tenant not in recorded:
            by_tenant.setdefault((tenant, labels.get(layout.CONTROL, "")), []).append(namespace)
    for (name, control), left in by_tenant.items():
        names = sorted(namespace["metadata"]["name"] for namespace in left)
        terminating = any(namespace["metadata"].get("deletionTimestamp") for namespace in left)
        yield Tenant(
            name=name,
            namespace=control or names[0],
            workload_namespace=names[-1],
            distro="",
            version="",
            state="Terminating" if terminating else "Provisioning",
            reason=f"{', '.join(names)} is left" if terminating else "",
            created=min(parse_time(namespace["metadata"]["creationTimestamp"]) for namespace in left),
            certificates_expire=None,
            protected=False,
            components=(),
            expires=max(filter(None, map(expiry, left)), default=None),
        )


def named(spec: Spec) -> Tenant:
    """A placeholder for a tenant whose record may not exist yet, so that its creator can still delete it."""
    return Tenant(
        name=spec.name,
        namespace=spec.namespace,
        workload_namespace=spec.workload_namespace,
        distro=spec.distro,
        version=spec.version,
        state="",
        reason="",
        created=datetime.now(UTC),
        certificates_expire=None,
        protected=spec.protected,
        components=(),
    )


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
        why=_lack(meta["name"], ready, desired),
    )


def _lack(name: str, ready: int, desired: int) -> str:
    if not desired:
        return f"{name} is scaled to 0"
    return "" if ready == desired else f"{name} {ready}/{desired} ready"


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
        expires=expiry(record),
    )


def expiry(obj: Obj) -> datetime | None:
    """When the tenant expires by this object of it, its record or a namespace; None if never, or if somebody
    has written what is not a time there: a tenant is not deleted for a slip."""
    noted = (obj["metadata"].get("annotations") or {}).get(EXPIRES_AT, "")
    try:
        return parse_time(noted) if noted else None
    except ValueError:
        return None


def parse_time(text: str) -> datetime:
    """An RFC 3339 time of the Kubernetes API, always in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
