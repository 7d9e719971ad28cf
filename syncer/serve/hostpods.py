"""The host's API as the kubelet endpoint uses it: one connection per stream, as the syncer itself.

No header of the caller's goes along but those of the upgrade: credentials, impersonation and cookies are the
tenant's own affair, and must never act on the host.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

import h11
import msgspec

from kube import auth, errors
from syncer.serve.connection import Connection, dial
from syncer.serve.http import Headers, Http, Refused

_log = logging.getLogger(__name__)
_CONNECT_LIMIT = 10.0  # seconds
_UPGRADE = frozenset(
    {
        *(b"upgrade", b"x-stream-protocol-version", b"sec-websocket-accept", b"sec-websocket-extensions"),
        *(b"sec-websocket-key", b"sec-websocket-protocol", b"sec-websocket-version"),
    }
)
_BEARER = b"base64url.bearer.authorization.k8s.io."  # a token in the guise of a WebSocket protocol
_INTERNAL = "Internal error occurred: "


class Answer(NamedTuple):
    """The head of the host's answer, and the connection behind it."""

    http: Http
    head: h11.Response | h11.InformationalResponse


class HostPods:
    """Asks the host's API server; `credentials` are the syncer's."""

    def __init__(self, credentials: auth.Credentials) -> None:
        self._credentials = credentials
        self._server = urlsplit(credentials.access.server)

    @contextlib.asynccontextmanager
    async def ask(self, method: str, target: str, headers: Headers) -> AsyncIterator[Answer]:
        """A 101 or 200 to one request. Raises Refused: with the host's words if it has any."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                answer = await self._asked(stack, method, target, headers)
                if answer.head.status_code == 401 and self._credentials.renewable:
                    self._credentials.renew()
                    answer = await self._asked(stack, method, target, headers)
                if answer.head.status_code not in (101, 200):
                    raise refusal(answer.head.status_code, await answer.http.text())
            except (OSError, errors.KubeError, h11.RemoteProtocolError) as error:
                _log.warning("host not reached", extra={"error": str(error)})
                raise Refused(502, "the host cannot be reached") from error
            yield answer

    async def _asked(
        self, stack: contextlib.AsyncExitStack, method: str, target: str, headers: Headers
    ) -> Answer:
        secure = self._server.scheme == "https"
        async with asyncio.timeout(_CONNECT_LIMIT):
            connection = await dial(self._server.hostname or "", self._server.port or (443 if secure else 80))
            stack.callback(connection.close)
            if secure:
                name = self._credentials.access.server_name or self._server.hostname
                await connection.secure(self._credentials.tls(), name)
        return await self._ask(connection, method, target, headers)

    async def _ask(self, connection: Connection, method: str, target: str, headers: Headers) -> Answer:
        own = await self._credentials.headers()
        http = Http(connection, h11.CLIENT)
        every = [
            (b"Host", self._server.netloc.encode()),
            (b"User-Agent", b"vcp"),
            *((name.encode(), value.encode()) for name, value in own.items()),
            *headers,
        ]
        path = self._server.path.rstrip("/") + target
        await http.send(h11.Request(method=method, target=path, headers=every), h11.EndOfMessage())
        while True:
            head = await http.next()
            if isinstance(head, h11.Response) or (
                isinstance(head, h11.InformationalResponse) and head.status_code == 101
            ):
                return Answer(http, head)
            if isinstance(head, h11.ConnectionClosed):
                raise ConnectionResetError("the host closed the connection")


def upgrade_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """What belongs to the upgrade of a request or of an answer; names in lower case, as h11 gives them."""
    kept = [(name, _without_token(name, value)) for name, value in headers if name in _UPGRADE]
    return [(b"Connection", b"Upgrade"), *((name, value) for name, value in kept if value)]


def _without_token(name: bytes, value: bytes) -> bytes:
    if name != b"sec-websocket-protocol":
        return value
    protocols = [protocol.strip() for protocol in value.split(b",")]
    return b", ".join(protocol for protocol in protocols if not protocol.startswith(_BEARER))


def refusal(status: int, body: str) -> Refused:
    """The host's answer as its kubelet gave it, or would have.

    The tenant's API server packs it into a Status again, so the host's packing comes off. That the syncer
    itself is not allowed to ask is not an affair of the caller's."""
    text = body.strip()
    try:
        found = msgspec.json.decode(body)
    except errors.NOT_JSON:
        found = None
    if isinstance(found, dict):
        causes = errors.from_status(found).causes
        told = [one.get("message") for one in causes if one.get("reason") == "UnexpectedServerResponse"]
        texts = (one for one in (*told, found.get("message")) if one and isinstance(one, str))
        text = next(texts, text)
    text = text.removeprefix(_INTERNAL)
    if status == 401 or (status == 403 and text.find(" cannot ") > 0 and 'User "' in text):
        return Refused(502, "the host does not let the syncer speak to pods")
    return Refused(status, text or f"the host answered {status}")
