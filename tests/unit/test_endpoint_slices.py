"""Which EndpointSlices of a tenant reach the host, and what of them."""

import dataclasses
from typing import Any

import pytest

from kube import apis
from kube.objects import Key, Obj
from syncer.core.actions import Create, Delete, Patch, Report
from syncer.core.policy import Network
from syncer.core.scope import Scope
from syncer.kinds.services.endpointslices import EndpointSlices
from tests.pod_scope import Objects, scope

KEY = Key("shop", "db-1")
WORLD = Network(allow=("0.0.0.0/0", "::/0", "10.20.0.0/16"), deny=("10.0.0.0/8", "fc00::/7"))


class Host(Objects):
    """Files pods by their address."""

    def indexed(self, api: Any, index: str, value: Any) -> Any:
        assert index == "address"
        return [pod for pod in super().indexed(api, "all", "") if pod["status"]["podIP"] == value]


def a_service(**spec: Any) -> Obj:
    meta = {"name": "db", "namespace": "shop", "uid": "s"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {"type": "ClusterIP", "clusterIP": "10.43.0.7"} | spec,
    }


def a_slice(*addresses: str, kind: str = "IPv4", **endpoint: Any) -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "db-1",
            "namespace": "shop",
            "uid": "e",
            "labels": {"kubernetes.io/service-name": "db", "other": "label"},
        },
        "addressType": kind,
        "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], **endpoint} for address in addresses],
    }


def host_pod(name: Key, address: str, within: Scope) -> Obj:
    key = within.host_key(name)
    meta = {"name": key.name, "namespace": key.namespace, "uid": "host-uid"}
    spec = {"nodeName": "node-1"}
    status = {"podIP": address}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}


def a_scope(service: Obj | None = None) -> Scope:
    made = scope(service or a_service(), network=WORLD)
    return dataclasses.replace(made, host=Host([host_pod(Key("shop", "db-0"), "10.42.1.5", made)]))


def outcome(one: Obj, service: Obj | None = None) -> tuple[list[str], str]:
    """The addresses on the host, and what the tenant is told."""
    plan = EndpointSlices().plan(KEY, one, None, a_scope(service))
    created = [action.obj for action in plan if isinstance(action, Create)]
    told = [action.message for action in plan if isinstance(action, Report)]
    endpoints = [endpoint for obj in created for endpoint in obj["endpoints"]]
    return [address for endpoint in endpoints for address in endpoint["addresses"]], "; ".join(told)


@pytest.mark.parametrize("address", ["192.0.2.1", "10.20.3.4", "10.42.1.5"])
def test_the_world_what_is_allowed_and_own_pods_pass(address: str) -> None:
    assert outcome(a_slice(address)) == ([address], "")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("0.0.0.0", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("10.42.1.6", "none of the tenant's own pods"),
        ("10.43.0.1", "none of the tenant's own pods"),
        ("::ffff:10.42.1.6", "none of the tenant's own pods"),
        ("fd00::7", "none of the tenant's own pods"),
        ("example", "not an IP address"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b::10.42.1.6", "none of the tenant's own pods"),
        ("64:ff9b:1::10.42.1.6", "none of the tenant's own pods"),
        ("2002:a2a:106::1", "none of the tenant's own pods"),
        ("2002:7f00:1::1", "loopback"),
        ("::10.42.1.6", "none of the tenant's own pods"),
        ("::ffff:0:10.42.1.6", "none of the tenant's own pods"),
        ("2001:0:a2a:106::f5d5:fef9", "none of the tenant's own pods"),
    ],
)
def test_what_must_not_be_dialled_is_left_out_and_told(address: str, reason: str) -> None:
    addresses, told = outcome(a_slice("192.0.2.1", address))
    assert addresses == ["192.0.2.1"]
    assert reason in told
    assert "endpoints[1].addresses[0]" in told


def test_without_knowing_the_world_only_own_pods_pass() -> None:
    made = dataclasses.replace(a_scope(), network=Network())
    plan = EndpointSlices().plan(KEY, a_slice("192.0.2.1", "10.42.1.5"), None, made)
    assert isinstance(plan[0], Create)
    assert [one["addresses"] for one in plan[0].obj["endpoints"]] == [["10.42.1.5"]]


def test_names_labels_and_targets_are_the_hosts() -> None:
    target = {"kind": "Pod", "name": "db-0", "namespace": "shop", "uid": "tenant-uid"}
    one = a_slice("10.42.1.5", targetRef=target, nodeName="elsewhere", zone="z", conditions={"ready": True})
    made = a_scope()
    (action,) = EndpointSlices().plan(KEY, one, None, made)
    assert isinstance(action, Create)
    metadata = action.obj["metadata"]
    assert metadata["labels"] == {
        "kubernetes.io/service-name": made.host_key(Key("shop", "db")).name,
        "endpointslice.kubernetes.io/managed-by": "syncer.vcp.dev",
        "vcp.dev/tenant": "tenant-a",
        "vcp.dev/namespace": "shop",
    }
    name = made.host_key(Key("shop", "db-0")).name
    assert action.obj["endpoints"] == [
        {
            "addresses": ["10.42.1.5"],
            "conditions": {"ready": True},
            "nodeName": "node-1",
            "targetRef": {"kind": "Pod", "namespace": made.namespace, "name": name, "uid": "host-uid"},
        }
    ]


def test_a_target_that_is_not_at_the_address_is_dropped() -> None:
    target = {"kind": "Pod", "name": "web-7", "namespace": "shop"}
    (action,) = EndpointSlices().plan(KEY, a_slice("10.42.1.5", targetRef=target), None, a_scope())
    assert isinstance(action, Create)
    assert "targetRef" not in action.obj["endpoints"][0]


@pytest.mark.parametrize(
    "service",
    [
        a_service(selector={"app": "db"}),
        a_service(type="ExternalName", externalName="example.com"),
        {**a_service(), "metadata": {"name": "other", "namespace": "shop"}},
    ],
    ids=["a selector", "an external name", "no such Service"],
)
def test_slices_of_other_services_stay_in_the_tenant(service: Obj) -> None:
    assert outcome(a_slice("192.0.2.1"), service) == ([], "")


def test_names_stay_in_the_tenant() -> None:
    assert outcome(a_slice("db.example.com", kind="FQDN")) == ([], "")


def test_a_selector_that_is_added_removes_the_hosts_slice() -> None:
    one, made = a_slice("192.0.2.1"), a_scope()
    (created,) = EndpointSlices().plan(KEY, one, None, made)
    assert isinstance(created, Create)
    host = {**created.obj, "metadata": {**created.obj["metadata"], "uid": "h"}}
    assert EndpointSlices().plan(KEY, one, host, made) == []
    (action,) = EndpointSlices().plan(KEY, one, host, a_scope(a_service(selector={"app": "db"})))
    assert action == Delete("host", apis.ENDPOINT_SLICES, made.host_key(KEY), "h")


def test_a_pod_that_has_gone_takes_its_address_with_it() -> None:
    """It may be another tenant's next."""
    one, made = a_slice("10.42.1.5"), a_scope()
    (created,) = EndpointSlices().plan(KEY, one, None, made)
    assert isinstance(created, Create)
    host = {**created.obj, "metadata": {**created.obj["metadata"], "uid": "h"}}
    patch, told = EndpointSlices().plan(KEY, one, host, dataclasses.replace(made, host=Host()))
    assert isinstance(patch, Patch)
    assert patch.body == {"endpoints": []}
    assert isinstance(told, Report)
