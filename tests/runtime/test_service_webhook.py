"""The webhook for Services: addresses of the host in the answer to a create, and what becomes of the rest."""

import asyncio
import base64
import contextlib
import dataclasses
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from fakeapi import FakeApi, Obj
from servicerules import Allotment
from syncing import WORK, Cluster, eventually, settled
from test_services import a_service, events, is_equal, sides, user_creates, writes

from kube import apis
from kube.auth import Access
from kube.client import Client
from kube.objects import uid_of
from syncer.core import marks
from syncer.engine.metrics import Metrics
from syncer.serve import https
from syncer.serve.requestmetrics import RequestMetrics
from syncer.serve.webhook import Webhook, serving
from vcp import pki
from vcp.spec import load


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """The tenant gives out 10.43.0.1 first, the host 10.43.1.0."""
    async with FakeApi().serve() as tenant, FakeApi().serve() as host:
        tenant.allotment, host.allotment = Allotment(1), Allotment(256)
        yield Cluster(tenant, host)


@contextlib.asynccontextmanager
async def webhook(cluster: Cluster, now: float = 0.0) -> AsyncIterator[Webhook]:
    async with Client(Access(cluster.host.url), timeout=5) as host:
        metrics = Metrics()
        served = RequestMetrics("webhook", metrics.served, metrics.serving)
        yield Webhook(host, lambda: dataclasses.replace(cluster.scope, now=now or time.time()), served)


def request(service: Obj, **fields: Any) -> Obj:
    return {"uid": "r-1", "operation": "CREATE", "namespace": "default", "object": service} | fields


def patched(service: Obj, answer: Obj) -> Obj:
    """The Service after the answer's JSON patch, which only adds."""
    result: Obj = json.loads(json.dumps(service))
    for operation in json.loads(base64.b64decode(answer.get("patch", "W10="))):
        *path, last = operation["path"].strip("/").split("/")
        at: Any = result
        for part in path:
            at = at[int(part)] if isinstance(at, list) else at[part]
        at[last] = operation["value"]
    return result


async def user_creates_through(cluster: Cluster, hook: Webhook, service: Obj) -> Obj:
    """As the tenant's API server does it."""
    return await user_creates(cluster.tenant, patched(service, await hook.review(request(service))))


async def test_the_answer_holds_the_hosts_address_and_ports(cluster: Cluster) -> None:
    async with webhook(cluster) as hook:
        for kind in ("ClusterIP", "NodePort", "LoadBalancer"):
            made = await user_creates_through(cluster, hook, a_service(kind.lower(), type=kind))
            assert made["spec"]["clusterIP"].startswith("10.43.1.")
            assert is_equal(cluster, kind.lower())
            host = sides(cluster, kind.lower())[1]
            assert marks.UID not in host["metadata"]["annotations"]
    cluster.tenant.requests.clear()
    cluster.host.requests.clear()
    async with cluster.syncer() as manager:
        names = ("clusterip", "nodeport", "loadbalancer")
        await eventually(lambda: all(marks.is_owned(*reversed(sides(cluster, name))) for name in names))
        await settled(cluster, manager)
        assert all(marks.PENDING not in sides(cluster, name)[1]["metadata"]["annotations"] for name in names)
        assert writes(cluster.tenant) == []
        assert len(writes(cluster.host)) == 3


async def test_creates_race_a_running_syncer_without_a_second_host_service(cluster: Cluster) -> None:
    async with webhook(cluster) as hook, cluster.syncer() as manager:
        await eventually(lambda: manager.in_step)
        names = [f"web-{number}" for number in range(30)]
        before = {name: await user_creates_through(cluster, hook, a_service(name)) for name in names}
        await eventually(lambda: all(marks.is_owned(*reversed(sides(cluster, name))) for name in names))
        await settled(cluster, manager)
        assert all(is_equal(cluster, name) for name in names)
        assert all(uid_of(sides(cluster, name)[0]) == uid_of(before[name]) for name in names)
        assert not events(cluster, "AddressChanged")


async def test_dry_runs_nameless_headless_and_external_names_leave_nothing(cluster: Cluster) -> None:
    nameless = a_service()
    del nameless["metadata"]["name"]
    nameless["metadata"]["generateName"] = "web-"
    async with webhook(cluster) as hook:
        for asked in (
            request(a_service(), dryRun=True),
            request(a_service(), operation="UPDATE"),
            request(nameless),
            request(a_service("../../nodes/x")),
            request(a_service(), namespace="../x"),
            request(a_service(clusterIP="None")),
            request(a_service(type="ExternalName", externalName="example.com")),
        ):
            assert await hook.review(asked) == {"uid": "r-1", "allowed": True}
    assert not cluster.host.requests


