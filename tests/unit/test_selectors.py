"""Selectors mean what they mean to an API server."""

import pytest

from kube import selectors

LABELS = {"app": "web", "tier": "front", "example.org/build": "12", "empty": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("app", True),
        ("other", False),
        ("!app", False),
        ("! other", True),
        ("app=web", True),
        ("app == web", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("other!=x", True),
        ("empty=", True),
        ("other=", False),
        ("app in (web, db)", True),
        ("app in (db)", False),
        ("app notin (db,cache)", True),
        ("other notin (x)", True),
        ("other in (x)", False),
        ("example.org/build>11", True),
        ("example.org/build<12", False),
        ("app>1", False),
        ("other<1", False),
        ("app=web,tier in (front,back),!other", True),
        ("app=web,tier notin (front,back)", False),
    ],
)
def test_labels(text: str, expected: bool) -> None:
    assert selectors.labels(text)(LABELS) is expected


@pytest.mark.parametrize("text", ["a=b=c", "a in", "in (x)(y)", "a=b,", ",", "a>x", "a b", "(a)"])
def test_no_label_selector(text: str) -> None:
    with pytest.raises(selectors.SelectorError):
        selectors.labels(text)


def test_fields() -> None:
    known, found = frozenset({"metadata.name", "metadata.namespace"}), {"metadata.name": "web"}
    for text, expected in (
        ("", True),
        ("metadata.name=web", True),
        ("metadata.name==web,metadata.name!=db", True),
        ("metadata.name!=web", False),
    ):
        assert selectors.fields(text, known)(found) is expected
    for text in ("spec.nodeName=a", "metadata.name", "metadata.name=a=b"):
        with pytest.raises(selectors.SelectorError):
            selectors.fields(text, known)
