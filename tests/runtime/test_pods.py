"""Pods between a tenant API and a host that runs them: lifecycle, status, tokens, refusals, writes."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fakeapi import FakeApi, Key, Obj
from fakehost import FakeHost
from podrules import strategic
from syncing import TENANT, WORK, Cluster, eventually, settled

from kube.objects import uid_of
from syncer.core.names import host_name
from syncer.kinds.pods.tokens import secret_name
from tests.unit.podcases import selecting


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with FakeApi().serve() as tenant, FakeApi().serve() as host:
        tenant.put("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
        root = {"name": "kube-root-ca.crt", "namespace": "default"}
        tenant.put(
            "configmaps",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": root, "data": {"ca.crt": "CA"}},
        )
        yield Cluster(tenant, host)


def a_pod(name: str, **spec: Any) -> Obj:
    """As the tenant's API server stores it after its service account admission."""
    mount = {
        "name": "kube-api-access-x",
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        "readOnly": True,
    }
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [
                    {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                ]
            }
        },
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}, "generation": 1},
        "spec": {
            "containers": [{"name": "main", "image": "web:1", "volumeMounts": [mount]}],
            "volumes": [{"name": "kube-api-access-x", "projected": {"sources": sources, "defaultMode": 420}}],
            "serviceAccountName": "default",
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
        }
        | spec,
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def tenant_pod(cluster: Cluster, name: str) -> Obj:
    return cluster.tenant.find("pods", name, "default") or {"spec": {}, "status": {}, "metadata": {}}


def is_running(cluster: Cluster, name: str) -> bool:
    return bool(tenant_pod(cluster, name)["status"].get("phase") == "Running")


def is_running_on_host(cluster: Cluster, name: str) -> bool:
    return (cluster.on_host("pods", name) or {"status": {}})["status"].get("phase") == "Running"


def writes(api: FakeApi) -> list[str]:
    """Without the lease."""
    return [line for line in api.requests if not line.startswith("GET") and "leases" not in line]


def requests(api: FakeApi) -> list[str]:
    """With reads of single objects; without the lease, lists and watches."""
    listed = re.compile(r"GET (/api/v1|/apis/[^/]+/[^/]+)(/namespaces/[^/]+)?/[^/]+")
    return [line for line in api.requests if "leases" not in line and not listed.fullmatch(line)]


