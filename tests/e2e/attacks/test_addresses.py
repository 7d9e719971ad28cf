"""Addresses that a tenant's Services, slices and webhooks would lead to, were they believed."""

import json
from typing import Any

import pytest

from ..conftest import eventually
from ..objects import pod, service
from ..workloads.conftest import Place

ELSEWHERE = (
    "169.254.169.254",
    "127.0.0.2",
    "10.43.0.1",
    "240.0.0.1",
    "0.0.0.0",
    "224.0.0.1",
)
WITHIN_SIX = (
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::ffff:169.254.169.254",
    "fe80::1",
    "fd00::1",
)


def slice_of(name: str, family: str, addresses: tuple[str, ...]) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "lured"}},
        "addressType": family,
        "endpoints": [{"addresses": [address]} for address in addresses],
        "ports": [{"name": "http", "port": 80}],
    }


def on_host(place: Place, kind: str) -> list[dict[str, Any]]:
    """The host's objects of a kind for this namespace."""
    marks = f"vcp.dev/tenant={place.tenant.name},vcp.dev/namespace={place.namespace}"
    found: list[dict[str, Any]] = place.lab.get("-n", place.tenant.work, kind, "-l", marks)["items"]
    return found


@pytest.mark.parametrize("address", [*ELSEWHERE, *WITHIN_SIX])
def test_no_slice_leads_there(place: Place, address: str) -> None:
    """Some of these the tenant's own API server refuses."""
    family = "IPv6" if ":" in address else "IPv4"
    lured = {**service("lured"), "spec": {"ports": [{"name": "http", "port": 80}]}}
    place.apply(lured)
    made = slice_of("there", family, (address,))
    place.kubectl("apply", "-f", "-", stdin=json.dumps(made), check=False)
    place.apply(slice_of("here", "IPv4", ("192.0.2.1",)))
    eventually("the harmless one", lambda: "192.0.2.1" in json.dumps(on_host(place, "endpointslices")))
    assert address not in json.dumps(on_host(place, "endpointslices"))


def test_no_service_takes_an_address_or_a_name_that_is_not_the_tenants(place: Place) -> None:
    greedy = service("greedy", externalIPs=["10.43.0.1"])
    outside = {
        **service("outside"),
        "spec": {"type": "ExternalName", "externalName": "kubernetes.default.svc"},
    }
    labelled = service("labelled")
    labelled["metadata"]["annotations"] = {"service.beta.kubernetes.io/aws-load-balancer-internal": "false"}
    labelled["metadata"]["labels"] = {"k8s-app": "kube-dns"}
    place.apply(greedy, outside, labelled)
    told = eventually("a refusal", lambda: place.events("greedy", "Refused"))
    assert "spec.externalIPs" in told[0]
    found = eventually("the harmless one", lambda: on_host(place, "services"))
    (one,) = found
    assert one["metadata"]["annotations"]["vcp.dev/name"] == "labelled"
    assert "k8s-app" not in one["metadata"]["labels"]
    assert not [key for key in one["metadata"]["annotations"] if "aws" in key]


def test_a_selector_of_every_pod_finds_the_namespaces_own(place: Place) -> None:
    """Not those of other tenants, nor those of the control plane."""
    place.apply(pod("mine", "sleep", "3600"), service("all", selector={"vcp.dev/component": "api"}))
    place.apply(service("plain", selector={"app": "mine"}))
    place.wait("--for=condition=Ready", "pod/mine")
    address = (place.pod("mine") or {})["status"]["podIP"]

    def addresses(name: str) -> set[str]:
        found = place.get("endpointslices", "-l", f"kubernetes.io/service-name={name}")["items"]
        return {one for each in found for end in each["endpoints"] or () for one in end["addresses"]}

    eventually("its own pod", lambda: addresses("plain") == {address})
    assert addresses("all") == set()
    for host in on_host(place, "services"):
        assert host["spec"]["selector"]["vcp.dev/tenant"] == place.tenant.name
        assert host["spec"]["selector"]["vcp.dev/namespace"] == place.namespace
