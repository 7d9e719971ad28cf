"""Services between a tenant API and a host that both give out addresses of one range."""

import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fakeapi import FakeApi, Obj
from servicerules import Allotment
from syncing import TENANT, WORK, Cluster, eventually, settled

from kube import apis
from kube.auth import Access
from kube.client import Client
from kube.objects import uid_of
from syncer.core import marks
from syncer.core.names import host_name


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """The tenant gives out 10.43.0.1 first, the host 10.43.1.0."""
    async with FakeApi().serve() as tenant, FakeApi().serve() as host:
        tenant.allotment, host.allotment = Allotment(1), Allotment(256)
        for name in ("default", "kube-system"):
            tenant.put("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield Cluster(tenant, host)


def a_service(name: str = "web", **spec: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]} | spec,
    }


async def user_creates(api: FakeApi, obj: Obj) -> Obj:
    async with Client(Access(api.url), timeout=5) as user:
        return await user.create(apis.SERVICES, "default", obj)


async def user_patches(api: FakeApi, name: str, **spec: Any) -> None:
    async with Client(Access(api.url), timeout=5) as user:
        await user.patch(apis.SERVICES, "default", name, {"spec": spec})


def sides(cluster: Cluster, name: str = "web") -> tuple[Obj, Obj]:
    tenant, host = cluster.tenant.find("services", name, "default"), cluster.on_host("services", name)
    assert tenant, "no tenant Service"
    assert host, "no host Service"
    return tenant, host


def is_equal(cluster: Cluster, name: str = "web") -> bool:
    """Whether the host has what the tenant sees."""
    tenant, host = (one["spec"] for one in sides(cluster, name))
    ours, theirs = ([one.get("nodePort") for one in spec["ports"]] for spec in (tenant, host))
    fields = ("type", "clusterIP", "clusterIPs", "healthCheckNodePort")
    return bool(ours == theirs and all(tenant.get(field) == host.get(field) for field in fields))


def events(cluster: Cluster, reason: str) -> list[str]:
    return [
        obj["message"]
        for key, obj in cluster.tenant.objects.items()
        if key.plural == "events" and obj["reason"] == reason
    ]


def writes(api: FakeApi) -> list[str]:
    """Without the lease."""
    return [line for line in api.requests if not line.startswith("GET") and "leases" not in line]


async def test_the_host_is_asked_for_the_tenants_address_and_ports(cluster: Cluster) -> None:
    made = await user_creates(cluster.tenant, a_service(type="NodePort"))
    async with cluster.syncer() as manager:
        await eventually(lambda: is_equal(cluster))
        await settled(cluster, manager)
        tenant, host = sides(cluster)
        assert tenant["spec"]["clusterIP"] == made["spec"]["clusterIP"]
        assert tenant["spec"]["ports"][0]["nodePort"] == made["spec"]["ports"][0]["nodePort"]
        assert host["spec"]["selector"] == {
            "app": "web",
            "vcp.dev/tenant": TENANT,
            "vcp.dev/namespace": "default",
        }
        assert writes(cluster.host) == [f"POST /api/v1/namespaces/{WORK}/services"]
        assert writes(cluster.tenant) == ["POST /api/v1/namespaces/default/services"]  # the user's own


async def test_a_settled_service_costs_nothing_after_a_restart(cluster: Cluster) -> None:
    for kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        await user_creates(cluster.tenant, a_service(kind.lower(), type=kind))
    await user_creates(cluster.tenant, a_service("headless", clusterIP="None"))
    await user_creates(
        cluster.tenant, a_service("elsewhere", type="ExternalName", externalName="example.com")
    )
    async with cluster.syncer() as manager:
        await eventually(lambda: is_equal(cluster, "loadbalancer") and is_equal(cluster, "headless"))
        await settled(cluster, manager)
        assert cluster.on_host("services", "elsewhere") is None
    cluster.tenant.requests.clear()
    cluster.host.requests.clear()
    async with cluster.syncer("another") as manager:
        await eventually(lambda: manager.in_step)
        await settled(cluster, manager)
        assert writes(cluster.tenant) == writes(cluster.host) == []


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
async def test_what_somebody_else_has_on_the_host_is_replaced_in_the_tenant(
    cluster: Cluster, kind: str
) -> None:
    assert cluster.host.allotment
    cluster.host.allotment.others = {"10.43.0.1", 30001}
    made = await user_creates(cluster.tenant, a_service(type=kind))
    assert made["spec"]["clusterIP"] == "10.43.0.1"
    async with cluster.syncer() as manager:
        await eventually(lambda: is_equal(cluster) and sides(cluster)[0]["spec"]["clusterIP"] == "10.43.1.0")
        await settled(cluster, manager)
        tenant, host = sides(cluster)
        assert uid_of(tenant) == uid_of(made)
        assert marks.MOVING not in tenant["metadata"].get("annotations", {})
        assert tenant["spec"]["selector"] == {"app": "web"}
        assert "externalName" not in tenant["spec"]
        assert marks.is_owned(host, tenant)
        told = (
            "Somebody else on the host has the ClusterIP 10.43.0.1: this Service has the ClusterIP 10.43.1.0"
        )
        assert events(cluster, "AddressChanged") == [f"{told} now"]


