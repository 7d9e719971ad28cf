"""Reads a watch: bytes in whatever pieces the network delivers, events out."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from syncer.kube import errors

_decoder = msgspec.json.Decoder(dict[str, Any])


class WatchEvent(NamedTuple):
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK; a bookmark's object holds only its resourceVersion."""

    type: str
    object: dict[str, Any]


class WatchDecoder:
    """Sans-IO: feed it chunks, then call `finish` when the stream has ended."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[WatchEvent]:
        """The events that this chunk completes. Raises the ApiError of an ERROR event: 410 as GoneError."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            whole = b"".join((*self._rest, line)) if self._rest else line
            self._rest.clear()
            if whole.strip():
                yield _event(whole)
        if rest:
            self._rest.append(rest)

    def finish(self) -> None:
        """Raises TransportError if the stream ended inside an event."""
        if b"".join(self._rest).strip():
            raise errors.TransportError("the watch ended inside an event")


def _event(line: bytes) -> WatchEvent:
    try:
        decoded = _decoder.decode(line)
        event = WatchEvent(decoded["type"], decoded["object"])
    except (msgspec.DecodeError, KeyError) as error:
        raise errors.TransportError(f"the watch sent a broken event: {error}") from error
    if event.type == "ERROR":
        raise errors.from_status(event.object)
    return event
