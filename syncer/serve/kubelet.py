"""The kubelet of every tenant Node: logs, exec, attach and port-forward of its pods, and nothing else.

Only the tenant's API server is let in, by its certificate. Why so: docs/decisions/0015-kubelet-endpoint.md.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import h11
from prometheus_client import Gauge

from kube.objects import uid_of
from syncer.kinds.pods import streams
from syncer.kinds.pods.references import wording_of
from syncer.kinds.pods.streams import StreamRequest
from syncer.serve import https
from syncer.serve.certificates import ServingTls
from syncer.serve.connection import Connection
from syncer.serve.hostpods import HostPods
from syncer.serve.http import Http, Refused
from syncer.serve.podlookup import PodLookup
from syncer.serve.streaming import follow, tunnel

_log = logging.getLogger(__name__)
_CLIENT = ("system:apiserver", "system:masters")  # how kube-apiserver and k3s name their kubelet client
_HEAD_LIMIT = 10.0  # seconds for the TLS handshake, and for the head of the request
_GOODBYE = 2.0  # seconds for the peer to have read an answer
_DRAIN = 2.0  # seconds that streams get to end by themselves
_BACKLOG = 512
_STREAMS = 1000  # a bound for file descriptors: each takes two
_STRANGERS = 1000  # connections whose client is not known yet: the oldest gives way to a newer one


class Kubelet:
    """Serves connections; `open_streams` is the gauge of what is open, by kind."""

    def __init__(self, tls: ServingTls, lookup: PodLookup, open_streams: Gauge) -> None:
        self._tls, self._lookup, self._gauge = tls, lookup, open_streams
        self._host = HostPods(lookup.host.credentials)
        self._connections: set[asyncio.Task[None]] = set()
        self._strangers: dict[asyncio.Task[None], None] = {}  # in the order in which they came
        self._streams = 0

    @contextlib.asynccontextmanager
    async def serving(self, port: int, stop: asyncio.Event) -> AsyncIterator[int]:
        """Listens until `stop` is set, and ends what is left after the body; yields the port."""
        self._tls.context()
        listener = https.listener(port, _BACKLOG)
        accepting = asyncio.create_task(self._accept(listener), name="kubelet endpoint")
        closing = asyncio.create_task(_close(accepting, listener, stop), name="kubelet endpoint closes")
        try:
            yield listener.getsockname()[1]
        finally:
            closing.cancel()
            accepting.cancel()
            await asyncio.wait([closing, accepting])
            listener.close()
            if self._connections:
                await asyncio.wait(self._connections, timeout=_DRAIN)
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
                connection = Connection(accepted)
            except OSError as error:  # out of file descriptors, or a client that is gone already
                _log.warning("connection not accepted", extra={"error": str(error)})
                await asyncio.sleep(0.1)
                continue
            task = asyncio.create_task(self._connection(connection), name="kubelet connection")
            self._connections.add(task)
            self._strangers[task] = None
            task.add_done_callback(self._ended)
            if len(self._strangers) > _STRANGERS:
                next(iter(self._strangers)).cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        self._strangers.pop(task, None)
        if not task.cancelled() and (error := task.exception()):
            _log.error("connection failed", exc_info=error)

    async def _connection(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(_HEAD_LIMIT):
                await connection.secure(self._tls.context())
            if known := asyncio.current_task():
                self._strangers.pop(known, None)
            await self._serve(connection)
            async with asyncio.timeout(_GOODBYE):  # closed at once, what was sent last might be lost
                await connection.write_eof()
                await connection.wait_end()
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            _log.debug("connection broke", extra={"error": repr(error)})
        finally:
            connection.close()

    async def _serve(self, connection: Connection) -> None:
        http = Http(connection, h11.SERVER)
        try:
            async with asyncio.timeout(_HEAD_LIMIT):
                head = await http.next()
                if not isinstance(head, h11.Request):
                    return
                while not isinstance(event := await http.next(), h11.EndOfMessage):
                    if isinstance(event, h11.Data):
                        raise Refused(400, "no request has a body here")
            self._admit(connection)
            await self._dispatch(http, head)
        except Refused as refused:
            await http.answer(refused.status, refused.text + "\n")
        except h11.RemoteProtocolError as error:
            await http.answer(error.error_status_hint, "not understood\n")

    def _admit(self, connection: Connection) -> None:
        """The CA signs for the API server alone, and still its name is checked."""
        subject, (name, group) = connection.subject(), _CLIENT
        if subject.get("commonName") != {name} or group not in subject.get("organizationName", ()):
            raise Refused(403, "this certificate is not that of the API server")

    async def _dispatch(self, http: Http, head: h11.Request) -> None:
        target, method = head.target.decode(), head.method.decode()
        if target.partition("?")[0] == "/healthz":
            await http.answer(200, "ok")
            return
        request = streams.parse(target)
        if request is None:
            raise Refused(404, "404 page not found")
        if method not in request.methods:
            raise Refused(405, "this method is not allowed here")
        if self._streams >= _STREAMS:
            raise Refused(429, "too many streams are open")
        self._streams += 1
        try:
            with self._gauge.labels(request.subresource).track_inprogress():
                await self._stream(http, head, request)
        finally:
            self._streams -= 1

    async def _stream(self, http: Http, head: h11.Request, request: StreamRequest) -> None:
        tenant, host = await self._lookup.find(request)
        target = request.target(self._lookup.scope.host_key(request.pod))
        try:
            await (tunnel if request.is_upgraded else follow)(http, head, self._host, target)
        except Refused as refused:
            text = wording_of(tenant, self._lookup.scope, uid_of(host))(refused.text)
            raise Refused(refused.status, text) from refused


async def _close(accepting: asyncio.Task[None], listener: socket.socket, stop: asyncio.Event) -> None:
    """A syncer that is about to end leaves new connections to the other replicas at once."""
    await stop.wait()
    accepting.cancel()
    await asyncio.wait([accepting])
    listener.close()