async def test_a_taken_node_port_alone_leaves_the_address(cluster: Cluster) -> None:
    assert cluster.host.allotment
    cluster.host.allotment.others = {30001}
    made = await user_creates(cluster.tenant, a_service(type="NodePort"))
    async with cluster.syncer() as manager:
        await eventually(lambda: is_equal(cluster))
        await settled(cluster, manager)
        tenant, _ = sides(cluster)
        assert tenant["spec"]["clusterIP"] == made["spec"]["clusterIP"]
        assert tenant["spec"]["ports"][0]["nodePort"] != 30001
        assert len(events(cluster, "NodePortChanged")) == 1


async def test_an_address_that_is_given_back_a_moment_later_is_kept(cluster: Cluster) -> None:
    """As after a deletion, which watchers hear of before the address is free."""
    made = await user_creates(cluster.tenant, a_service())
    async with cluster.syncer() as manager:
        await eventually(lambda: is_equal(cluster))
        cluster.host.fail_next(
            f"POST /api/v1/namespaces/{WORK}/services", 422, "Invalid", message="already allocated"
        )
        cluster.host.remove("services", host_name(TENANT, "default", "web"), WORK)
        await eventually(lambda: is_equal(cluster))
        await settled(cluster, manager)
        assert sides(cluster)[0]["spec"]["clusterIP"] == made["spec"]["clusterIP"]
        assert not events(cluster, "AddressChanged")


async def test_a_move_that_broke_off_in_the_middle_is_finished(cluster: Cluster) -> None:
    assert cluster.host.allotment
    cluster.host.allotment.others = {"10.43.0.1"}
    made = await user_creates(cluster.tenant, a_service())
    saved = {field: value for field, value in made["spec"].items() if "clusterIP" not in field}
    made["metadata"]["annotations"] = {marks.MOVING: json.dumps(saved)}
    made["spec"] |= {"type": "ExternalName", "externalName": "address-is-being-changed.invalid"}
    del made["spec"]["clusterIP"], made["spec"]["clusterIPs"]
    cluster.tenant.put("services", made)
    async with cluster.syncer():
        await eventually(lambda: is_equal(cluster) and sides(cluster)[0]["spec"]["type"] == "ClusterIP")


TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")


