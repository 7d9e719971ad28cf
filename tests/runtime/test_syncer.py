"""The engine between two fake API servers: what holds for every kind, shown by ConfigMaps."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from fakeapi import FakeApi, Obj
from syncing import CONTROL, TENANT, WORK, Cluster, config_map, eventually, settled

from syncer.core.names import host_name
from syncer.core.policy import Budget, Sync
from syncer.engine import controller
from syncer.engine.manager import Manager


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with FakeApi().serve() as tenant, FakeApi().serve() as host:
        yield Cluster(tenant, host)


def writes(api: FakeApi, plural: str = "configmaps") -> list[str]:
    return [line for line in api.requests if plural in line and not line.startswith("GET")]


async def test_creates_updates_and_deletes_follow_the_tenant(cluster: Cluster) -> None:
    async with cluster.syncer():
        cluster.tenant.put("configmaps", config_map("a", x="1", y="2"))
        await eventually(lambda: cluster.on_host("configmaps", "a"))
        found = cluster.on_host("configmaps", "a")
        assert found
        assert found["data"] == {"x": "1", "y": "2"}
        assert found["metadata"]["labels"] == {"vcp.dev/tenant": TENANT, "vcp.dev/namespace": "default"}
        assert found["metadata"]["ownerReferences"][0]["uid"] == "anchor"
        cluster.tenant.put(
            "configmaps", (cluster.tenant.find("configmaps", "a", "default") or {}) | {"data": {"x": "3"}}
        )
        await eventually(lambda: (cluster.on_host("configmaps", "a") or {})["data"] == {"x": "3"})
        cluster.tenant.remove("configmaps", "a", "default")
        await eventually(lambda: cluster.on_host("configmaps", "a") is None)


async def test_one_write_each_and_none_when_settled(cluster: Cluster) -> None:
    for number in range(50):
        cluster.tenant.put("configmaps", config_map(f"c-{number}", x="1"))
    async with cluster.syncer() as manager:
        await eventually(lambda: cluster.on_host("configmaps", "c-49"))
        await settled(cluster, manager)
        assert len(writes(cluster.host)) == 50
    cluster.host.requests.clear()
    async with cluster.syncer("syncer-1") as manager:
        await eventually(lambda: manager.in_step)
        await settled(cluster, manager)
        assert writes(cluster.host) == []
        assert writes(cluster.tenant, "events") == []


async def test_drift_and_deletions_of_the_time_between_are_carried_out(cluster: Cluster) -> None:
    for name in ("drifts", "goes", "vanishes"):
        cluster.tenant.put("configmaps", config_map(name, x="1"))
    async with cluster.syncer() as manager:
        await eventually(lambda: cluster.on_host("configmaps", "vanishes"))
        await settled(cluster, manager)
    drifted = cluster.on_host("configmaps", "drifts")
    assert drifted
    cluster.host.put("configmaps", drifted | {"data": {"x": "other"}})
    cluster.tenant.remove("configmaps", "goes", "default")
    cluster.host.remove("configmaps", host_name(TENANT, "default", "vanishes"), WORK)
    async with cluster.syncer():
        await eventually(lambda: (cluster.on_host("configmaps", "drifts") or {})["data"] == {"x": "1"})
        await eventually(lambda: cluster.on_host("configmaps", "goes") is None)
        await eventually(lambda: cluster.on_host("configmaps", "vanishes"))


async def test_an_object_of_our_name_without_marks_is_never_adopted(cluster: Cluster) -> None:
    name = host_name(TENANT, "default", "a")
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": WORK}}
    cluster.host.put("configmaps", theirs | {"data": {"own": "1"}})
    cluster.tenant.put("configmaps", config_map("a", x="1"))
    async with cluster.syncer():
        await eventually(lambda: [key for key in cluster.tenant.objects if key.plural == "events"])
    assert (cluster.on_host("configmaps", "a") or {})["data"] == {"own": "1"}
    (event,) = [obj for key, obj in cluster.tenant.objects.items() if key.plural == "events"]
    assert event["reason"] == "HostRefused"
    assert "not this tenant's" in event["message"]
    assert event["involvedObject"]["name"] == "a"


async def test_another_uid_is_another_object(cluster: Cluster) -> None:
    cluster.tenant.put("configmaps", config_map("a", x="1"))
    async with cluster.syncer() as manager:
        await eventually(lambda: cluster.on_host("configmaps", "a"))
        await settled(cluster, manager)
    first = (cluster.on_host("configmaps", "a") or {})["metadata"]["uid"]
    cluster.tenant.remove("configmaps", "a", "default")
    cluster.tenant.put("configmaps", config_map("a", x="2"))
    async with cluster.syncer():
        await eventually(lambda: (cluster.on_host("configmaps", "a") or {"data": 0})["data"] == {"x": "2"})
    assert (cluster.on_host("configmaps", "a") or {})["metadata"]["uid"] != first


async def test_the_workload_namespace_holds_nothing_of_others(cluster: Cluster) -> None:
    """Host objects without our marks, or of another tenant, are not even looked at."""
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": WORK}}
    foreign["metadata"] |= {"labels": {"vcp.dev/tenant": "rival", "vcp.dev/namespace": "default"}}  # type: ignore[operator]
    cluster.host.put("configmaps", foreign)
    async with cluster.syncer() as manager:
        await eventually(lambda: manager.in_step)
        await settled(cluster, manager)
    assert cluster.host.find("configmaps", "other", WORK)


@pytest.mark.parametrize("side", ["tenant", "host"])
@pytest.mark.parametrize(
    ("match", "code"),
    [("GET", 0), ("GET", 429), ("GET", 500), ("POST", 0), ("POST", 409), ("POST", 503), ("configmaps", 401)],
)
async def test_it_converges_after_a_failure(cluster: Cluster, side: str, match: str, code: int) -> None:
    api = cluster.tenant if side == "tenant" else cluster.host
    for _ in range(3):
        api.fail_next(match, code, headers={"Retry-After": "0"} if code == 429 else None)
    cluster.tenant.put("configmaps", config_map("a", x="1"))
    async with cluster.syncer():
        await eventually(lambda: cluster.on_host("configmaps", "a"), 15)
        cluster.tenant.remove("configmaps", "a", "default")
        await eventually(lambda: cluster.on_host("configmaps", "a") is None, 15)


@pytest.mark.parametrize("side", ["tenant", "host"])
async def test_a_forgotten_history_is_listed_again(cluster: Cluster, side: str) -> None:
    api = cluster.tenant if side == "tenant" else cluster.host
    async with cluster.syncer() as manager:
        await eventually(lambda: manager.in_step)
        for number in range(3):
            api.drop_watches()
            cluster.tenant.put("configmaps", config_map(f"c-{number}", x="1"))
            api.compact()
            await eventually(lambda name=f"c-{number}": cluster.on_host("configmaps", name))  # type: ignore[misc]
        mine = [informer for informer in manager.informers if informer.side == side]
        await eventually(lambda: any(informer.relists > 1 for informer in mine))


async def test_truncated_events_do_no_harm(cluster: Cluster) -> None:
    async with cluster.syncer() as manager:
        await eventually(lambda: manager.in_step)
        cluster.tenant.truncate_next = True
        cluster.tenant.put("configmaps", config_map("a", x="1"))
        await eventually(lambda: cluster.on_host("configmaps", "a"))


async def test_a_tenant_that_is_away_is_no_deletion(cluster: Cluster) -> None:
    """Watches break and every request fails: the host objects stay, and what changed meanwhile follows."""
    cluster.tenant.put("configmaps", config_map("a", x="1"))
    async with cluster.syncer() as manager:
        await eventually(lambda: cluster.on_host("configmaps", "a"))
        await settled(cluster, manager)
        cluster.tenant.down = True
        cluster.tenant.drop_watches()
        cluster.host.requests.clear()
        await eventually(lambda: any(informer.failures > 2 for informer in manager.informers))
        assert writes(cluster.host) == []
        cluster.tenant.put("configmaps", config_map("b", x="1"))
        cluster.tenant.compact()
        cluster.tenant.down = False
        await eventually(lambda: cluster.on_host("configmaps", "b"), 15)
        assert cluster.on_host("configmaps", "a")


async def test_a_syncer_that_starts_without_the_tenant_deletes_nothing(cluster: Cluster) -> None:
    cluster.tenant.put("configmaps", config_map("a", x="1"))
    async with cluster.syncer() as manager:
        await eventually(lambda: cluster.on_host("configmaps", "a"))
        await settled(cluster, manager)
    cluster.tenant.down = True
    cluster.host.requests.clear()
    async with cluster.syncer() as manager:
        await eventually(lambda: any(informer.failures > 2 for informer in manager.informers))
        assert writes(cluster.host) == []
        assert "tenant configmaps" in manager.lagging()


async def test_only_one_replica_writes_and_the_other_takes_over(cluster: Cluster) -> None:
    async with cluster.syncer("one") as first:
        await eventually(lambda: cluster.host.find("leases", "syncer", CONTROL))
        async with cluster.syncer("two") as second:
            await eventually(lambda: second.in_step and first.in_step)
            cluster.tenant.put("configmaps", config_map("a", x="1"))
            await eventually(lambda: cluster.on_host("configmaps", "a"))
            assert b"vcp_syncer_leader 0.0" in _scraped(second)
            assert b"vcp_syncer_leader 1.0" in _scraped(first)
            lease = cluster.host.find("leases", "syncer", CONTROL)
            assert lease
            # Somebody else holds the lease: the first one must stop before the next renewal is over.
            stolen = lease | {"spec": lease["spec"] | {"holderIdentity": "two"}}
            cluster.host.put("leases", stolen)
            await eventually(lambda: b"vcp_syncer_leader 1.0" in _scraped(second), 10)
            await eventually(lambda: b"vcp_syncer_leader 0.0" in _scraped(first), 10)
            cluster.tenant.put("configmaps", config_map("b", x="1"))
            await eventually(lambda: cluster.on_host("configmaps", "b"))


async def test_a_drain_gives_the_lease_back_within_its_time(cluster: Cluster) -> None:
    loop = asyncio.get_running_loop()
    async with cluster.syncer("one") as manager:
        await eventually(lambda: cluster.host.find("leases", "syncer", CONTROL))
        await eventually(lambda: manager.in_step)
        started = loop.time()
    assert loop.time() - started < 5
    assert (cluster.host.find("leases", "syncer", CONTROL) or {})["spec"]["holderIdentity"] == ""


async def test_writes_per_object_are_counted(cluster: Cluster) -> None:
    async with cluster.syncer() as manager:
        cluster.tenant.put("configmaps", config_map("a", x="1"))
        await eventually(lambda: cluster.on_host("configmaps", "a"))
        text = manager.metrics.text()
        assert b'vcp_syncer_writes_per_object_per_minute{resource="configmaps",side="host"} 1.0' in text
        assert b"vcp_syncer_queue_seconds_count" in text


async def test_the_time_of_plans_is_told_for_each_kind(cluster: Cluster) -> None:
    async with cluster.syncer() as manager:
        cluster.tenant.put("configmaps", config_map("a", x="1"))
        await eventually(lambda: cluster.on_host("configmaps", "a"))
        told = {
            name: manager.metrics.registry.get_sample_value(f"vcp_syncer_{name}", {"resource": "configmaps"})
            or 0
            for name in ("plan_seconds_count", "queue_seconds_count", "plan_seconds_sum")
        }
        assert told["plan_seconds_count"] == told["queue_seconds_count"] > 0
        assert 0 < told["plan_seconds_sum"] < 1


def _scraped(manager: Manager) -> bytes:
    manager.measure()
    return manager.metrics.text()


async def test_what_is_too_large_for_the_host_is_said_with_its_size(cluster: Cluster) -> None:
    one = config_map("large", x="y" * 1_300_000)
    cluster.tenant.put("configmaps", one)
    cluster.tenant.put("configmaps", config_map("fits", x="\n" * 1_000_000))  # two signs each in JSON
    async with cluster.syncer():
        await eventually(lambda: cluster.on_host("configmaps", "fits"))
        await eventually(lambda: events(cluster, "Refused"))
        (event,) = events(cluster, "Refused")
        assert "the ConfigMap takes 1300" in event["message"]
        assert "bytes on the host; at most 1280000" in event["message"]
        assert cluster.on_host("configmaps", "large") is None


async def test_a_failure_of_the_host_that_lasts_is_told(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes for a hiccup at first; what a retry does not cure is the tenant's to know."""
    monkeypatch.setattr(controller, "_LASTING", 3)
    message = "etcdserver: request is too large"
    for _ in range(5):
        cluster.host.fail_next("POST /api/v1/namespaces/vcp-acme-work/configmaps", 500, message=message)
    cluster.tenant.put("configmaps", config_map("a", x="1"))
    async with cluster.syncer():
        await eventually(lambda: cluster.on_host("configmaps", "a"))
        (event,) = events(cluster, "HostRefused")
        assert event["message"] == message


