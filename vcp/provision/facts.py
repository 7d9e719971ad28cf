"""What the host is like and what stands there of a tenant, as far as its rendering depends on it."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kube import apis, requests
from kube import errors as kube
from kube.client import Client
from vcp import inventory, layout, pki, render
from vcp import spec as specs
from vcp.errors import RefusedError

_RANGE = re.compile(r"range of valid IPs is ([0-9a-fA-F.:/]+)")
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True)
class Survey:
    """What was read before anything is changed.

    `storage_classes` maps a class to whether it is the default one; None if the user may not list them."""

    facts: render.Facts
    storage_classes: Mapping[str, bool] | None
    files: Mapping[str, bytes]  # the key material that there is


async def recorded(host: Client, name: str, namespace: str) -> specs.Spec | None:
    """The spec as last applied, if there is one that the user may read. Raises RefusedError if the namespace
    is another tenant's."""
    try:
        record = await host.get(apis.SECRETS, namespace, layout.RECORD)
    except (kube.NotFoundError, kube.ForbiddenError):  # what the user lacks is told together, before changes
        return None
    owner = (record["metadata"].get("labels") or {}).get(layout.TENANT)
    if owner != name:
        raise RefusedError(f"namespace {namespace} belongs to tenant {owner!r}")
    # A spec of before there were tiers had no quota that it did not name, and keeps none.
    return specs.load({"tier": "none", **inventory.spec_of(record)})


async def survey(host: Client, spec: specs.Spec) -> Survey:
    """Asks the host, in parallel. What the user may not see is left empty; `check_…` and the permissions
    judge it."""
    async with asyncio.TaskGroup() as group:
        version = group.create_task(host.send(requests.raw("/version")), name="host version")
        classes = group.create_task(_storage_classes(host), name="storage classes")
        cidr = group.create_task(service_cidr(host, spec), name="service CIDR")
        own = group.create_task(_host_api(host), name="host API")
        stored = group.create_task(files(host, spec), name="key material")
        foreign = group.create_task(_foreign(host, spec), name="namespaces")
    found = render.Facts(
        service_cidr=cidr.result(),
        host_api_addresses=own.result()[0],
        host_api_ports=own.result()[1],
        foreign_namespaces=foreign.result(),
        host_version=version.result()["gitVersion"],
    )
    return Survey(found, classes.result(), stored.result())


async def files(host: Client, spec: specs.Spec) -> dict[str, bytes]:
    """All key material of the tenant that is stored on the host and that the user may read."""
    labels = f"{inventory.SELECTOR},{layout.TENANT}={spec.name}"
    try:
        secrets = await host.list(apis.SECRETS, spec.namespace, labels=labels)
    except kube.ForbiddenError:
        return {}
    published = {layout.RECORD, layout.KUBECONFIG}
    own = [one for one in secrets if one["metadata"]["name"] not in published]
    # What the CLI reads alone goes over what an interrupted change has not brought to everybody.
    own.sort(key=lambda one: one["metadata"]["name"] != pki.CA_KEYS)
    return render.secret_files(own)


def check_storage(survey: Survey, spec: specs.Spec) -> None:
    """Raises RefusedError if the tenant's claims would wait forever."""
    classes, wanted = survey.storage_classes, spec.storage.class_
    if classes is None or spec.storage.ephemeral:
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


async def _foreign(host: Client, spec: specs.Spec) -> frozenset[str]:
    """Those of the tenant's namespaces that exist without vcp's mark."""
    found = set()
    for name in {spec.namespace, spec.workload_namespace}:
        try:
            namespace = await host.get(apis.NAMESPACES, "", name)
        except kube.NotFoundError:
            continue
        except kube.ForbiddenError:  # who may not even read one of another name cannot have made it
            if name not in {f"vcp-{spec.name}", f"vcp-{spec.name}-work"}:
                found.add(name)
            continue
        if layout.MADE not in (namespace["metadata"].get("labels") or {}):
            found.add(name)
    return frozenset(found)


async def _host_api(host: Client) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Addresses and ports where the host's API servers answer, which no workload of a tenant may reach."""
    try:
        found = await host.list(
            apis.ENDPOINT_SLICES, "default", labels="kubernetes.io/service-name=kubernetes"
        )
    except kube.ForbiddenError:
        return (), ()
    endpoints = (one for piece in found for one in piece.get("endpoints") or ())
    ports = (one.get("port") for piece in found for one in piece.get("ports") or ())
    return (
        tuple(sorted({address for one in endpoints for address in one["addresses"]})),
        tuple(sorted({port for port in ports if port})),
    )


async def service_cidr(host: Client, spec: specs.Spec) -> str:
    """From the ServiceCIDR `kubernetes` (Kubernetes 1.33), else from the words with which the API server
    refuses an address outside its range; empty if the user may see neither."""
    if spec.service_cidr:
        return spec.service_cidr
    try:
        found = await host.get(apis.SERVICE_CIDRS, "", "kubernetes")
        return ",".join(found["spec"]["cidrs"])
    except (kube.ForbiddenError, kube.NotFoundError):
        pass
    probe: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "vcp-probe"},
        "spec": {"clusterIP": "203.0.113.1", "ports": [{"port": 443}]},  # RFC 5737: nobody's address
    }
    for namespace in dict.fromkeys((spec.namespace, host.access.namespace)):
        try:
            await host.create(apis.SERVICES, namespace, probe, dry_run=True)
        except (kube.InvalidError, kube.ForbiddenError, kube.NotFoundError) as error:
            if found_range := _RANGE.search(str(error)):
                return found_range[1]
    return ""


def check_service_cidr(survey: Survey) -> None:
    """Raises RefusedError if it could not be found out."""
    if not survey.facts.service_cidr:
        raise RefusedError(
            "the host does not tell its service CIDR",
            hint="pass --service-cidr; `kubectl cluster-info dump` may show it as service-cluster-ip-range",
        )
