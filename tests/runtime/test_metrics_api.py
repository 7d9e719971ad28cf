"""The metrics API between a tenant's API server with its certificate and a host that measures pods."""

import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from fakeapi import FakeApi, Obj, StatusError
from fakehost import FakeHost
from streamhost import Authorities
from syncing import SYNCER, TENANT, WORK, Cluster, eventually, settled

from kube.auth import Access
from kube.client import Client
from syncer.core.names import host_name
from syncer.core.policy import Sync
from syncer.engine.manager import Manager
from syncer.engine.metrics import Metrics
from syncer.kinds.metrics import registration
from syncer.kinds.registry import registry
from syncer.serve import hostusage, metricsapi, reviews
from syncer.serve.requestmetrics import RequestMetrics

NAME = "vcp-metrics.kube-system.svc"
ROOT = "/apis/metrics.k8s.io/v1beta1"
JANE = {"X-Remote-User": "jane", "X-Remote-Group": "dev"}
ADMIN = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}
MEASURED = f"/apis/metrics.k8s.io/v1beta1/namespaces/{WORK}/pods"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def measured(name: str, cpu: str = "250m", namespace: str = "default") -> Obj:
    usage = {"cpu": cpu, "memory": "64Mi"}
    return {
        "metadata": {"name": host_name(TENANT, namespace, name), "namespace": WORK},
        "timestamp": "2026-01-02T03:04:05Z",
        "window": "15s",
        "containers": [{"name": "main", "usage": usage}, {"name": "injected", "usage": usage}],
    }


def a_pod(name: str, **labels: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "app"}], "automountServiceAccountToken": False},
        "status": {"phase": "Pending"},
    }


@dataclass
class Tenant:
    """A running syncer with two measured pods, its metrics API, and the API server's way to it."""

    cluster: Cluster
    manager: Manager
    session: aiohttp.ClientSession
    authorities: Authorities
    metrics: Metrics
    url: str
    found: list[Obj] = field(default_factory=lambda: [measured("web"), measured("db", "1")])
    problem: StatusError | None = None
    allowed: set[tuple[str, str, str]] = field(default_factory=set)  # user, verb, resource
    asked: list[Obj] = field(default_factory=list)

    def lists(self, request: web.Request) -> web.Response:
        if self.problem:
            raise self.problem
        assert request.query["labelSelector"] == f"vcp.dev/tenant={TENANT},vcp.dev/namespace"
        return web.json_response({"kind": "PodMetricsList", "metadata": {}, "items": self.found})

    async def reviewed(self, request: web.Request) -> web.Response:
        spec = (await request.json())["spec"]
        self.asked.append(spec)
        attributes = spec["resourceAttributes"]
        key = (spec["user"], attributes["verb"], attributes["resource"])
        return web.json_response({"status": {"allowed": key in self.allowed}}, status=201)

    async def ask(
        self,
        path: str,
        headers: dict[str, str] | None = None,
        method: str = "GET",
        certificate: str = "proxy",
    ) -> tuple[int, Any]:
        named: Any = {"ssl": self.authorities.client(certificate), "server_hostname": NAME}
        how = ADMIN if headers is None else headers
        async with self.session.request(method, f"{self.url}{path}", headers=how, **named) as response:
            return response.status, await response.json()

    async def names(self, path: str, headers: dict[str, str] | None = None) -> list[str]:
        status, body = await self.ask(path, headers)
        assert status == 200, body
        return [one["metadata"]["name"] for one in body["items"]]


@pytest.fixture
def authorities(tmp_path: Path) -> Authorities:
    made = Authorities(tmp_path)
    made.make("request-header-ca")
    made.sign("syncer-serving", "vcp:syncer", ca="server-ca", server=True, sans=(NAME,))
    made.sign("proxy", "system:auth-proxy", ca="request-header-ca")
    return made