async def test_a_pod_runs_and_reports_back_with_few_requests(cluster: Cluster) -> None:
    FakeHost(cluster.host)
    async with cluster.syncer() as manager:
        await eventually(lambda: manager.in_step)
        cluster.tenant.put("pods", a_pod("first"))
        await eventually(lambda: is_running(cluster, "first"))
        await settled(cluster, manager)
        cluster.tenant.requests.clear()
        cluster.host.requests.clear()
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: is_running(cluster, "web"))
        await settled(cluster, manager)
        name = host_name(TENANT, "default", "web")
        assert sorted(writes(cluster.host)) == [
            f"POST /api/v1/namespaces/{WORK}/pods",
            f"POST /api/v1/namespaces/{WORK}/secrets",
        ]
        told = writes(cluster.tenant)
        assert told.count("POST /api/v1/namespaces/default/serviceaccounts/default/token") == 1
        assert told.count("POST /api/v1/namespaces/default/pods/web/binding") == 1
        assert 1 <= told.count("PATCH /api/v1/namespaces/default/pods/web/status") <= 2
        assert len(told) <= 4
        pod = tenant_pod(cluster, "web")
        assert pod["spec"]["nodeName"] == "node-1"
        assert pod["status"]["podIP"] == "10.42.0.9"
        assert pod["status"]["qosClass"] == "BestEffort"
        assert cluster.tenant.find("nodes", "node-1")
        secret = cluster.host.find("secrets", secret_name(name), WORK)
        assert secret
        assert secret["metadata"]["labels"]["vcp.dev/tenant"] == TENANT
        assert cluster.on_host("configmaps", "kube-root-ca.crt")
        host = cluster.on_host("pods", "web") or {}
        assert host["spec"]["serviceAccountName"] == "vcp-workload"
        assert host["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize(("apart", "statuses"), [(True, 2), (False, 1)])
async def test_a_status_is_written_as_often_as_the_host_is_seen_to_change_it(
    cluster: Cluster, apart: bool, statuses: int
) -> None:
    """A kubelet writes ContainerCreating, then Running. Seen together, they are one write."""
    pulled = FakeHost(cluster.host).pulled = asyncio.Event()
    pulled.set()
    async with cluster.syncer() as manager:
        cluster.tenant.put("pods", a_pod("first"))  # which makes the Node
        await eventually(lambda: is_running(cluster, "first"))
        await settled(cluster, manager)
        cluster.tenant.requests.clear()
        cluster.host.late = 0.0 if apart else 60.0
        if apart:
            pulled.clear()
        cluster.tenant.put("pods", a_pod("web"))
        if apart:
            await eventually(lambda: "startTime" in tenant_pod(cluster, "web")["status"])
            pulled.set()
        await eventually(lambda: is_running_on_host(cluster, "web"))
        cluster.host.late = 0.0
        await eventually(lambda: is_running(cluster, "web"))
        await settled(cluster, manager)
        assert requests(cluster.tenant) == [
            "POST /api/v1/namespaces/default/serviceaccounts/default/token",
            "POST /api/v1/namespaces/default/pods/web/binding",
            *["PATCH /api/v1/namespaces/default/pods/web/status"] * statuses,
        ]


async def test_pods_that_are_begun_are_bound_before_the_last_of_a_burst_is_begun(cluster: Cluster) -> None:
    FakeHost(cluster.host)
    begun_at_first_binding: list[int] = []

    def seen(key: Key, pod: Obj) -> None:
        if key.plural == "pods" and pod["spec"].get("nodeName"):
            begun_at_first_binding.append(sum(other.plural == "pods" for other in cluster.host.objects))

    cluster.tenant.controllers.append(seen)
    async with cluster.syncer() as manager:
        await eventually(lambda: manager.in_step)
        for number in range(100):
            cluster.tenant.put("pods", a_pod(f"web-{number}"))
        await eventually(lambda: all(is_running(cluster, f"web-{number}") for number in range(100)), 60)
    assert begun_at_first_binding[0] < 50


async def test_a_restart_of_the_syncer_writes_nothing(cluster: Cluster) -> None:
    FakeHost(cluster.host)
    async with cluster.syncer() as manager:
        for number in range(20):
            cluster.tenant.put("pods", a_pod(f"web-{number}"))
        await eventually(lambda: all(is_running(cluster, f"web-{number}") for number in range(20)))
        await settled(cluster, manager)
    cluster.tenant.requests.clear()
    cluster.host.requests.clear()
    async with cluster.syncer("another") as manager:
        await eventually(lambda: manager.in_step)
        await settled(cluster, manager)
        assert writes(cluster.tenant) == writes(cluster.host) == []


async def test_a_deleted_pod_goes_when_the_hosts_has_gone(cluster: Cluster) -> None:
    host = FakeHost(cluster.host)
    async with cluster.syncer() as manager:
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: is_running(cluster, "web"))
        await settled(cluster, manager)
        host.running = False
        await cluster.delete_tenant_pod("web", 7)
        await eventually(
            lambda: (cluster.on_host("pods", "web") or {})["metadata"].get("deletionGracePeriodSeconds") == 7
        )
        assert cluster.tenant.find("pods", "web", "default")
        cluster.host.remove("pods", host_name(TENANT, "default", "web"), WORK)
        await eventually(lambda: cluster.tenant.find("pods", "web", "default") is None)
        name = secret_name(host_name(TENANT, "default", "web"))
        await eventually(lambda: cluster.host.find("secrets", name, WORK) is None)
        await eventually(lambda: cluster.on_host("configmaps", "kube-root-ca.crt") is None)