@pytest.mark.parametrize(("old", "new"), [(old, new) for old in TYPES for new in TYPES if old != new])
async def test_every_change_of_type_reaches_the_host(cluster: Cluster, old: str, new: str) -> None:
    await user_creates(cluster.tenant, a_service(type=old, externalName="example.com"))
    async with cluster.syncer() as manager:
        if old != "ExternalName":
            await eventually(lambda: is_equal(cluster))
        if old == "LoadBalancer":
            balancer = sides(cluster)[1] | {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
            cluster.host.put("services", balancer)
            await eventually(lambda: sides(cluster)[0].get("status") == balancer["status"])
        await user_patches(cluster.tenant, "web", type=new)
        if new == "ExternalName":
            await eventually(lambda: cluster.on_host("services", "web") is None)
        else:
            await eventually(lambda: is_equal(cluster))
        await settled(cluster, manager)
        tenant = cluster.tenant.find("services", "web", "default") or {}
        assert tenant["spec"]["type"] == new
        assert not tenant.get("status", {}).get("loadBalancer")
        assert not events(cluster, "AddressChanged")


async def test_edits_of_ports_and_node_ports_reach_the_host(cluster: Cluster) -> None:
    await user_creates(cluster.tenant, a_service(type="NodePort"))
    async with cluster.syncer() as manager:
        await eventually(lambda: is_equal(cluster))
        ports = [{"name": "http", "port": 8080, "nodePort": 31234}, {"name": "metrics", "port": 9090}]
        await user_patches(cluster.tenant, "web", ports=ports, selector={"app": "other"})
        await eventually(lambda: is_equal(cluster) and len(sides(cluster)[1]["spec"]["ports"]) == 2)
        await settled(cluster, manager)
        _, host = sides(cluster)
        assert host["spec"]["ports"][0]["nodePort"] == 31234
        assert host["spec"]["selector"]["app"] == "other"


async def test_a_refused_field_is_told_and_nothing_is_made(cluster: Cluster) -> None:
    await user_creates(cluster.tenant, a_service(externalIPs=["192.0.2.1"]))
    async with cluster.syncer():
        await eventually(lambda: events(cluster, "Refused"))
        assert "spec.externalIPs" in events(cluster, "Refused")[0]
        assert "sync.services.externalIps" in events(cluster, "Refused")[0]
        assert cluster.on_host("services", "web") is None


async def test_a_deleted_and_a_renewed_service_follow(cluster: Cluster) -> None:
    await user_creates(cluster.tenant, a_service())
    async with cluster.syncer():
        await eventually(lambda: is_equal(cluster))
        before = uid_of(sides(cluster)[1])
        cluster.tenant.remove("services", "web", "default")
        await user_creates(cluster.tenant, a_service())
        await eventually(lambda: uid_of(sides(cluster)[1]) != before and is_equal(cluster))
        cluster.tenant.remove("services", "web", "default")
        await eventually(lambda: cluster.on_host("services", "web") is None)


async def test_two_tenants_share_the_host_without_meeting(cluster: Cluster) -> None:
    """The same names and, at first, the same addresses."""
    async with FakeApi().serve() as second:
        second.allotment = Allotment(1)
        other = Cluster(
            second, cluster.host, dataclasses.replace(cluster.scope, name="other", control_namespace="o")
        )
        for number in range(50):
            for api in (cluster.tenant, second):
                await user_creates(api, a_service(f"web-{number}", type="NodePort"))
        async with cluster.syncer(), other.syncer("other"):

            def host_of(tenant: str, number: int) -> Obj:
                return (
                    cluster.host.find("services", host_name(tenant, "default", f"web-{number}"), WORK) or {}
                )

            def agree(api: FakeApi, tenant: str, number: int) -> bool:
                ours = (api.find("services", f"web-{number}", "default") or {})["spec"]
                theirs = host_of(tenant, number).get("spec") or {}
                return bool(
                    ours.get("clusterIP", 1) == theirs.get("clusterIP", 2)
                    and ours["ports"][0]["nodePort"] == theirs["ports"][0]["nodePort"]
                )

            pairs = [
                (api, name, i)
                for api, name in ((cluster.tenant, TENANT), (second, "other"))
                for i in range(50)
            ]
            await eventually(lambda: all(agree(*pair) for pair in pairs), 15)
            addresses = {host_of(name, number)["spec"]["clusterIP"] for _, name, number in pairs}
            assert len(addresses) == 100


async def test_a_service_that_the_host_refuses_says_so_and_comes_when_there_is_room(cluster: Cluster) -> None:
    full = (
        f'services "{host_name(TENANT, "default", "web")}" is forbidden: exceeded quota: vcp-quota, '
        "requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0"
    )
    for _ in range(2):
        cluster.host.fail_next(f"POST /api/v1/namespaces/{WORK}/services", 403, "Forbidden", message=full)
    async with cluster.syncer():
        await user_creates(cluster.tenant, a_service(type="NodePort"))
        await eventually(lambda: cluster.on_host("services", "web") is not None)
    told = [obj for key, obj in cluster.tenant.objects.items() if key.plural == "events"]
    assert [one["reason"] for one in told] == ["HostRefused"]
    assert "exceeded quota" in told[0]["message"]
    assert host_name(TENANT, "default", "web") not in told[0]["message"]