async def test_a_failure_that_passes_is_not_told(cluster: Cluster) -> None:
    for _ in range(3):
        cluster.host.fail_next("POST /api/v1/namespaces/vcp-acme-work/configmaps", 503)
    cluster.tenant.put("configmaps", config_map("a", x="1"))
    async with cluster.syncer():
        await eventually(lambda: cluster.on_host("configmaps", "a"))
    assert events(cluster, "HostRefused") == []


def events(cluster: Cluster, reason: str) -> list[Obj]:
    """The tenant's Events of this reason."""
    found = (obj for key, obj in cluster.tenant.objects.items() if key.plural == "events")
    return [event for event in found if event["reason"] == reason]


@pytest.mark.parametrize(
    "answer",
    [
        {"metadata": {"resourceVersion": "x1"}, "items": []},
        {"metadata": {"resourceVersion": ""}, "items": []},
        {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {}}]},
    ],
)
async def test_who_answers_in_the_place_of_an_api_server_cannot_end_the_syncer(
    cluster: Cluster, answer: Obj
) -> None:
    """A tenant's admin may serve a group by a server of their own."""
    cluster.tenant.put("configmaps", config_map("a", x="1"))
    path = "/apis/discovery.k8s.io/v1/endpointslices"
    cluster.tenant.routes[path] = lambda _: web.json_response(answer)
    async with cluster.syncer() as manager:
        await eventually(lambda: any(informer.failures > 2 for informer in manager.informers))
        assert "tenant endpointslices" in manager.lagging()
        del cluster.tenant.routes[path]
        await eventually(lambda: cluster.on_host("configmaps", "a"))