async def test_a_body_without_kind_is_understood(cluster: Cluster) -> None:
    bare = {field: value for field, value in a_service().items() if field not in {"kind", "apiVersion"}}
    async with webhook(cluster) as hook:
        assert "patch" in await hook.review(request(bare))


async def test_an_address_that_is_taken_is_refused_as_by_any_api_server(cluster: Cluster) -> None:
    assert cluster.host.allotment
    cluster.host.allotment.others = {"10.43.7.7"}
    async with webhook(cluster) as hook:
        answer = await hook.review(request(a_service(clusterIP="10.43.7.7")))
    assert not answer["allowed"]
    assert answer["status"]["code"] == 422
    assert "provided IP is already allocated" in answer["status"]["message"]
    assert WORK not in answer["status"]["message"]


async def test_what_the_policy_refuses_is_a_warning_and_no_host_service(cluster: Cluster) -> None:
    async with webhook(cluster) as hook:
        answer = await hook.review(request(a_service(externalIPs=["192.0.2.1"])))
    assert answer["allowed"]
    assert "spec.externalIPs" in answer["warnings"][0]
    assert not cluster.host.requests


async def test_a_create_that_was_refused_later_is_taken_up_by_the_next(cluster: Cluster) -> None:
    async with webhook(cluster, now=100.0) as hook:
        first = patched(a_service(), await hook.review(request(a_service())))
    async with webhook(cluster, now=150.0) as hook:
        other = a_service(type="NodePort", selector={"app": "other"})
        made = await user_creates_through(cluster, hook, other)
    assert made["spec"]["clusterIP"] == first["spec"]["clusterIP"]
    assert is_equal(cluster)
    host = sides(cluster)[1]
    assert host["spec"]["selector"]["app"] == "other"
    assert host["metadata"]["annotations"][marks.PENDING] == "150"


async def test_the_service_of_a_refused_create_is_swept_after_a_minute(cluster: Cluster) -> None:
    async with webhook(cluster, now=time.time() - 57.5) as hook:
        await hook.review(request(a_service()))
    made = cluster.on_host("services", "web")
    assert made
    async with cluster.syncer():
        await eventually(lambda: cluster.on_host("services", "web") is None)
        assert time.time() - int(made["metadata"]["annotations"][marks.PENDING]) >= 60
        assert f"GET {apis.SERVICES.path('default', 'web')}" in cluster.tenant.requests


async def test_a_stored_service_is_left_alone(cluster: Cluster) -> None:
    """A second create of its name is refused by the tenant's API, which reaches the webhook first."""
    await user_creates(cluster.tenant, a_service())
    async with webhook(cluster) as hook, cluster.syncer():
        await eventually(lambda: is_equal(cluster))
        before = sides(cluster)[1]
        assert await hook.review(request(a_service())) == {"uid": "r-1", "allowed": True}
        assert sides(cluster)[1] == before


async def test_what_became_of_requests_is_counted(cluster: Cluster) -> None:
    assert cluster.host.allotment
    cluster.host.allotment.others = {"10.43.7.7"}
    metrics = Metrics()
    served = RequestMetrics("webhook", metrics.served, metrics.serving)
    async with Client(Access(cluster.host.url), timeout=5) as host:
        hook = Webhook(host, lambda: dataclasses.replace(cluster.scope, now=time.time()), served)
        for asked in (
            request(a_service()),
            request(a_service(), dryRun=True),
            request(a_service("taken", clusterIP="10.43.7.7")),
            request(a_service("outside", externalIPs=["192.0.2.1"])),
        ):
            await hook.review(asked)
        cluster.host.down = True
        await hook.review(request(a_service("later")))
    told = metrics.registry.get_sample_value
    for result in ("allotted", "unchanged", "denied", "refused", "failed"):
        assert told("vcp_syncer_served_total", {"endpoint": "webhook", "result": result}) == 1, result
    assert told("vcp_syncer_served_seconds_count", {"endpoint": "webhook"}) == 5


