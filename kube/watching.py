"""Reads a watch: bytes in whatever pieces the network delivers, events out."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from kube import errors

T = TypeVar("T")


class WatchEvent(msgspec.Struct, Generic[T]):
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK; a bookmark's object holds only its resourceVersion."""

    type: str
    object: T


class WatchDecoder:
    """Sans-IO: feed it chunks, then call `finish` when the stream has ended. Of objects it gives what `shape`
    has, a TypedDict or dict."""

    def __init__(self, shape: Any = dict[str, Any]) -> None:
        self._decoder = _decoder(shape)
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[WatchEvent[Any]]:
        """The events that this chunk completes. Raises the ApiError of an ERROR event: 410 as GoneError."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            whole = b"".join((*self._rest, line)) if self._rest else line
            self._rest.clear()
            if whole.strip():
                yield self._event(whole)
        if rest:
            self._rest.append(rest)

    def finish(self) -> None:
        """Raises TransportError if the stream ended inside an event."""
        if b"".join(self._rest).strip():
            raise errors.TransportError("the watch ended inside an event")

    def _event(self, line: bytes) -> WatchEvent[Any]:
        try:
            event = self._decoder.decode(line)
            if event.type == "ERROR":  # its object is a Status, whatever is watched
                event = _decoder(dict[str, Any]).decode(line)
        except errors.NOT_JSON as error:
            raise errors.TransportError(f"the watch sent a broken event: {error}") from error
        if event.type == "ERROR":
            raise errors.from_status(event.object)
        return event


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[WatchEvent[Any]]:
    return msgspec.json.Decoder(WatchEvent[shape])
