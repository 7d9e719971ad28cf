"""What create asks and does on a host, step by step."""

from typing import Any

import pytest
from aiohttp import web
from fakeapi import FakeApi, Key, Obj, StatusError
from hostcli import labelled, pod, workload

from kube.client import Client
from vcp import render
from vcp import spec as specs
from vcp.errors import DeadlineError, RefusedError
from vcp.provision import applying, facts, permissions, waiting

SPEC = specs.load({"name": "a"})


@pytest.fixture
def version(api: FakeApi) -> None:
    api.routes["/version"] = lambda _: web.json_response({"gitVersion": "v1.36.3"})


def service_cidr(*cidrs: str) -> dict[str, Any]:
    return {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": list(cidrs)}}


@pytest.mark.usefixtures("version")
async def test_facts_come_from_the_hosts_objects(api: FakeApi, client: Client) -> None:
    api.put("servicecidrs", service_cidr("10.43.0.0/16", "fd00::/108"))
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    api.put("storageclasses", {"metadata": {"name": "fast"}})
    api.put("storageclasses", {"metadata": {"name": "std", "annotations": default}})
    service = {"kubernetes.io/service-name": "kubernetes"}
    own = {"metadata": {"name": "kubernetes", "namespace": "default", "labels": service}}
    api.put(
        "endpointslices", own | {"endpoints": [{"addresses": ["172.30.0.10"]}], "ports": [{"port": 6443}]}
    )
    api.put("namespaces", namespace("vcp-a"))
    api.put("namespaces", namespace("vcp-a-work", **{"vcp.dev/made-namespace": "true"}))
    found = await facts.survey(client, SPEC)
    assert found.facts == render.Facts(
        service_cidr="10.43.0.0/16,fd00::/108",
        host_api_addresses=("172.30.0.10",),
        host_api_ports=(6443,),
        foreign_namespaces=frozenset({"vcp-a"}),
        host_version="v1.36.3",
    )
    assert found.storage_classes == {"fast": False, "std": True}


async def test_an_old_host_tells_its_service_cidr_by_refusing(api: FakeApi, client: Client) -> None:
    text = "the provided IP (203.0.113.1) is not in the valid range. The range of valid IPs is 10.96.0.0/12"

    def refuse(_: web.Request) -> web.Response:
        return web.json_response(StatusError(422, "Invalid", text).body, status=422)

    api.routes["/api/v1/namespaces/default/services"] = refuse
    spec = specs.load({"name": "a"})
    assert await facts.service_cidr(client, spec) == "10.96.0.0/12"
    del api.routes["/api/v1/namespaces/default/services"]
    named = specs.load({"name": "a", "serviceCidr": "10.0.0.0/24"})
    assert await facts.service_cidr(client, named) == "10.0.0.0/24"
    assert not await facts.service_cidr(client, spec)
    with pytest.raises(RefusedError, match="service CIDR"):
        facts.check_service_cidr(facts.Survey(render.Facts(service_cidr=""), None, {}))


@pytest.mark.parametrize(
    ("classes", "storage", "refused"),
    [
        (None, {}, False),
        ({"a": True}, {}, False),
        ({"a": False}, {"class": "a"}, False),
        ({"a": False}, {}, True),
        ({"a": True}, {"class": "b"}, True),
        ({}, {}, True),
        ({}, {"ephemeral": True}, False),
    ],
)
def test_storage_that_would_wait_for_ever_is_refused(
    classes: dict[str, bool] | None, storage: dict[str, Any], refused: bool
) -> None:
    survey = facts.Survey(render.Facts(service_cidr="10.0.0.0/8"), classes, {})
    spec = specs.load({"name": "a", "storage": storage})
    if not refused:
        facts.check_storage(survey, spec)
        return
    with pytest.raises(RefusedError):
        facts.check_storage(survey, spec)


async def test_missing_permissions_are_listed_exactly(api: FakeApi, client: Client) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "ns"}}
    wanted = permissions.needs([secret], "ns")
    await permissions.check(client, wanted)
    api.denied |= {("create", "secrets"), ("patch", "secrets"), ("watch", "pods")}
    with pytest.raises(RefusedError) as caught:
        await permissions.check(client, wanted)
    assert caught.value.message.splitlines()[1:] == [
        "  watch pods in namespace ns",
        "  create, patch secrets in namespace ns",
    ]


async def test_a_role_takes_having_its_rights_or_the_leave_to_grant_any(api: FakeApi, client: Client) -> None:
    rule = {"apiGroups": [""], "resources": ["pods", "pods/status"], "verbs": ["patch", "update"]}
    lease = {"apiGroups": ["x"], "resources": ["leases"], "resourceNames": ["a"], "verbs": ["get"]}
    meta = {"name": "a", "namespace": "ns"}
    version = "rbac.authorization.k8s.io/v1"
    role = {"apiVersion": version, "kind": "Role", "metadata": meta, "rules": [rule, lease]}
    wanted = permissions.needs([role], "ns")
    api.denied |= {("update", "pods"), ("patch", "pods"), ("get", "leases")}
    await permissions.check(client, wanted)
    for leave in ("bind", "escalate"):
        api.denied.add((leave, "roles"))
        with pytest.raises(RefusedError) as caught:
            await permissions.check(client, wanted)
        assert caught.value.message.splitlines()[1:] == [
            "  patch, update pods in namespace ns",
            "  patch, update pods/status in namespace ns",
            "  get leases.x a in namespace ns",
        ]
        api.denied.remove((leave, "roles"))


