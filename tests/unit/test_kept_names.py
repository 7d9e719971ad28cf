"""Host objects keep the names that they were given when hashes had 50 bits, and none stands for two."""

import pytest

from kube import apis
from kube.objects import Key, Obj, key_of
from syncer.core import marks
from syncer.core.actions import Create, Delete
from syncer.core.kind import Item
from syncer.core.names import host_names
from syncer.core.refusal import Refused
from tests.pod_scope import SCOPE
from tests.worlds import World

POD, MAP = Key("shop", "web-0"), Key("shop", "settings")
EARLIER = {key: host_names(SCOPE.name, *key)[1] for key in (POD, MAP)}
LATER = {key: host_names(SCOPE.name, *key)[0] for key in (POD, MAP)}


def pod() -> Obj:
    mounted = {"name": "app", "image": "app", "envFrom": [{"configMapRef": {"name": MAP.name}}]}
    meta = {"name": POD.name, "namespace": POD.namespace, "uid": "uid-1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [mounted]}}


def settings() -> Obj:
    meta = {"name": MAP.name, "namespace": MAP.namespace, "uid": "uid-2"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "b"}}


def on_host(of: Obj, name: str, key: Key | None = None) -> Obj:
    """The host object of a tenant object, as an earlier version made it; or of another `key`."""
    key = key or key_of(of)
    meta = {
        "name": name,
        "namespace": SCOPE.namespace,
        "labels": marks.labels(SCOPE.name, key),
        "annotations": marks.annotations(key, of["metadata"]["uid"]),
    }
    return {**of, "metadata": meta}


def test_a_host_object_of_before_keeps_its_name_and_its_pod_finds_it() -> None:
    world = World(SCOPE, [pod(), settings()], [on_host(settings(), EARLIER[MAP])])
    created = [action.obj for action in world.settle() if isinstance(action, Create)]
    made = next(obj for obj in created if obj["kind"] == "Pod")
    assert made["metadata"]["name"] == LATER[POD]
    assert made["spec"]["containers"][0]["envFrom"] == [{"configMapRef": {"name": EARLIER[MAP]}}]
    assert not [obj for obj in created if obj["kind"] == "ConfigMap"]


def test_a_pod_of_before_runs_on_and_its_successor_has_the_longer_name() -> None:
    world = World(SCOPE, [pod(), settings()], [])
    world.settle()
    made = world.get("host", apis.PODS, Key(SCOPE.namespace, LATER[POD]))
    assert made
    before = {**made, "metadata": {**made["metadata"], "name": EARLIER[POD], "uid": "host-uid"}}
    world.remove("host", apis.PODS, key_of(made))
    world.put("host", before)
    done = world.settle()
    assert not [action for action in done if isinstance(action, Create | Delete) and action.api == apis.PODS]
    world.remove("host", apis.PODS, key_of(before))
    assert world.scope.host_key(POD).name == LATER[POD]


@pytest.mark.parametrize("names", [LATER, EARLIER])
def test_a_pod_that_refers_to_what_stands_for_another_object_is_refused(names: dict[Key, str]) -> None:
    """What collides is made up here: the Secret of another namespace has the name of ours."""
    theirs = on_host(settings(), names[MAP], Key("vault", "settings"))
    world = World(SCOPE, [pod()], [theirs])
    if names is EARLIER:  # nothing of ours is there, so that name is not asked for
        assert world.plan(Item("pods", POD))
        return
    with pytest.raises(Refused, match="whose name on the host is taken"):
        world.plan(Item("pods", POD))


def test_what_stands_for_another_object_is_neither_changed_nor_deleted() -> None:
    other = {**settings(), "metadata": {"name": "other", "namespace": "vault", "uid": "uid-3"}}
    theirs = on_host(other, LATER[MAP])
    wanting = {"annotations": {marks.SYNC: "true"}}
    ours = {**settings(), "metadata": {**settings()["metadata"], **wanting}}
    for tenant in ([ours], []):
        plan = World(SCOPE, tenant, [theirs]).plan(Item("configmaps", MAP))
        assert [type(action) for action in plan] == [Create] * len(tenant), plan
