"""Removes what an earlier spec had put on the host and the present one does not: a quota, say."""

import asyncio
from collections.abc import Collection, Iterable

from kube import apis
from kube import errors as kube
from kube.client import Client
from kube.objects import Obj
from vcp import inventory, layout
from vcp.spec import Spec

# The kinds that depend on settings which may be taken back.
KINDS = (apis.RESOURCE_QUOTAS, apis.LIMIT_RANGES, apis.POD_DISRUPTION_BUDGETS, apis.NETWORK_POLICIES)


async def prune(host: Client, spec: Spec, rendered: Iterable[Obj]) -> int:
    """How many objects of the tenant were deleted because they are not among the `rendered` ones."""
    keep = {(obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"]) for obj in rendered}
    # A synced object does not say that vcp manages it.
    labels = f"{inventory.SELECTOR},{layout.MANAGED_BY}=vcp,{layout.TENANT}={spec.name}"

    async def one(resource: apis.ApiResource, namespace: str) -> int:
        found = [obj["metadata"] for obj in await host.list(resource, namespace, labels=labels)]
        gone = [meta for meta in found if (resource.kind, namespace, meta["name"]) not in keep]
        for meta in gone:
            await host.delete(resource, namespace, meta["name"], uid=meta["uid"])
        return len(gone)

    places = {spec.namespace, spec.workload_namespace}
    counts = await asyncio.gather(*(one(resource, place) for resource in KINDS for place in places))
    kept = frozenset(kind for kind, place, _ in keep if not place)
    return sum(counts) + await remove_cluster_roles(host, spec.name, keep=kept)


async def remove_cluster_roles(host: Client, tenant: str, keep: Collection[str] = ()) -> int:
    """How many of the tenant's two cluster-scoped objects, there only with real nodes, were deleted.

    They are looked for by name: most users may not list such objects, nor even read one; then they have made
    none."""
    count = 0
    for resource in (apis.CLUSTER_ROLE_BINDINGS, apis.CLUSTER_ROLES):
        if resource.kind in keep:
            continue
        try:
            found = await host.get(resource, "", layout.cluster_role(tenant))
        except (kube.NotFoundError, kube.ForbiddenError):
            continue
        meta = found["metadata"]
        if (meta.get("labels") or {}).get(layout.TENANT) == tenant:
            await host.delete(resource, "", meta["name"], uid=meta["uid"])
            count += 1
    return count
