"""`default/kubernetes` and `kube-system/kube-dns` of a tenant: made, moved, repaired, settled."""

from typing import Any

import pytest

from kube.objects import Key, Obj
from syncer.core.actions import Action, Create, Patch
from syncer.kinds.services import builtin
from syncer.kinds.services.endpoints import Endpoints
from syncer.kinds.services.endpointslices import EndpointSlices
from syncer.kinds.services.services import Services
from tests.pod_scope import SCOPE, WHOLE

ADDRESSES = {builtin.KUBERNETES: "10.43.0.10", builtin.KUBE_DNS: "10.43.0.11", builtin.METRICS: "10.43.0.12"}


def plan(key: Key, tenant: Obj | None) -> list[Action]:
    return Services().plan(key, tenant, None, WHOLE)


def made(key: Key, **spec: Any) -> Obj:
    (action,) = plan(key, None)
    assert isinstance(action, Create)
    stored = action.obj["spec"] | {"clusterIPs": [action.obj["spec"]["clusterIP"]]} | spec
    return {**action.obj, "metadata": {**action.obj["metadata"], "uid": "u"}, "spec": stored}


@pytest.mark.parametrize("key", sorted(builtin.KEYS))
def test_it_is_made_once_and_settled(key: Key) -> None:
    assert made(key)["spec"]["clusterIP"] == ADDRESSES[key]
    assert "selector" not in made(key)["spec"]
    assert plan(key, made(key)) == []
    assert Services().plan(key, None, None, SCOPE) == []  # no address is known


@pytest.mark.parametrize("key", sorted(builtin.KEYS))
def test_another_address_is_changed_by_two_patches(key: Key) -> None:
    first, second = plan(key, made(key, clusterIP="10.43.0.1", clusterIPs=["10.43.0.1"]))
    assert isinstance(first, Patch)
    assert isinstance(second, Patch)
    assert first.body["spec"]["type"] == "ExternalName"
    assert second.body["spec"]["type"] == "ClusterIP"
    assert second.body["spec"]["clusterIP"] == ADDRESSES[key]
    assert second.body["spec"]["externalName"] is None
    between = made(key, type="ExternalName", externalName=first.body["spec"]["externalName"])
    del between["spec"]["clusterIP"], between["spec"]["clusterIPs"]
    assert plan(key, between) == [second]


@pytest.mark.parametrize(
    "edit",
    [{"selector": {"app": "mine"}}, {"type": "NodePort"}, {"ports": []}, {"externalIPs": ["192.0.2.1"]}],
)
def test_an_edit_is_taken_back(edit: dict[str, Any]) -> None:
    (action,) = plan(builtin.KUBE_DNS, made(builtin.KUBE_DNS, **edit))
    assert isinstance(action, Patch)
    assert set(action.body["spec"]) == set(edit)


@pytest.mark.parametrize("key", sorted(builtin.KEYS))
def test_its_slice_has_its_address(key: Key) -> None:
    (action,) = EndpointSlices().plan(key, None, None, WHOLE)
    assert isinstance(action, Create)
    assert action.obj["endpoints"][0]["addresses"] == [ADDRESSES[key]]
    assert action.obj["metadata"]["labels"]["kubernetes.io/service-name"] == key.name
    stored = {**action.obj, "metadata": {**action.obj["metadata"], "uid": "u"}}
    assert EndpointSlices().plan(key, stored, None, WHOLE) == []
    (repair,) = EndpointSlices().plan(key, {**stored, "endpoints": []}, None, WHOLE)
    assert isinstance(repair, Patch)
    assert set(repair.body) == {"endpoints"}


@pytest.mark.parametrize("key", sorted(builtin.KEYS))
def test_its_endpoints_say_what_its_slice_says(key: Key) -> None:
    (action,) = Endpoints().plan(key, None, None, WHOLE)
    (of_slice,) = EndpointSlices().plan(key, None, None, WHOLE)
    assert isinstance(action, Create)
    assert isinstance(of_slice, Create)
    (subset,) = action.obj["subsets"]
    assert [one["ip"] for one in subset["addresses"]] == of_slice.obj["endpoints"][0]["addresses"]
    assert subset["ports"] == of_slice.obj["ports"]
    # Else the tenant's controllers would make a second slice of it.
    assert action.obj["metadata"]["labels"] == {"endpointslice.kubernetes.io/skip-mirror": "true"}
    assert Endpoints().plan(key, None, None, SCOPE) == []  # no address is known
    stored = {**action.obj, "metadata": {**action.obj["metadata"], "uid": "u"}}
    reordered = {**subset, "ports": subset["ports"][::-1]}  # as the API server may
    assert Endpoints().plan(key, {**stored, "subsets": [reordered]}, None, WHOLE) == []
    (repair,) = Endpoints().plan(key, {**stored, "subsets": None}, None, WHOLE)
    assert isinstance(repair, Patch)
    assert repair.body == {"subsets": [subset]}
    unlabelled = {**stored, "metadata": {**stored["metadata"], "labels": {}}}
    (repair,) = Endpoints().plan(key, unlabelled, None, WHOLE)
    assert isinstance(repair, Patch)
    assert set(repair.body) == {"metadata"}