async def test_a_deletion_that_the_api_server_left_half_done_is_finished(cluster: Cluster) -> None:
    FakeHost(cluster.host)
    async with cluster.syncer() as manager:
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: is_running(cluster, "web"))
        await settled(cluster, manager)
        cluster.tenant.half_deletions = 1
        await cluster.delete_tenant_pod("web", 7)
        await eventually(lambda: cluster.tenant.find("pods", "web", "default") is None)
        assert not cluster.tenant.half_deletions


async def test_a_pod_goes_with_few_requests(cluster: Cluster) -> None:
    FakeHost(cluster.host)
    async with cluster.syncer() as manager:
        for name in ("web", "other"):  # which keeps what both refer to
            cluster.tenant.put("pods", a_pod(name))
        await eventually(lambda: is_running(cluster, "web") and is_running(cluster, "other"))
        await settled(cluster, manager)
        cluster.tenant.requests.clear()
        cluster.host.requests.clear()
        await cluster.delete_tenant_pod("web", 7)
        await eventually(lambda: cluster.tenant.find("pods", "web", "default") is None)
        await settled(cluster, manager)
        name = host_name(TENANT, "default", "web")
        assert requests(cluster.host) == [
            f"DELETE /api/v1/namespaces/{WORK}/pods/{name}",
            f"DELETE /api/v1/namespaces/{WORK}/secrets/{secret_name(name)}",
        ]
        theirs_and_ours = ["DELETE /api/v1/namespaces/default/pods/web"] * 2
        assert requests(cluster.tenant) == theirs_and_ours


async def test_pods_that_go_together_cost_three_deletions_each_however_late_the_watches_are(
    cluster: Cluster,
) -> None:
    FakeHost(cluster.host)
    names = [f"web-{number}" for number in range(20)]
    async with cluster.syncer() as manager:
        for name in ("stays", *names):
            cluster.tenant.put("pods", a_pod(name))
        await eventually(lambda: all(is_running(cluster, name) for name in ("stays", *names)))
        await settled(cluster, manager)
        cluster.tenant.requests.clear()
        cluster.host.requests.clear()
        cluster.tenant.late = cluster.host.late = 0.2
        for name in names:
            await cluster.delete_tenant_pod(name, 7)
        await eventually(lambda: not any(cluster.tenant.find("pods", name, "default") for name in names))
        await settled(cluster, manager)
        on_host = [host_name(TENANT, "default", name) for name in names]
        assert sorted(requests(cluster.host)) == sorted(
            [f"DELETE /api/v1/namespaces/{WORK}/pods/{name}" for name in on_host]
            + [f"DELETE /api/v1/namespaces/{WORK}/secrets/{secret_name(name)}" for name in on_host]
        )
        theirs_and_ours = [f"DELETE /api/v1/namespaces/default/pods/{name}" for name in names] * 2
        assert sorted(requests(cluster.tenant)) == sorted(theirs_and_ours)


async def test_a_shorter_grace_follows_and_force_ends_both(cluster: Cluster) -> None:
    host = FakeHost(cluster.host)
    async with cluster.syncer():
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: is_running(cluster, "web"))
        host.running = False
        for grace in (20, 3):
            await cluster.delete_tenant_pod("web", grace)
            await eventually(
                lambda grace=grace: (
                    (cluster.on_host("pods", "web") or {})["metadata"].get(  # type: ignore[misc]
                        "deletionGracePeriodSeconds"
                    )
                    == grace
                )
            )
        await cluster.delete_tenant_pod("web", 0)
        await eventually(lambda: cluster.on_host("pods", "web") is None)


async def test_a_pod_that_never_got_a_node_goes_at_once_on_both_sides(cluster: Cluster) -> None:
    async with cluster.syncer():
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: cluster.on_host("pods", "web"))
        await cluster.delete_tenant_pod("web")
        await eventually(lambda: cluster.on_host("pods", "web") is None)
        assert cluster.tenant.find("pods", "web", "default") is None