@pytest_asyncio.fixture
async def tenant(authorities: Authorities, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tenant]:
    monkeypatch.setattr(hostusage, "_FRESH", 0.0)
    metrics = Metrics()
    async with contextlib.AsyncExitStack() as stack:
        apis = [await stack.enter_async_context(FakeApi().serve()) for _ in range(2)]
        clients = [
            await stack.enter_async_context(Client(Access(api.url, token=SYNCER), timeout=5)) for api in apis
        ]
        cluster = Cluster(*apis)
        FakeHost(cluster.host)
        for one in (a_pod("web", app="web"), a_pod("db")):
            cluster.tenant.put("pods", one)
        cluster.tenant.put("namespaces", {"metadata": {"name": "default"}})
        manager = await stack.enter_async_context(cluster.syncer())
        await eventually(lambda: cluster.tenant.find("nodes", "node-1"))
        await settled(cluster, manager)
        served = RequestMetrics("metrics-api", metrics.served, metrics.serving)
        api = metricsapi.MetricsApi(manager.scope, *clients, served)
        port = await stack.enter_async_context(metricsapi.serving(0, authorities.folder, api))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        made = Tenant(cluster, manager, session, authorities, metrics, f"https://127.0.0.1:{port}")
        cluster.host.routes[MEASURED] = made.lists
        cluster.tenant.routes[REVIEWS] = made.reviewed
        yield made


async def test_pods_and_nodes_have_the_tenants_names_and_figures(tenant: Tenant) -> None:
    assert await tenant.names(f"{ROOT}/pods") == ["db", "web"]
    assert await tenant.names(f"{ROOT}/namespaces/default/pods?labelSelector=app%3Dweb") == ["web"]
    assert await tenant.names(f"{ROOT}/pods?labelSelector=app%20notin%20(web)") == ["db"]
    assert await tenant.names(f"{ROOT}/pods?fieldSelector=metadata.name!%3Dweb") == ["db"]
    assert await tenant.names(f"{ROOT}/namespaces/other/pods") == []
    status, one = await tenant.ask(f"{ROOT}/namespaces/default/pods/web")
    assert status == 200
    assert (one["kind"], one["metadata"]["labels"]) == ("PodMetrics", {"app": "web"})
    assert one["containers"] == [{"name": "main", "usage": {"cpu": "250m", "memory": "64Mi"}}]
    assert await tenant.names(f"{ROOT}/nodes") == ["node-1"]
    status, node = await tenant.ask(f"{ROOT}/nodes/node-1")
    assert node["usage"] == {"cpu": "1250000000n", "memory": "131072Ki"}
    table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    status, rows = await tenant.ask(f"{ROOT}/pods", ADMIN | table)
    assert [row["cells"] for row in rows["rows"]] == [
        ["db", "1", "65536Ki", "15s"],
        ["web", "250000000n", "65536Ki", "15s"],
    ]


async def test_what_is_not_there_or_not_understood_is_said_so(tenant: Tenant) -> None:
    for path, expected in (
        (f"{ROOT}/namespaces/default/pods/gone", 404),
        (f"{ROOT}/nodes/gone", 404),
        (f"{ROOT}/services", 404),
        ("/", 404),
        ("/metrics", 404),
        (f"{ROOT}/pods?watch=true", 405),
        (f"{ROOT}/pods?labelSelector=((", 400),
        (f"{ROOT}/pods?fieldSelector=spec.nodeName%3Da", 400),
    ):
        status, body = await tenant.ask(path)
        assert (status, body["code"], body["kind"]) == (expected, expected, "Status"), path
    for method in ("POST", "DELETE", "PUT", "PATCH"):
        assert (await tenant.ask(f"{ROOT}/namespaces/default/pods/web", method=method))[0] == 405


async def test_neither_a_copy_nor_a_strangers_pod_is_told(tenant: Tenant) -> None:
    host = tenant.cluster.on_host("pods", "web")
    assert host
    tenant.cluster.host.put("pods", {**host, "metadata": {**host["metadata"], "name": "a-copy", "uid": "x"}})
    for name in ("a-copy", "a-neighbours"):
        tenant.found.append({**measured("web"), "metadata": {"name": name, "namespace": WORK}})
    await settled(tenant.cluster, tenant.manager)
    assert await tenant.names(f"{ROOT}/pods") == ["db", "web"]


