"""A port of 127.0.0.1 that leads to a pod's port through the host API.

Each accepted connection gets a WebSocket of its own to a pod that is ready at that moment, so after a pod or
the host API has gone the next connection simply takes another way: nothing has to notice and reconnect.
The protocol is `v4.channel.k8s.io`: the first byte of a message is its channel, 0 data and 1 error, and the
first message of each channel is the port number (k8s.io/cri-streaming, portforward/websocket.go).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp

from kube import errors as kube
from kube.apis import PODS
from kube.client import Client

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_CHUNK = 32 * 1024
_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def forwarded(
    client: Client, pick: Callable[[], Awaitable[tuple[str, str]]], port: int, *, local_port: int = 0
) -> AsyncIterator[int]:
    """Yields the local port. `pick` gives each connection's (namespace, pod); it raises if none is ready."""
    connections: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = PODS.path(*await pick(), "portforward")
            async with client.websocket(path, {"ports": str(port)}, (_PROTOCOL,)) as socket:
                await _carry(socket, reader, writer)
        except (kube.KubeError, OSError, aiohttp.ClientError) as error:
            _log.warning("a forwarded connection ended: %s", error)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(reader, writer), name="forwarded connection")
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", local_port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _carry(
    socket: aiohttp.ClientWebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    tasks = {
        asyncio.create_task(_to_pod(reader, socket), name="forward to pod"),
        asyncio.create_task(_from_pod(socket, writer), name="forward from pod"),
    }
    try:
        # The protocol has no half-close, so the first side to end ends both.
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _to_pod(reader: asyncio.StreamReader, socket: aiohttp.ClientWebSocketResponse) -> None:
    while chunk := await reader.read(_CHUNK):
        await socket.send_bytes(bytes([_DATA]) + chunk)


async def _from_pod(socket: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
    opened: set[int] = set()
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
            continue
        channel, payload = message.data[0], message.data[1:]
        if channel not in opened:
            opened.add(channel)
            payload = payload[2:]
        if channel == _ERROR and payload:
            raise kube.TransportError(payload.decode(errors="replace"))
        if channel == _DATA and payload:
            writer.write(payload)
            await writer.drain()
