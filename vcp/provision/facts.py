"""What the host is like, as far as the rendering of a tenant depends on it."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from syncer.core import apis
from syncer.kube import errors as kube
from syncer.kube import requests
from syncer.kube.client import Client
from vcp.errors import RefusedError

_RANGE = re.compile(r"range of valid IPs is ([0-9a-fA-F.:/]+)")
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True)
class HostFacts:
    """`storage_classes` maps a class to whether it is the default one; None if the user may not list them."""

    version: str
    service_cidr: str
    storage_classes: dict[str, bool] | None


async def read(host: Client, *, service_cidr: str = "") -> HostFacts:
    """Asks the host, in parallel; a `service_cidr` that is known already is not asked for.

    Raises RefusedError if the service CIDR cannot be found out."""
    async with asyncio.TaskGroup() as group:
        version = group.create_task(host.send(requests.raw("/version")), name="host version")
        classes = group.create_task(_storage_classes(host), name="storage classes")
        cidr = None if service_cidr else group.create_task(_service_cidr(host), name="service CIDR")
    return HostFacts(
        version.result()["gitVersion"],
        cidr.result() if cidr else service_cidr,
        classes.result(),
    )


def check_storage(facts: HostFacts, wanted: str) -> None:
    """Raises RefusedError if claims of class `wanted` (empty: the default one) would wait for ever."""
    classes = facts.storage_classes
    if classes is None:
        return
    if wanted and wanted not in classes:
        known = ", ".join(sorted(classes)) or "none"
        raise RefusedError(f"the host has no StorageClass {wanted!r}", hint=f"there: {known}")
    if not wanted and not any(classes.values()):
        raise RefusedError(
            "the host has no default StorageClass", hint="set storage.class in the spec, or pass --ephemeral"
        )


async def _storage_classes(host: Client) -> dict[str, bool] | None:
    try:
        found = await host.list(apis.STORAGE_CLASSES)
    except kube.ForbiddenError:
        return None
    return {
        item["metadata"]["name"]: (item["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
        for item in found
    }


async def _service_cidr(host: Client) -> str:
    """From the ServiceCIDR `kubernetes` (Kubernetes 1.33), else from the words with which the API server
    refuses an address outside its range."""
    try:
        found = await host.get(apis.SERVICE_CIDRS, "", "kubernetes")
        return str(found["spec"]["cidrs"][0])
    except (kube.ForbiddenError, kube.NotFoundError):
        pass
    probe: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "vcp-probe"},
        "spec": {"clusterIP": "203.0.113.1", "ports": [{"port": 443}]},  # RFC 5737: nobody's address
    }
    try:
        await host.create(apis.SERVICES, host.access.namespace, probe, dry_run=True)
    except (kube.InvalidError, kube.ForbiddenError, kube.NotFoundError) as error:
        if found_range := _RANGE.search(str(error)):
            return found_range[1]
    raise RefusedError(
        "the host does not tell its service CIDR",
        hint="pass --service-cidr (`kubectl cluster-info dump | grep service-cluster-ip-range` may show it)",
    )
