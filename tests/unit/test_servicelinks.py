"""The ConfigMaps that tell pods of services: made once, shared, and gone once no pod reads them."""

from dataclasses import replace
from typing import Any

from kube import apis
from kube.objects import Key, Obj, annotations_of, key_of
from syncer.core import marks
from syncer.core.actions import Delete, Patch, Wait
from syncer.core.kind import Item
from tests.pod_scope import SCOPE
from tests.worlds import World, active

NAMESPACE = Item("namespaces", Key("", "shop"))
MADE = 1_800_000_000.0


def pod(name: str) -> Obj:
    meta = {"name": name, "namespace": "shop", "uid": f"uid-{name}"}
    spec = {"containers": [{"name": "app", "image": "app"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def service(name: str) -> Obj:
    meta, spec = {"name": name, "namespace": "shop"}, {"clusterIP": "10.43.0.9", "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def world(*objects: Obj) -> World:
    return World(replace(SCOPE, now=MADE), objects, [])


def at(made: World, now: float) -> World:
    made.scope = replace(made.scope, now=now)
    return made


def run(made: World, name: str) -> list[Any]:
    """Does what a pod's plan says."""
    plan = active(made.plan(Item("pods", Key("shop", name))))
    made.apply(plan)
    return plan


def told(made: World) -> list[Obj]:
    """The ConfigMaps on the host."""
    return [obj for obj in made.objects("host") if obj["kind"] == "ConfigMap"]


def end(made: World, name: str) -> None:
    made.remove("tenant", apis.PODS, Key("shop", name))
    made.remove("host", apis.PODS, made.scope.host_key(Key("shop", name)))


def test_pods_share_one_and_a_new_service_makes_another() -> None:
    made = world(pod("a"), pod("b"), pod("c"), service("db"))
    kinds = [[action.api.plural for action in run(made, name)] for name in ("a", "b")]
    assert kinds == [["configmaps", "pods"], ["pods"]]
    made.put("tenant", service("web"))
    assert [action.api.plural for action in run(made, "c")] == ["configmaps", "pods"]
    assert len(told(made)) == 2


def test_one_that_no_pod_reads_goes_after_a_while() -> None:
    made = world(pod("a"), service("db"))
    run(made, "a")
    (config_map,) = told(made)
    assert made.plan(NAMESPACE) == []
    end(made, "a")
    assert made.plan(NAMESPACE) == [Wait(60.0)]

    (noted,) = at(made, MADE + 61).plan(NAMESPACE)
    assert isinstance(noted, Patch)
    made.apply([noted])
    assert annotations_of(told(made)[0])[marks.IDLE] == str(int(MADE + 61))
    assert at(made, MADE + 161).plan(NAMESPACE) == [Wait(200.0)]

    (delete,) = at(made, MADE + 361).plan(NAMESPACE)
    assert isinstance(delete, Delete)
    assert (delete.key, delete.version) == (key_of(config_map), told(made)[0]["metadata"]["resourceVersion"])


def test_a_pod_that_comes_to_read_it_takes_the_note_away_before_it_is_created() -> None:
    """So a deletion that is under way, of the version with the note, fails."""
    made = world(pod("a"), pod("b"), service("db"))
    run(made, "a")
    end(made, "a")
    made.apply(at(made, MADE + 61).plan(NAMESPACE))
    (delete,) = at(made, MADE + 361).plan(NAMESPACE)
    patch, create = run(made, "b")
    assert (patch.api, patch.body) == (apis.CONFIG_MAPS, {"metadata": {"annotations": {marks.IDLE: None}}})
    assert create.api == apis.PODS
    assert delete.version != told(made)[0]["metadata"]["resourceVersion"]
    assert made.plan(NAMESPACE) == []


def test_a_container_that_is_added_later_is_told_of_services_as_they_are_then() -> None:
    made = world(pod("a"), service("db"))
    run(made, "a")
    made.put("tenant", service("web"))
    debugged = pod("a")
    debugged["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "debug"}]
    made.put("tenant", debugged)
    create, patch = run(made, "a")
    assert (create.api, patch.subresource) == (apis.CONFIG_MAPS, "ephemeralcontainers")
    (added,) = patch.body["spec"]["ephemeralContainers"]
    assert added["envFrom"] == [{"configMapRef": {"name": create.obj["metadata"]["name"]}}]
    assert made.plan(NAMESPACE) == []
