"""A watch is read the same however the network cuts it."""

import json
from typing import Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube import errors
from kube.watching import WatchDecoder


def line(type_: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"


STREAM = line("ADDED", {"n": 1}) + b"\n" + line("MODIFIED", {"text": "zwölf\n"}) + line("BOOKMARK", {"n": 3})


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=20).map(sorted))
def test_any_cut_gives_the_same_events(cuts: list[int]) -> None:
    decoder, events = WatchDecoder(), []
    for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True):
        events += decoder.feed(STREAM[start:end])
    decoder.finish()
    assert [(event.type, list(event.object.values())) for event in events] == [
        ("ADDED", [1]),
        ("MODIFIED", ["zwölf\n"]),
        ("BOOKMARK", [3]),
    ]


def test_an_error_event_is_raised_after_the_events_before_it() -> None:
    events = WatchDecoder().feed(line("ADDED", {}) + line("ERROR", {"kind": "Status", "code": 410}))
    assert next(events).type == "ADDED"
    with pytest.raises(errors.GoneError):
        next(events)


class _Named(TypedDict, total=False):
    name: str


def test_only_what_the_shape_has_is_decoded() -> None:
    events = [*WatchDecoder(_Named).feed(line("ADDED", {"name": "a", "rest": [1, 2]}))]
    assert [(event.type, event.object) for event in events] == [("ADDED", {"name": "a"})]


def test_an_error_event_is_whole_whatever_is_watched() -> None:
    failed = {"kind": "Status", "code": 410, "message": "too old"}
    with pytest.raises(errors.GoneError, match="too old"):
        list(WatchDecoder(_Named).feed(line("ERROR", failed)))


@pytest.mark.parametrize("broken", [b'{"type": "ADD\n', b'{"object": {}}\n', b"[]\n", b"\xff\n"])
def test_a_broken_line_is_a_transport_error(broken: bytes) -> None:
    with pytest.raises(errors.TransportError):
        list(WatchDecoder().feed(broken))


def test_a_stream_that_ends_inside_an_event_is_a_transport_error() -> None:
    decoder = WatchDecoder()
    assert list(decoder.feed(STREAM[:10])) == []
    with pytest.raises(errors.TransportError):
        decoder.finish()
