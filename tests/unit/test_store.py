"""The store: versions, indexes, late lists."""

from typing import Any

import pytest

from kube.objects import Key
from syncer.engine.store import Change, Store


def obj(name: str, version: int, uid: str = "u", **labels: str) -> dict[str, Any]:
    meta = {"namespace": "n", "name": name, "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"metadata": meta}


def test_an_older_version_never_replaces_a_newer_one() -> None:
    store = Store()
    assert store.put(obj("a", 10))
    assert not store.put(obj("a", 9))  # as text, "9" would be greater
    assert not store.put(obj("a", 10))
    assert store.put(obj("a", 100))


def test_what_an_index_cannot_read_is_not_stored_and_so_does_not_spoil_what_comes_after() -> None:
    store = Store({"app": lambda found: [found["metadata"]["labels"]["app"]]})
    store.put(obj("a", 1, app="web"))
    with pytest.raises(KeyError):
        store.put(obj("a", 2))
    assert store.put(obj("a", 3, app="db"))
    assert [len(store.indexed("app", app)) for app in ("web", "db")] == [0, 1]


def test_a_late_deletion_spares_the_object_that_came_after() -> None:
    store = Store()
    store.put(obj("a", 12, uid="new"))
    assert not store.remove(obj("a", 11, uid="old"))
    assert store.get(Key("n", "a"))
    assert store.remove(obj("a", 13))


def test_an_answer_that_the_watch_has_overtaken_brings_nothing_back() -> None:
    store = Store()
    store.put(obj("a", 1))
    store.remove(obj("a", 3))
    assert not store.put(obj("a", 2))
    assert not store.put(obj("a", 3)), "the answer to the deletion itself bears its version"
    assert store.put(obj("a", 4)), "made anew"
    store.remove(obj("b", 9))  # gone before it was ever seen
    assert not store.put(obj("b", 8))


def test_late_events_bring_nothing_back_that_the_server_said_is_gone() -> None:
    store = Store()
    store.put(obj("a", 5))
    store.forget(Key("n", "a"), "another")
    assert store.get(Key("n", "a"))
    store.forget(Key("n", "a"), "u")
    assert not store.put(obj("a", 6)), "a change from before the deletion"
    assert store.put(obj("a", 8, uid="next"))
    assert not store.remove(obj("a", 7))
    assert store.get(Key("n", "a"))
    assert not store._gone, "nothing is remembered for longer than the watch is late"


def test_a_list_drops_what_it_does_not_hold_unless_that_came_later() -> None:
    store = Store()
    for name, version in (("old", 5), ("ours", 20)):
        store.put(obj(name, version))
    store.replace([obj("listed", 7)], 10)
    assert {key.name for key in store._objects} == {"listed", "ours"}


def test_indexes_follow_every_change() -> None:
    store = Store({"app": lambda found: [found["metadata"]["labels"].get("app")]})
    store.put(obj("a", 1, app="x"))
    store.put(obj("b", 2, app="x"))
    assert len(store.indexed("app", "x")) == 2
    store.put(obj("a", 3, app="y"))
    assert [found["metadata"]["name"] for found in store.indexed("app", "x")] == ["b"]
    assert store.indexed("app", "y")[0]["metadata"]["resourceVersion"] == "3"
    store.remove(obj("a", 4))
    assert not store.indexed("app", "y")


def test_every_change_is_told_with_what_was_before() -> None:
    store, told = Store(), list[Change]()
    store.on_change = told.append
    store.put(obj("a", 1))
    store.put(obj("a", 1))
    store.put(obj("a", 2))
    store.forget(Key("n", "a"), "other")
    store.forget(Key("n", "a"), "u")
    assert [(bool(change.old), bool(change.new)) for change in told] == [
        (False, True),
        (True, True),
        (True, False),
    ]


def test_an_object_stays_filed_while_what_its_indexes_read_stays() -> None:
    asked = []

    def by_colour(one: dict[str, Any]) -> list[str]:
        asked.append(one["metadata"]["resourceVersion"])
        return [one["spec"]["colour"]]

    def coloured(version: int, colour: str) -> dict[str, Any]:
        return {**obj("a", version), "spec": {"colour": colour}}

    store = Store({"colour": by_colour}, indexed_by=("spec",))
    store.put(coloured(1, "red"))
    store.put(coloured(2, "red"))
    assert asked == ["1"]
    assert [*store.indexed("colour", "red")] == [coloured(2, "red")], "the newest version"
    store.put(coloured(3, "blue"))
    assert not store.indexed("colour", "red")
    assert [*store.indexed("colour", "blue")] == [coloured(3, "blue")]
    store.remove(coloured(4, "blue"))
    assert not store.indexed("colour", "blue")
