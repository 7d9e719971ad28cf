"""A forwarded port against a server that speaks the kubelet's side of `v4.channel.k8s.io`."""

import asyncio

import pytest
from aiohttp import WSMsgType, web
from fakeapi import FakeApi

from kube.client import Client
from kube.errors import NoPodError
from kube.portforward import forwarded


def kubelet(*, error: str = "") -> object:
    """Echoes upper-cased data, and says first what the port is, as the kubelet does."""

    async def portforward(request: web.Request) -> web.WebSocketResponse:
        if "application/json" in request.headers["Accept"]:
            raise web.HTTPNotAcceptable  # as the API server does
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        port = int(request.query["ports"]).to_bytes(2, "little")
        await socket.send_bytes(b"\0" + port)
        await socket.send_bytes(b"\1" + port)
        if error:
            await socket.send_bytes(b"\1" + error.encode())
        async for message in socket:
            assert message.type is WSMsgType.BINARY
            assert message.data[0] == 0
            await socket.send_bytes(b"\0" + message.data[1:].upper())
            if message.data.endswith(b"bye"):
                await socket.close()
        return socket

    return portforward


async def api_pod() -> tuple[str, str]:
    return "ns", "api-0"


async def talk(port: int, text: bytes) -> bytes:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text)
        try:
            return await reader.read()
        except ConnectionResetError:  # closed before it had read what we sent
            return b""
        finally:
            writer.close()


async def test_each_connection_is_carried_to_the_pod(api: FakeApi, client: Client) -> None:
    api.routes["/api/v1/namespaces/ns/pods/api-0/portforward"] = kubelet()
    async with forwarded(client, api_pod, 6443) as port:
        assert await talk(port, b"hello bye") == b"HELLO BYE"
        large = b"x" * 1_000_000 + b"bye"
        assert await talk(port, large) == large.upper()
        assert await asyncio.gather(talk(port, b"1 bye"), talk(port, b"2 bye")) == [b"1 BYE", b"2 BYE"]


async def test_a_connection_that_fails_is_closed_and_the_next_one_works(api: FakeApi, client: Client) -> None:
    path = "/api/v1/namespaces/ns/pods/api-0/portforward"
    async with forwarded(client, api_pod, 6443) as port:
        assert await talk(port, b"bye") == b""  # 404
        api.routes[path] = kubelet(error="connection refused")
        assert await talk(port, b"bye") in {b"", b"BYE"}
        api.routes[path] = kubelet()
        assert await talk(port, b"bye") == b"BYE"


async def test_no_ready_pod_closes_the_connection(client: Client) -> None:
    async def none() -> tuple[str, str]:
        raise NoPodError("no ready pod")

    async with forwarded(client, none, 6443) as port:
        assert await talk(port, b"x") == b""


async def test_leaving_ends_open_connections(api: FakeApi, client: Client) -> None:
    api.routes["/api/v1/namespaces/ns/pods/api-0/portforward"] = kubelet()
    async with forwarded(client, api_pod, 6443) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        assert await reader.read(5) == b"HELLO"
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await talk(port, b"x")
