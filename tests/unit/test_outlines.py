"""An object of which only the outline is held is read before anything is made of it."""

from kube import apis
from kube.objects import Key, Obj
from syncer.core.actions import Create, Ensure, Fetch
from syncer.core.kind import OUTLINE, Item
from tests.pod_scope import SCOPE
from tests.worlds import World

SETTINGS, POD = Key("shop", "settings"), Key("shop", "web-0")


def world(*, outline: bool) -> World:
    meta = {"name": SETTINGS.name, "namespace": "shop", "uid": "uid-1"}
    settings: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    settings |= {OUTLINE: True} if outline else {"data": {"a": "b"}}
    source = {"configMapRef": {"name": SETTINGS.name}}
    spec = {"containers": [{"name": "app", "image": "app", "envFrom": [source]}]}
    meta = {"name": POD.name, "namespace": "shop", "uid": "uid-2"}
    return World(SCOPE, [settings, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}], [])


def test_neither_it_nor_a_pod_that_refers_to_it_is_made_of_an_outline() -> None:
    outlined, whole = world(outline=True), world(outline=False)
    for item in (Item("configmaps", SETTINGS), Item("pods", POD)):
        assert outlined.plan(item) == [Fetch(apis.CONFIG_MAPS, SETTINGS)]
    (create,) = whole.plan(Item("configmaps", SETTINGS))
    assert isinstance(create, Create)
    assert create.obj["data"] == {"a": "b"}
    assert whole.plan(Item("pods", POD))[0] == Ensure("configmaps", SETTINGS)


def test_what_nobody_refers_to_is_held_as_its_outline() -> None:
    made = world(outline=False)
    kind, settings = made.kinds["configmaps"], made.get("tenant", apis.CONFIG_MAPS, SETTINGS)
    assert settings
    assert kind.held(dict(settings), made.scope) == settings
    made.remove("tenant", apis.PODS, POD)
    held = kind.held(dict(settings), made.scope)
    assert OUTLINE in held
    assert "data" not in held