async def test_a_pod_that_the_host_evicts_is_ended_in_the_tenant(cluster: Cluster) -> None:
    FakeHost(cluster.host)
    async with cluster.syncer() as manager:
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: is_running(cluster, "web"))
        await settled(cluster, manager)
        cluster.host.remove("pods", host_name(TENANT, "default", "web"), WORK)
        await eventually(lambda: cluster.tenant.find("pods", "web", "default") is None)
        assert cluster.on_host("pods", "web") is None


async def test_the_same_name_again_waits_for_the_earlier_pod(cluster: Cluster) -> None:
    host = FakeHost(cluster.host)
    async with cluster.syncer() as manager:
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: is_running(cluster, "web"))
        await settled(cluster, manager)
        host.running = False
        first = (cluster.on_host("pods", "web") or {})["metadata"]["uid"]
        cluster.tenant.remove("pods", "web", "default")
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(
            lambda: (cluster.on_host("pods", "web") or {}).get("metadata", {}).get("uid", first) != first
        )
        second = cluster.on_host("pods", "web") or {}
        assert second["metadata"]["annotations"]["vcp.dev/uid"] == uid_of(tenant_pod(cluster, "web"))
        secret = cluster.host.find("secrets", secret_name(second["metadata"]["name"]), WORK)
        assert secret
        assert secret["metadata"]["annotations"]["vcp.dev/uid"] == uid_of(tenant_pod(cluster, "web"))


async def test_a_refused_pod_says_why_and_is_not_on_the_host(cluster: Cluster) -> None:
    container = {"name": "main", "image": "web:1", "securityContext": {"privileged": True}}
    async with cluster.syncer() as manager:
        cluster.tenant.put("pods", a_pod("bad", containers=[container]))
        await eventually(lambda: [key for key in cluster.tenant.objects if key.plural == "events"])
        await settled(cluster, manager)
        (event,) = [obj for key, obj in cluster.tenant.objects.items() if key.plural == "events"]
        assert event["reason"] == "Refused"
        assert "spec.containers[0].securityContext.privileged" in event["message"]
        assert "spec.podSecurity" in event["message"]
        (condition,) = tenant_pod(cluster, "bad")["status"]["conditions"]
        assert condition["type"] == "PodScheduled"
        assert condition["status"] == "False"
        assert cluster.on_host("pods", "bad") is None
        cluster.tenant.requests.clear()
        cluster.tenant.put("pods", tenant_pod(cluster, "bad") | {"x": 1})
        await settled(cluster, manager)
        assert writes(cluster.tenant) == []  # it has been said


async def test_a_refusal_of_the_host_is_told_and_ends_by_itself(cluster: Cluster) -> None:
    FakeHost(cluster.host)
    message = f'pods "{host_name(TENANT, "default", "web")}" is forbidden: exceeded quota: vcp-quota'
    for _ in range(2):
        cluster.host.fail_next(f"POST /api/v1/namespaces/{WORK}/pods", 403, "Forbidden", message=message)
    async with cluster.syncer():
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: is_running(cluster, "web"))
    events = [obj for key, obj in cluster.tenant.objects.items() if key.plural == "events"]
    (refusal,) = [event for event in events if event["reason"] == "HostRefused"]
    assert "exceeded quota" in refusal["message"]
    assert host_name(TENANT, "default", "web") not in refusal["message"]