async def test_an_object_that_changes_forty_times_is_written_a_few_times(cluster: Cluster) -> None:
    """And its last state arrives."""
    async with cluster.syncer() as manager:
        cluster.tenant.put("configmaps", config_map("fat", x="0"))
        await eventually(lambda: cluster.on_host("configmaps", "fat"))
        began = time.monotonic()
        for number in range(40):
            there = cluster.tenant.find("configmaps", "fat", "default") or {}
            cluster.tenant.put("configmaps", there | {"data": {"x": f"{number}", "y": "z" * 100_000}})
            await settled(cluster, manager)
        patches = [line for line in writes(cluster.host) if line.startswith("PATCH")]
        assert len(patches) <= 6 + (time.monotonic() - began) / 2  # one takes two seconds' share
        held = manager.metrics.text().decode()
        assert 'why="object"' in held
        await eventually(lambda: (cluster.on_host("configmaps", "fat") or {})["data"]["x"] == "39", 30)


async def test_what_is_undone_each_time_is_not_written_without_end(cluster: Cluster) -> None:
    """As an admission policy could do. The tenant is told, and it ends by itself."""
    name = host_name(TENANT, "default", "a")
    async with cluster.syncer() as manager:
        cluster.tenant.put("configmaps", config_map("a", x="1"))
        await eventually(lambda: cluster.on_host("configmaps", "a"))
        undo = True

        async def undoing() -> None:
            while undo:
                there = cluster.host.find("configmaps", name, WORK)
                if there and there["data"] == {"x": "1"}:
                    cluster.host.put("configmaps", there | {"data": {"x": "other"}})
                await asyncio.sleep(0.01)

        fighting = asyncio.create_task(undoing())
        await asyncio.sleep(4)
        assert 5 <= len([line for line in writes(cluster.host) if line.startswith("PATCH")]) <= 10
        assert manager.pacer.fights() == 1
        assert manager.notes() == {"vcp.dev/fights": "1"}
        events = [event for key, event in cluster.tenant.objects.items() if key.plural == "events"]
        assert [event["reason"] for event in events] == ["Contended"]
        assert "something in the host undoes" in events[0]["message"]
        undo = False
        await fighting
        await eventually(lambda: (cluster.on_host("configmaps", "a") or {})["data"] == {"x": "1"}, 20)


