"""Removes what an earlier spec had put on the host and the present one does not: a quota, say."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from syncer.core import apis
from syncer.kube.client import Client
from vcp import inventory, layout
from vcp.spec import Spec

Obj = Mapping[str, Any]

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
    return sum(counts)