async def test_two_families_on_a_host_of_one_are_refused_by_the_tenants_own_server(cluster: Cluster) -> None:
    """Both have the host's ranges, so the tenant's API server has the same to say, and says it itself."""
    words = "spec.ipFamilyPolicy: Invalid value: this cluster is not configured for dual-stack services"
    cluster.host.fail_next("POST", 422, "Invalid", message=words)
    async with webhook(cluster) as hook:
        answer = await hook.review(request(a_service(ipFamilyPolicy="RequireDualStack")))
    assert answer == {"uid": "r-1", "allowed": True}
    assert cluster.on_host("services", "web") is None


async def test_a_host_that_is_away_lets_services_in(cluster: Cluster) -> None:
    cluster.host.down = True
    async with webhook(cluster) as hook:
        assert await hook.review(request(a_service())) == {"uid": "r-1", "allowed": True}


async def test_it_is_served_with_the_certificate_of_the_tenants_authority(
    cluster: Cluster, tmp_path: Path
) -> None:
    spec = load("name: acme")
    files = pki.renew({}, pki.request(spec), datetime.now(UTC)).files
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    def shown(client: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(tmp_path / "server-ca.crt"))
        if client:
            context.load_cert_chain(tmp_path / f"{client}.crt", tmp_path / f"{client}.key")
        return context

    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request(a_service())}
    with socket.create_server(("", 0)) as one:
        port = one.getsockname()[1]
    async with (
        webhook(cluster) as hook,
        serving(port, tmp_path, hook),
        aiohttp.ClientSession() as session,
    ):
        url = f"https://127.0.0.1:{port}/services"
        for stranger in ("", "admin", "syncer", "controller-manager", "dns", "front-proxy"):
            if stranger and not (tmp_path / f"{stranger}.crt").exists():
                continue
            with pytest.raises(aiohttp.ClientError):
                await session.post(
                    url, json=review, ssl=shown(stranger), server_hostname="syncer.vcp-acme.svc"
                )
        assert cluster.on_host("services", "web") is None
        named = {"ssl": shown("kubelet-client"), "server_hostname": "syncer.vcp-acme.svc"}
        async with session.post(url, json=review, **named) as response:
            answer = await response.json()
        assert answer["kind"] == "AdmissionReview"
        assert answer["response"]["uid"] == "r-1"
        assert "10.43.1.0" in base64.b64decode(answer["response"]["patch"]).decode()
        for body in (b"", b"[]", b"{}", b'{"request": {}}'):
            async with session.post(url, data=body, **named) as response:
                assert response.status == 400


async def test_a_renewed_certificate_is_served_without_a_restart(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "_RELOAD_EVERY", 0.05)
    with socket.create_server(("", 0)) as one:
        port = one.getsockname()[1]

    def issue() -> bytes:
        files = pki.renew({}, pki.request(load("name: acme")), datetime.now(UTC)).files
        for name in ("kubelet-client-ca.crt", "syncer-serving.key", "syncer-serving.crt"):
            (tmp_path / name).write_bytes(files[name])
        return ssl.PEM_cert_to_DER_cert(files["syncer-serving.crt"].decode())

    async def shown() -> bytes:
        any_ = ssl.create_default_context()
        any_.check_hostname, any_.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=any_)
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return certificate

    first = issue()
    async with webhook(cluster) as hook, serving(port, tmp_path, hook):
        assert await shown() == first
        second = issue()
        for _ in range(100):
            if await shown() == second:
                return
            await asyncio.sleep(0.05)
    raise AssertionError("still the old certificate")


async def test_the_registration_comes_back_as_it_was(cluster: Cluster) -> None:
    cluster = dataclasses.replace(cluster, scope=dataclasses.replace(cluster.scope, webhook_ca="Q0E="))
    cluster.tenant.put(
        "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    )

    def registered() -> Obj:
        found = cluster.tenant.find("mutatingwebhookconfigurations", "vcp-services")
        assert found
        hook: Obj = found["webhooks"][0]
        return hook

    async with cluster.syncer():
        await eventually(lambda: registered()["clientConfig"]["caBundle"] == "Q0E=")
        wanted = registered()
        cluster.tenant.remove("mutatingwebhookconfigurations", "vcp-services")
        await eventually(registered)
        found = cluster.tenant.find("mutatingwebhookconfigurations", "vcp-services") or {}
        cluster.tenant.put(
            "mutatingwebhookconfigurations", found | {"webhooks": [wanted | {"failurePolicy": "Fail"}]}
        )
        await eventually(lambda: registered() == wanted)
