"""Of ConfigMaps and Secrets that nobody mounts, the syncer holds the outline alone."""

import dataclasses
from collections.abc import AsyncIterator

import pytest_asyncio
from fakeapi import FakeApi, Obj
from fakehost import FakeHost
from syncing import Cluster, eventually, settled

from kube import apis
from kube.objects import Key
from syncer.core.kind import OUTLINE

LARGE = "z" * 200_000


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with FakeApi().serve() as tenant, FakeApi().serve() as host:
        for name in ("default", "kube-system"):
            tenant.put("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        FakeHost(host)
        yield Cluster(tenant, host)


def large(name: str, text: str = LARGE) -> Obj:
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"text": text}}


def reading(name: str, config_map: str) -> Obj:
    meta = {"name": name, "namespace": "default"}
    source = {"configMapRef": {"name": config_map}}
    container = {
        "name": "app",
        "image": "app",
        "envFrom": [source],
        "env": [{"name": "A", "value": "$(text)"}],
    }
    spec = {"containers": [container], "serviceAccountName": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": "Pending"}}


def text(cluster: Cluster) -> str:
    """What the host's copy of `settings` holds."""
    found: str = (cluster.on_host("configmaps", "settings") or {}).get("data", {}).get("text", "")
    return found


async def test_content_is_read_when_a_pod_comes_to_need_it(cluster: Cluster) -> None:
    for number in range(30):  # more than a page
        cluster.tenant.put("configmaps", large(f"idle-{number}"))
    cluster.tenant.put("configmaps", large("settings", "first"))
    async with cluster.syncer() as manager:
        await eventually(lambda: manager.in_step)
        cluster.tenant.put("configmaps", large("late"))
        await settled(cluster, manager)
        held = [*manager.stores["tenant"].of(apis.CONFIG_MAPS).objects()]  # type: ignore[union-attr]
        assert len(held) == 32
        assert all(OUTLINE in one and "data" not in one for one in held)

        cluster.tenant.requests.clear()
        cluster.tenant.put("pods", reading("web", "settings"))
        await eventually(lambda: text(cluster) == "first")
        await eventually(lambda: cluster.on_host("pods", "web"))
        await settled(cluster, manager)
        path = "GET /api/v1/namespaces/default/configmaps/settings"
        read = [line for line in cluster.tenant.requests if line.startswith(path)]
        assert len(read) == 1

        there = cluster.tenant.find("configmaps", "settings", "default") or {}
        cluster.tenant.put("configmaps", there | {"data": {"text": "second"}})
        await eventually(lambda: text(cluster) == "second")
        assert [line for line in cluster.tenant.requests if line.startswith(path)] == read

    cluster.tenant.requests.clear()
    async with cluster.syncer("another") as manager:
        await eventually(lambda: manager.in_step)
        await settled(cluster, manager)
        whole = manager.stores["tenant"].get(apis.CONFIG_MAPS, Key("default", "settings"))
        assert whole
        assert whole["data"] == {"text": "second"}
        assert [line for line in cluster.tenant.requests if line.startswith(path)] == []


async def test_the_size_of_a_pods_texts_counts_what_was_not_held(cluster: Cluster) -> None:
    cluster.tenant.put("configmaps", large("settings"))
    async with cluster.syncer() as manager:
        await eventually(lambda: manager.in_step)
        cluster.tenant.put("pods", reading("fat", "settings"))
        await eventually(lambda: [key for key in cluster.tenant.objects if key.plural == "events"])
        (event,) = [obj for key, obj in cluster.tenant.objects.items() if key.plural == "events"]
        assert f"expands to {len(LARGE) + 2} bytes" in event["message"]
        assert cluster.on_host("pods", "fat") is None


async def test_what_many_pods_need_is_read_and_made_once(cluster: Cluster) -> None:
    cluster.tenant.put("configmaps", large("settings", "short"))
    scope = dataclasses.replace(cluster.scope, api_address="10.43.0.10")
    cluster = Cluster(cluster.tenant, cluster.host, scope)
    async with cluster.syncer() as manager:
        await eventually(lambda: manager.in_step)
        cluster.host.requests.clear()
        for number in range(40):
            cluster.tenant.put("pods", reading(f"web-{number}", "settings"))
        await eventually(lambda: all(cluster.on_host("pods", f"web-{number}") for number in range(40)))
        await settled(cluster, manager)
        asked = [line for line in cluster.host.requests if "/configmaps" in line]
        assert sorted(line.split()[0] for line in asked) == ["POST", "POST"]  # theirs, and that of services