async def test_the_budget_slows_a_tenant_down_and_says_so(cluster: Cluster) -> None:
    budget = Budget(writes_per_second=10, write_burst=10)
    cluster = dataclasses.replace(cluster, scope=dataclasses.replace(cluster.scope, sync=Sync(budget=budget)))
    for number in range(60):
        cluster.tenant.put("configmaps", config_map(f"c-{number}", x="1"))
    async with cluster.syncer() as manager:
        await eventually(lambda: len(writes(cluster.host)) >= 15)
        assert len(writes(cluster.host)) < 50
        assert "vcp.dev/overdrawn" in manager.notes()
        await eventually(lambda: len(writes(cluster.host)) == 60, 20)
        reasons = {event["reason"] for key, event in cluster.tenant.objects.items() if key.plural == "events"}
        assert reasons == {"OverBudget"}


async def test_what_is_mirrored_has_a_bound_in_all(cluster: Cluster) -> None:
    cluster = dataclasses.replace(
        cluster, scope=dataclasses.replace(cluster.scope, sync=Sync(budget=Budget(mirrored_mib=1)))
    )
    async with cluster.syncer() as manager:
        for number in range(3):
            cluster.tenant.put("configmaps", config_map(f"fat-{number}", x="y" * 700_000))
            await settled(cluster, manager)
        assert [bool(cluster.on_host("configmaps", f"fat-{number}")) for number in range(3)] == [
            True,
            True,
            False,
        ]
        (event,) = (event for key, event in cluster.tenant.objects.items() if key.plural == "events")
        assert "1 MiB of ConfigMaps and Secrets are on the host; at most 1" in event["message"]
        assert 1_400_000 < manager.mirrored() < 1_420_000
        cluster.tenant.remove("configmaps", "fat-0", "default")
        await eventually(lambda: cluster.on_host("configmaps", "fat-0") is None)
        assert 700_000 < manager.mirrored() < 710_000
