"""HTTP/1.1 heads over a wire, by h11: it parses and frames, the wire moves the bytes."""

import h11

from syncer.serve.connection import Connection

_HEAD_LIMIT = 1 << 20  # what Go's servers accept; commands of exec are in the URL
_TEXT_LIMIT = 1 << 16

Headers = list[tuple[bytes, bytes]]


class Refused(Exception):  # noqa: N818 (an answer, not a failure)
    """Why a request is not served: an HTTP status, and words for whoever asked."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Http:
    """One request and its answer on a connection that is closed afterwards."""

    def __init__(self, connection: Connection, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self.connection = connection
        self._state = h11.Connection(role, max_incomplete_event_size=_HEAD_LIMIT)

    async def next(self) -> h11.Event | type[h11.PAUSED]:
        """Raises h11.RemoteProtocolError."""
        while (event := self._state.next_event()) is h11.NEED_DATA:
            self._state.receive_data(await self.connection.read())
        return event  # type: ignore[return-value]  # h11 types its sentinels as classes of themselves

    async def send(self, *events: h11.Event) -> None:
        await self.connection.write(b"".join(self._state.send(event) or b"" for event in events))

    async def text(self) -> str:
        """The beginning of the body."""
        body = b""
        while len(body) < _TEXT_LIMIT and isinstance(event := await self.next(), h11.Data):
            body += event.data
        return body[:_TEXT_LIMIT].decode(errors="replace")

    def surplus(self) -> bytes:
        """What came behind the head of an upgraded connection."""
        return bytes(self._state.trailing_data[0])

    async def answer(self, status: int, text: str) -> None:
        body = text.encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        await self.send(h11.Response(status_code=status, headers=headers), h11.Data(body), h11.EndOfMessage())