async def test_applying_tells_what_it_changed(client: Client) -> None:
    objects = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "ns"}, "data": {}}
        for name in ("a", "b")
    ]
    assert await applying.apply_all(client, objects) == ["created", "created"]
    objects[0]["data"] = {"x": "1"}
    assert await applying.apply_all(client, objects) == ["changed", "unchanged"]


async def test_a_fresh_namespace_is_not_asked_what_it_holds(api: FakeApi, client: Client) -> None:
    meta = {"name": "a", "namespace": "ns"}
    inside = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {}}
    outside = namespace("ns")
    assert await applying.apply_all(client, [outside], fresh=True) == ["created"]
    assert await applying.apply_all(client, [inside, outside], fresh=True) == ["created", "unchanged"]
    assert [request.split()[0] for request in api.requests if "configmaps" in request] == ["PATCH"]


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


async def test_namespaces_are_made_marked_and_taken_again(api: FakeApi, client: Client) -> None:
    mark = {"vcp.dev/made-namespace": "true"}
    wanted = namespace("vcp-a", **labelled("a"), **mark)
    assert await applying.ensure_namespace(client, wanted, "a", named_by_user=False) == "created"
    made = api.find("namespaces", "vcp-a")
    assert made
    assert made["metadata"]["labels"] == labelled("a") | mark
    assert await applying.ensure_namespace(client, wanted, "a", named_by_user=False) == "unchanged"


@pytest.mark.parametrize(
    ("labels", "named", "refusal"),
    [({}, False, "is not this tenant's"), (labelled("b"), True, "belongs to tenant 'b'"), ({}, True, "")],
)
async def test_a_namespace_of_somebody_else_is_refused(
    api: FakeApi, client: Client, labels: dict[str, str], named: bool, refusal: str
) -> None:
    api.put("namespaces", namespace("vcp-a", **labels))
    wanted = namespace("vcp-a", **labelled("a"))
    if not refusal:
        assert await applying.ensure_namespace(client, wanted, "a", named_by_user=named) == "changed"
        return
    with pytest.raises(RefusedError, match=refusal):
        await applying.ensure_namespace(client, wanted, "a", named_by_user=named)


async def test_a_user_who_may_not_make_namespaces_is_told_what_to_do(api: FakeApi, client: Client) -> None:
    api.denied.add(("create", "namespaces"))
    with pytest.raises(RefusedError, match="does not exist and you may not make it"):
        await applying.ensure_namespace(client, namespace("vcp-a", **labelled("a")), "a", named_by_user=False)


class Recorder:
    """Progress that only remembers why it waited."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def waiting(self, why: str) -> None:
        self.reasons.append(why)


async def test_waiting_ends_when_every_workload_is_rolled_out(api: FakeApi, client: Client) -> None:
    api.put("statefulsets", workload("etcd", "ns", "a"))
    api.put("deployments", workload("api", "ns", "a", ready=0))
    api.put("pods", pod("api-0", "ns", "a", "api") | {"status": {"phase": "Pending"}})

    class Answer(Recorder):
        def waiting(self, why: str) -> None:
            super().waiting(why)
            api.put("deployments", workload("api", "ns", "a"))

    progress = Answer()
    both = [("StatefulSet", "etcd"), ("Deployment", "api")]
    await waiting.until_ready(client, "ns", both, 5, progress)  # type: ignore[arg-type]
    assert set(progress.reasons) == {"api-0 is Pending"}


async def test_waiting_goes_on_while_a_replica_of_the_old_template_serves(
    api: FakeApi, client: Client
) -> None:
    """The old replica is ready in place of the new one, and both are counted."""
    rolling = workload("api", "ns", "a")
    rolling["status"]["replicas"] = 2
    api.put("deployments", rolling)
    with pytest.raises(DeadlineError, match="api 1 of the old template left"):
        await waiting.until_ready(client, "ns", [("Deployment", "api")], 0.1, Recorder())  # type: ignore[arg-type]
    rolling["status"]["replicas"] = 1
    api.put("deployments", rolling)
    await waiting.until_ready(client, "ns", [("Deployment", "api")], 5, Recorder())  # type: ignore[arg-type]


async def test_waiting_in_vain_says_why(api: FakeApi, client: Client) -> None:
    api.put("pods", pod("api-0", "ns", "a", "api") | {"status": {"phase": "Pending"}})
    with pytest.raises(DeadlineError, match=r"it waits because\n  api-0 is Pending"):
        await waiting.until_ready(client, "ns", [("Deployment", "api")], 0.1, Recorder())  # type: ignore[arg-type]
    api.remove("pods", "api-0", "ns")
    with pytest.raises(DeadlineError, match="api is not there"):
        await waiting.until_ready(client, "ns", [("Deployment", "api")], 0.1, Recorder())  # type: ignore[arg-type]


async def test_a_binding_comes_after_its_role_and_outcomes_in_the_order_of_the_objects(
    api: FakeApi, client: Client
) -> None:
    """Who may not bind any role is told NotFound for a binding to a role that is not there yet."""

    def admit(key: Key, obj: Obj) -> None:
        if key.plural == "rolebindings" and not api.find("roles", obj["roleRef"]["name"], key.namespace):
            raise StatusError(404, "NotFound", "no such role")

    api.admission.append(admit)
    head = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    meta = {"name": "r", "namespace": "a"}
    role = head | {"kind": "Role", "metadata": meta, "rules": []}
    binding = head | {"kind": "RoleBinding", "metadata": meta, "roleRef": {"name": "r"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}, "data": {}}
    assert await applying.apply_all(client, [binding, secret, role]) == ["created"] * 3
    api.remove("roles", "r", "a")
    outcomes = await applying.apply_all(client, [binding, secret, role])
    assert outcomes == ["unchanged", "unchanged", "created"]
