"""A connection from which bytes are taken only when somebody wants them, with or without TLS.

Nothing is read ahead and nothing is queued: a slow reader stops its writer through the kernel's buffers, and
a stream costs memory only while it moves. asyncio's own TLS reads ahead into a quarter of a megabyte for each
connection, and cannot close one direction alone.
"""

import asyncio
import contextlib
import socket
import ssl

from syncer.serve.certificates import subject

CHUNK = 64 * 1024
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # a dead peer is found in a minute


class Connection:
    """One side of a stream. One task may read while another writes.

    Raises OSError for whatever the network does, ssl.SSLError among it. `close` may be called only when no
    task reads or writes any more.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._sending = asyncio.Lock()
        self._unread = b""
        self._ended = False

    async def secure(self, context: ssl.SSLContext, server_name: str | None = None) -> None:
        """The TLS handshake: as the client of `server_name`, or as a server."""
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=context.protocol is ssl.PROTOCOL_TLS_SERVER,
            server_hostname=server_name,
        )
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
                if self._ended:
                    raise ConnectionResetError("closed during the TLS handshake") from None
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    await self._flush()  # the alert that tells the peer why
                raise
        await self._flush()

    def subject(self) -> dict[str, set[str]]:
        """Who the peer's verified certificate says it is."""
        return subject(self._tls.getpeercert() if self._tls else None)

    async def read(self) -> bytes:
        """What is there, about CHUNK at most; empty at the end."""
        await asyncio.sleep(0)  # neither reading nor writing suspends while both are ready
        while not (data := self._taken()) and not self._ended:
            await self._fill()
        return data

    async def wait_end(self) -> None:
        """Returns when the peer has ended. What it sends is kept for `read`; it is looked for no further."""
        while not self._ended:
            if self._unread:
                await self._loop.create_future()
            await self._fill()
            self._unread = self._taken()

    async def write(self, data: bytes) -> None:
        """Returns when the kernel has taken it all."""
        if self._tls is None:
            await self._loop.sock_sendall(self._socket, data)
            return
        for start in range(0, len(data), CHUNK):
            self._tls.write(data[start : start + CHUNK])
            await self._flush()

    async def write_eof(self) -> None:
        """Nothing more is written; what the peer still sends can be read."""
        if self._tls is not None:
            self._unread = self._taken()  # OpenSSL loses what it finds while it says goodbye
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            await self._flush()
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()

    async def _fill(self) -> None:
        """Some more bytes, or the end. Cancelled, it has taken none."""
        while True:
            try:
                data = self._socket.recv(CHUNK)
                break
            except BlockingIOError:
                await self._readable()
        if not data:
            self._ended = True
        elif self._tls is None:
            self._unread += data
        else:
            self._incoming.write(data)

    async def _readable(self) -> None:
        ready = asyncio.Event()
        self._loop.add_reader(self._socket.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_reader(self._socket.fileno())

    async def _flush(self) -> None:
        async with self._sending:
            while self._outgoing.pending:
                await self._loop.sock_sendall(self._socket, self._outgoing.read())

    def _taken(self) -> bytes:
        """All that has arrived, if encrypted in whole records."""
        data, self._unread = [self._unread], b""
        if self._tls is None:
            return data[0]
        try:
            while chunk := self._tls.read(CHUNK):
                data.append(chunk)
            self._ended = True
        except ssl.SSLWantReadError:
            pass  # the answer to a key update, if one is due, goes out with the next write
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._ended = True
        return b"".join(data)


async def dial(host: str, port: int) -> Connection:
    """A connection to the first address that answers."""
    loop = asyncio.get_running_loop()
    problem: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, address)
            return Connection(connection)
        except OSError as error:
            connection.close()
            problem = error
        except BaseException:
            connection.close()
            raise
    raise problem or OSError(f"{host} has no address")


async def join(one: Connection, other: Connection, linger: float) -> None:
    """Pipes both directions until both have ended; `linger` seconds after the first at the latest.

    A connection that breaks ends both."""
    tasks = [
        asyncio.create_task(_pipe(one, other), name="pipe there"),
        asyncio.create_task(_pipe(other, one), name="pipe back"),
    ]
    try:
        done, open_ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if open_ and all(task.exception() is None for task in done):
            await asyncio.wait(open_, timeout=linger)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, OSError):
            raise error


async def _pipe(source: Connection, sink: Connection) -> None:
    while data := await source.read():
        await sink.write(data)
    await sink.write_eof()