async def test_labels_and_images_follow_into_the_running_pod(cluster: Cluster) -> None:
    FakeHost(cluster.host)
    async with cluster.syncer() as manager:
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: is_running(cluster, "web"))
        await settled(cluster, manager)
        host = cluster.on_host("pods", "web") or {}
        injected = {"name": "sidecar", "image": "mesh:1"}
        changed = strategic(
            host, {"spec": {"containers": [injected]}, "metadata": {"labels": {"mesh": "on"}}}
        )
        cluster.host.put("pods", changed)
        pod = strategic(
            tenant_pod(cluster, "web"),
            {
                "metadata": {"labels": {"app": None, "new": "1"}},
                "spec": {"containers": [{"name": "main", "image": "web:2"}]},
            },
        )
        cluster.tenant.put("pods", pod)

        def followed() -> bool:
            host = cluster.on_host("pods", "web") or {}
            labels = host["metadata"]["labels"]
            images = {container["name"]: container["image"] for container in host["spec"]["containers"]}
            return (
                images == {"main": "web:2", "sidecar": "mesh:1"}
                and labels.get("new") == "1"
                and "app" not in labels
                and labels.get("mesh") == "on"
            )

        await eventually(followed)
        await settled(cluster, manager)
        cluster.host.requests.clear()
        await settled(cluster, manager)
        assert writes(cluster.host) == []


async def test_labels_of_the_namespace_reach_running_pods_once_a_pod_selects_by_them(
    cluster: Cluster,
) -> None:
    FakeHost(cluster.host)
    async with cluster.syncer() as manager:
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: is_running(cluster, "web"))
        await settled(cluster, manager)
        cluster.host.requests.clear()
        labels = {f"label-{number}": "x" * 60 for number in range(1000)}
        namespace = cluster.tenant.find("namespaces", "default") or {}
        cluster.tenant.put("namespaces", strategic(namespace, {"metadata": {"labels": labels}}))
        await settled(cluster, manager)
        assert writes(cluster.host) == []

        affinity = selecting("apart", "team")["spec"]["affinity"]
        cluster.tenant.put("pods", a_pod("apart", affinity=affinity))
        await eventually(lambda: is_running(cluster, "apart"))
        namespace = cluster.tenant.find("namespaces", "default") or {}
        cluster.tenant.put("namespaces", strategic(namespace, {"metadata": {"labels": {"team": "blue"}}}))
        await eventually(
            lambda: (
                (cluster.on_host("pods", "web") or {})["metadata"]["labels"].get("ns.vcp.dev/team") == "blue"
            )
        )


async def test_events_of_the_host_show_on_the_tenants_pod(cluster: Cluster) -> None:
    FakeHost(cluster.host)
    async with cluster.syncer() as manager:
        cluster.tenant.put("pods", a_pod("web"))
        await eventually(lambda: is_running(cluster, "web"))
        await settled(cluster, manager)
        name = host_name(TENANT, "default", "web")
        host = cluster.on_host("pods", "web") or {}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.17a", "namespace": WORK},
            "involvedObject": {
                "kind": "Pod",
                "namespace": WORK,
                "name": name,
                "uid": host["metadata"]["uid"],
            },
            "reason": "Scheduled",
            "message": f"Successfully assigned {WORK}/{name} to node-1",
            "type": "Normal",
            "count": 1,
            "firstTimestamp": "2036-01-01T00:00:00Z",
            "lastTimestamp": "2036-01-01T00:00:00Z",
        }
        cluster.host.put("events", event)
        await eventually(lambda: cluster.tenant.find("events", "web.17a", "default"))
        told = cluster.tenant.find("events", "web.17a", "default") or {}
        assert told["message"] == "Successfully assigned default/web to node-1"
        assert told["involvedObject"]["uid"] == tenant_pod(cluster, "web")["metadata"]["uid"]
        cluster.host.put("events", event | {"count": 2})
        await eventually(lambda: (cluster.tenant.find("events", "web.17a", "default") or {})["count"] == 2)
        foreign = event | {"metadata": {"name": "other.1", "namespace": WORK}}
        foreign["involvedObject"] = event["involvedObject"] | {"uid": "another"}  # type: ignore[operator]
        cluster.host.put("events", foreign)
        await settled(cluster, manager)
        assert not cluster.tenant.find("events", "web.1", "default")
