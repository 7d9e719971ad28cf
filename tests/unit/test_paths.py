"""Places in objects: found, changed without touching the object, and named where an object does not fit."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.paths import Paths

PLACES = {
    "spec.secretName": "secrets",
    "spec.tls[].secretName": "secrets",
    "spec.backends[].routes[].service.name": "services",
    "spec.names[]": "configmaps",
}
OBJECT: dict[str, Any] = {
    "metadata": {"name": "a", "secretName": "kept"},
    "spec": {
        "secretName": "one",
        "tls": [{"secretName": "two", "hosts": ["h"]}, {"hosts": []}],
        "backends": [{"routes": [{"service": {"name": "web", "port": 80}}, {}]}, {"routes": []}],
        "names": ["first", "second"],
    },
}


def test_every_place_is_found_with_its_tag() -> None:
    found = Paths(PLACES).found(OBJECT)
    assert sorted(found) == [
        ("configmaps", "first"),
        ("configmaps", "second"),
        ("secrets", "one"),
        ("secrets", "two"),
        ("services", "web"),
    ]


def test_places_change_in_a_copy_and_the_rest_is_shared() -> None:
    before = copy.deepcopy(OBJECT)
    changed = Paths(PLACES).mapped(OBJECT, lambda tag, value: f"{tag}-{value}")
    assert before == OBJECT
    assert changed["metadata"] is OBJECT["metadata"]
    assert changed["spec"] == {
        "secretName": "secrets-one",
        "tls": [{"secretName": "secrets-two", "hosts": ["h"]}, {"hosts": []}],
        "backends": [{"routes": [{"service": {"name": "services-web", "port": 80}}, {}]}, {"routes": []}],
        "names": ["configmaps-first", "configmaps-second"],
    }


def test_an_object_without_change_is_the_same() -> None:
    assert Paths(PLACES).mapped(OBJECT, lambda _, value: value) is OBJECT
    assert Paths(PLACES).mapped({"spec": {}}, lambda _, value: value * 2) == {"spec": {}}


def test_a_leaf_without_brackets_is_the_whole_list() -> None:
    assert Paths({"spec.externalIPs": ""}).found({"spec": {"externalIPs": ["192.0.2.1"]}}) == [
        ("", ["192.0.2.1"])
    ]


@pytest.mark.parametrize(
    ("spec", "places"),
    [
        ({"tls": {"secretName": "x"}}, ["spec.tls"]),
        ({"tls": ["x"]}, ["spec.tls"]),
        ({"secretName": ["x"]}, ["spec.secretName"]),
        ({"backends": [{"routes": [{"service": "web"}]}]}, ["spec.backends.routes.service"]),
        ({"names": "x"}, ["spec.names"]),
        ({"tls": None, "names": []}, []),
    ],
)
def test_what_does_not_fit_is_named(spec: Any, places: list[str]) -> None:
    assert Paths(PLACES).misfits({"spec": spec}) == places


@pytest.mark.parametrize("path", ["", "spec.", ".spec", "spec..name", "spec[0].name", "spec.[].name", "a b"])
def test_what_is_not_a_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        Paths({path: ""})


def test_a_field_cannot_be_a_list_and_none() -> None:
    with pytest.raises(ValueError, match="spec is a list in one path and none in another"):
        Paths({"spec[].a": "", "spec.b": ""})


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["spec", "tls", "secretName", "backends", "routes", "service", "name", "names"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(obj=st.dictionaries(st.sampled_from(["spec", "metadata"]), json, max_size=2))
def test_whatever_an_object_holds_finding_and_changing_agree(obj: dict[str, Any]) -> None:
    places, seen = Paths(PLACES), []
    before = copy.deepcopy(obj)
    places.mapped(obj, lambda tag, value: seen.append((tag, value)))
    assert obj == before
    assert sorted(map(str, seen)) == sorted(map(str, places.found(obj)))
    places.misfits(obj)
