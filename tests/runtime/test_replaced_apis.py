"""A tenant has another server answer for an API of Kubernetes itself: nothing is written for it meanwhile."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fakeapi import FakeApi, Obj
from syncing import CONTROL, WORK, Cluster, eventually, settled

from syncer.core import marks


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with FakeApi().serve() as tenant, FakeApi().serve() as host:
        for name in ("default", "kube-system"):
            tenant.put("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield Cluster(tenant, host)


def registered(group: str, version: str, *, service: bool) -> Obj:
    """An APIService, local or led to a Service of the tenant's."""
    spec: Obj = {"group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 100}
    if service:
        spec["service"] = {"namespace": "default", "name": "lies", "port": 443}
    labels = {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}", "labels": {} if service else labels},
        "spec": spec,
    }


def wanted(name: str) -> Obj:
    meta = {"name": name, "namespace": "default", "annotations": {marks.SYNC: "true"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "b"}}


def noted(cluster: Cluster) -> str | None:
    lease = cluster.host.find("leases", "syncer", CONTROL) or {}
    note: str | None = (lease.get("metadata", {}).get("annotations") or {}).get(marks.REPLACED)
    return note


@pytest.mark.parametrize(
    ("group", "version", "told"), [("", "v1", "v1"), ("discovery.k8s.io", "v1", "discovery.k8s.io/v1")]
)
async def test_nothing_is_written_until_the_api_server_answers_itself_again(
    cluster: Cluster, group: str, version: str, told: str
) -> None:
    cluster.tenant.put("apiservices", registered(group, version, service=False))
    async with cluster.syncer() as manager:
        cluster.tenant.put("configmaps", wanted("before"))
        await eventually(lambda: cluster.on_host("configmaps", "before"))
        await settled(cluster, manager)

        cluster.tenant.put("apiservices", registered(group, version, service=True))
        await eventually(lambda: manager.replaced == [told])
        cluster.host.requests.clear()
        cluster.tenant.put("configmaps", wanted("meanwhile"))
        await eventually(lambda: noted(cluster) == told)
        assert [one for one in cluster.host.requests if WORK in one and not one.startswith("GET")] == []
        assert cluster.on_host("configmaps", "meanwhile") is None

        cluster.tenant.put("apiservices", registered(group, version, service=False))
        await eventually(manager.restored.is_set)
    async with cluster.syncer():
        await eventually(lambda: cluster.on_host("configmaps", "meanwhile"))
        await eventually(lambda: noted(cluster) is None)


async def test_an_api_of_the_tenants_own_is_none_of_ours(cluster: Cluster) -> None:
    cluster.tenant.put("apiservices", registered("custom.example.org", "v1", service=True))
    cluster.tenant.put("configmaps", wanted("there"))
    async with cluster.syncer() as manager:
        await eventually(lambda: cluster.on_host("configmaps", "there"))
        assert manager.replaced == []
