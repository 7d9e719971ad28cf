"""A kind that is only declared, as YAML, is translated both ways like one with code."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
import yaml

from kube.apis import ApiResource
from kube.objects import Key, Obj
from syncer.core import podselectors
from syncer.core.actions import Create, Ensure, Patch
from syncer.core.declaration import Declaration
from syncer.core.kind import Item, Kinds, Mirror
from syncer.core.policy import Services as ServicePolicy
from syncer.core.policy import Sync
from syncer.core.refusal import Refused
from syncer.kinds.configmaps import ConfigMaps
from syncer.kinds.namespaces import Namespaces
from syncer.kinds.pods.pods import Pods
from syncer.kinds.secrets import Secrets
from tests.pod_scope import SCOPE
from tests.worlds import World, active

API = ApiResource("example.com", "v1", "gates", "Gate")
WRITTEN = """
owned: { tenant: [spec], host: [status] }
references:
  spec.tls[].secretName: secrets
  spec.settings: configmaps
selectors: [spec.podSelector, spec.labels]
refused:
  spec.address: { reason: "is the host's to choose", allow: sync.services.loadBalancerIps }
  spec.class: { reason: is not open to tenants, allow: sync.services.loadBalancerClasses }
  spec.privileged: { reason: is the host's own affair }
"""
DECLARED = msgspec.convert(yaml.safe_load(WRITTEN), Declaration)
GATE: Obj = {
    "apiVersion": "example.com/v1",
    "kind": "Gate",
    "metadata": {"name": "front", "namespace": "shop", "uid": "tenant-gate", "labels": {"a": "b"}},
    "spec": {
        "tls": [{"secretName": "cert", "hosts": ["example.com"]}],
        "settings": "settings",
        "podSelector": {"matchLabels": {"app": "web"}, "matchExpressions": []},
        "labels": {"app": "web", "vcp.dev/tenant": "tenant-b"},
        "size": 3,
    },
}
STORED: tuple[Obj, ...] = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cert", "namespace": "shop"}, "data": {}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other", "namespace": "shop"}, "data": {}},
)


def world(gate: Obj = GATE, sync: Sync = Sync()) -> World:  # noqa: B008
    kinds = Kinds(Namespaces(), Mirror(API, DECLARED), ConfigMaps(), Secrets(), Pods())
    return World(replace(SCOPE, sync=sync), (*STORED, gate), (), kinds=kinds)


def changed(**spec: Any) -> Obj:
    return GATE | {"spec": GATE["spec"] | spec}


def created(in_world: World) -> Obj:
    *needed, action = in_world.plan(Item("gates", Key("shop", "front")))
    assert all(isinstance(one, Ensure) for one in needed)
    assert isinstance(action, Create)
    return dict(action.obj)


def test_the_tenants_fields_reach_the_host_in_its_terms() -> None:
    host = created(world())
    marks = {"vcp.dev/tenant": "tenant-a", "vcp.dev/namespace": "shop"}
    assert host["metadata"]["labels"] == marks
    assert host["spec"] == {
        "tls": [{"secretName": SCOPE.host_key(Key("shop", "cert")).name, "hosts": ["example.com"]}],
        "settings": SCOPE.host_key(Key("shop", "settings")).name,
        "podSelector": {"matchLabels": {"app": "web", **marks}},
        "labels": {"app": "web", **marks},
        "size": 3,
    }


def test_what_it_refers_to_is_on_the_host_as_long_as_it_does() -> None:
    there = world()
    there.settle()
    kept = {obj["metadata"]["name"] for obj in there.objects("host") if obj["kind"] == "Secret"}
    assert kept == {SCOPE.host_key(Key("shop", "cert")).name}
    before = there.get("tenant", API, Key("shop", "front"))
    assert before is not None
    after = there.put("tenant", before | {"spec": {"settings": "settings"}})
    kind = there.kinds["gates"]
    assert Item("secrets", Key("shop", "cert")) in there.registry.affected(
        kind, "tenant", before, after, there.scope
    )
    there.settle()
    assert not [obj for obj in there.objects("host") if obj["kind"] == "Secret"]


def test_the_hosts_fields_come_back_in_the_tenants_words() -> None:
    there = world()
    there.settle()
    key = SCOPE.host_key(Key("shop", "front"))
    host = there.get("host", API, key)
    assert host is not None
    secret = SCOPE.host_key(Key("shop", "cert")).name
    told = {"ready": True, "conditions": [{"message": f"{key.namespace}/{key.name} uses {secret}"}]}
    there.put("host", host | {"status": told})
    (action,) = active(there.plan(Item("gates", Key("shop", "front"))))
    assert isinstance(action, Patch)
    assert (action.side, action.subresource) == ("tenant", "status")
    words = {"ready": True, "conditions": [{"message": "shop/front uses cert"}]}
    assert action.body == {"status": words}


def test_a_change_of_the_tenant_follows() -> None:
    there = world()
    there.settle()
    before = there.get("tenant", API, Key("shop", "front"))
    assert before is not None
    there.put("tenant", before | {"spec": {"size": 4}})
    (action,) = active(there.plan(Item("gates", Key("shop", "front"))))
    assert isinstance(action, Patch)
    assert action.side == "host"
    assert action.body["spec"]["size"] == 4
    assert action.body["spec"]["tls"] is None


BALANCER = "(allowed by sync.services.loadBalancerIps of the tenant's spec)"
CLASSES = "(allowed by sync.services.loadBalancerClasses of the tenant's spec)"
IRON = {"load_balancer_classes": ("iron",)}


@pytest.mark.parametrize(
    ("spec", "policy", "problem"),
    [
        ({"privileged": True}, {}, "spec.privileged: is the host's own affair"),
        ({"address": "192.0.2.1"}, {}, f"spec.address: is the host's to choose {BALANCER}"),
        ({"class": "gold"}, IRON, f"spec.class: gold is not open to tenants {CLASSES}"),
        ({"tls": {"secretName": "vcp-anchor"}}, {}, "spec.tls: is not what this kind has there"),
        ({"settings": {"name": "x"}}, {}, "spec.settings: does not hold a name"),
        ({"podSelector": "x"}, {}, "spec.podSelector: does not hold a selector"),
    ],
)
def test_what_is_refused_is_named_with_what_would_allow_it(spec: Obj, policy: Obj, problem: str) -> None:
    found = world(changed(**spec), Sync(services=ServicePolicy(**policy)))
    with pytest.raises(Refused) as refused:
        found.plan(Item("gates", Key("shop", "front")))
    assert str(refused.value.problems[0]) == problem


@pytest.mark.parametrize(
    ("spec", "policy"),
    [
        ({"address": "192.0.2.1"}, {"load_balancer_ips": True}),
        ({"class": "iron"}, IRON),
        ({"privileged": False}, {}),
    ],
)
def test_what_the_policy_allows_reaches_the_host(spec: Obj, policy: Obj) -> None:
    host = created(world(changed(**spec), Sync(services=ServicePolicy(**policy))))
    assert host["spec"].items() >= spec.items()


def test_an_empty_selector_of_a_tenant_is_narrowed_too() -> None:
    """To an API server it selects everything: on the host, the pods of all namespaces and tenants there."""
    marks = {"vcp.dev/tenant": "tenant-a", "vcp.dev/namespace": "shop"}
    assert created(world(changed(podSelector={})))["spec"]["podSelector"] == {"matchLabels": marks}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("references: { 'spec..name': secrets }", "is not a path"),
        ("reference: {}", "unknown field"),
        ("owned: { nobody: [spec] }", "unknown field"),
        ("refused: { spec.a: { allow: sync.pods.nodeNames } }", "missing required field `reason`"),
        ("selectors: spec.selector", "Expected `array`"),
    ],
)
def test_a_declaration_with_a_mistake_is_refused_when_it_is_read(text: str, why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert(yaml.safe_load(text), Declaration)


def test_an_empty_selector_selects_the_pods_of_the_namespace() -> None:
    narrowed = podselectors.of_namespace({}, "shop", SCOPE)
    assert narrowed == {"matchLabels": {"vcp.dev/namespace": "shop", "vcp.dev/tenant": "tenant-a"}}
    assert podselectors.of_namespace(None, "shop", SCOPE) is None