async def test_the_callers_rights_are_asked_for_once_and_kept(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{ROOT}/namespaces/default/pods"
    status, body = await tenant.ask(path, JANE)
    assert (status, body["reason"]) == (403, "Forbidden")
    assert body["message"].startswith('pods.metrics.k8s.io is forbidden: User "jane" cannot list')
    tenant.allowed.add(("jane", "list", "pods"))
    assert (await tenant.ask(path, JANE))[0] == 403, "a no is kept too"
    monkeypatch.setattr(reviews, "_KEPT", 0.0)
    other = JANE | {"X-Remote-Uid": "another"}
    assert [(await tenant.ask(path, other))[0] for _ in range(2)] == [200, 200]
    assert len(tenant.asked) == 3
    assert tenant.asked[-1]["groups"] == ["dev"]
    assert (await tenant.ask(f"{path}/web", other))[0] == 403
    assert (await tenant.ask(f"{ROOT}/nodes", other))[0] == 403
    assert (await tenant.ask(path, {}))[0] == 401
    tenant.cluster.tenant.fail_next(REVIEWS, 500, "InternalError")
    assert (await tenant.ask(path, other))[0] == 503


async def test_only_the_api_servers_proxy_is_let_in(tenant: Tenant, tmp_path: Path) -> None:
    tenant.authorities.sign("somebody", "vcp:admin", ca="request-header-ca")
    tenant.authorities.sign("proxy-of-clients", "system:auth-proxy")
    assert (await tenant.ask(f"{ROOT}/pods", certificate="somebody"))[0] == 403
    for certificate in ("", "proxy-of-clients"):
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await tenant.ask(f"{ROOT}/pods", certificate=certificate)
    assert f"GET {MEASURED}" not in tenant.cluster.host.requests


async def test_discovery_is_answered_whatever_the_host_says(tenant: Tenant) -> None:
    tenant.problem = StatusError(404, "NotFound", "the server could not find the requested resource")
    status, body = await tenant.ask(ROOT, JANE)
    assert (status, body) == (200, registration.resource_list())
    assert [
        (await tenant.ask(path, JANE))[0] for path in ("/apis", "/apis/metrics.k8s.io", "/openapi/v2")
    ] == [
        200,
        200,
        200,
    ]
    assert f"GET {MEASURED}" not in tenant.cluster.host.requests


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (StatusError(404, "NotFound", "no such path"), "the host cluster has no metrics API"),
        (StatusError(403, "Forbidden", "pods is forbidden"), "does not let the syncer read the metrics"),
        (StatusError(503, "ServiceUnavailable", "unable to handle"), "does not answer now"),
    ],
)
async def test_a_host_without_figures_is_said_to_be(tenant: Tenant, problem: StatusError, words: str) -> None:
    tenant.problem = problem
    for path in (f"{ROOT}/pods", f"{ROOT}/nodes", f"{ROOT}/namespaces/default/pods/web"):
        status, body = await tenant.ask(path)
        assert (status, body["reason"]) == (503, "ServiceUnavailable")
        assert words in body["message"]
        assert "forbidden" not in body["message"]
    tenant.problem = None
    assert await tenant.names(f"{ROOT}/pods") == ["db", "web"]


async def test_the_host_is_asked_once_for_all_that_is_asked_at_a_time(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostusage, "_FRESH", 60.0)
    for path in ("pods", "nodes", "namespaces/default/pods", "namespaces/default/pods/web"):
        assert (await tenant.ask(f"{ROOT}/{path}"))[0] == 200
    assert tenant.cluster.host.requests.count(f"GET {MEASURED}") == 1
    told = tenant.metrics.registry.get_sample_value
    labels = {"endpoint": "metrics-api", "result": "200"}
    assert told("vcp_syncer_served_total", labels) == 4
    assert told("vcp_syncer_served_seconds_count", {"endpoint": "metrics-api"}) == 4


@pytest.mark.parametrize("address", ["10.43.0.12", ""])
async def test_the_registration_follows_the_setting(address: str) -> None:
    async with FakeApi().serve() as tenant, FakeApi().serve() as host:
        cluster = Cluster(tenant, host)
        on = dataclasses.replace(cluster.scope, webhook_ca="Q0E=", metrics_address="10.43.0.12")
        tenant.put("namespaces", {"metadata": {"name": "kube-system"}})

        def there() -> list[bool]:
            places = [("services", "vcp-metrics"), ("endpointslices", "vcp-metrics")]
            found = [tenant.find(kind, name, "kube-system") is not None for kind, name in places]
            return [*found, tenant.find("apiservices", registration.NAME) is not None]

        cluster.scope = on
        async with cluster.syncer() as manager:
            await eventually(lambda: all(there()))
            await settled(cluster, manager)
        cluster.scope = dataclasses.replace(on, metrics_address=address)
        kinds = registry(Sync(metrics=bool(address)))
        async with cluster.syncer("syncer-1", kinds) as manager:
            await eventually(lambda: there() == [bool(address)] * 3)
            tenant.remove("apiservices", registration.NAME) if address else None
            await eventually(lambda: there() == [bool(address)] * 3)
            await settled(cluster, manager)
