"""Logs as they are written, many streams at once, and how they end with the syncer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from fakeapi import FakeApi
from streamhost import (
    API_SERVER,
    EXEC,
    FOLLOW,
    LOG,
    Authorities,
    Endpoint,
    Head,
    Reader,
    StreamHost,
    Writer,
    chunk,
    host_pod,
    pod,
    scope,
    streaming,
)
from syncing import eventually


@pytest_asyncio.fixture
async def plain(api: FakeApi, tmp_path: Path) -> AsyncIterator[Endpoint]:
    async with streaming(api, tmp_path, secure=False) as made:
        yield made


async def test_a_log_comes_line_by_line_and_ends_as_it_ended(plain: Endpoint) -> None:
    told = asyncio.Queue[bytes]()

    async def log(_: Head, reader: Reader, writer: Writer) -> None:
        writer.write(LOG)
        while line := await told.get():
            writer.write(chunk(line))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    plain.host.play = log
    async with plain.connected() as (reader, writer):
        writer.write(f"GET {FOLLOW} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b"transfer-encoding: chunked" in head
        assert b"content-length" not in head
        for line in (b"one\n", b"two\n", b"\xff\x00\n"):
            told.put_nowait(line)
            async with asyncio.timeout(5):
                assert await reader.readexactly(len(chunk(line))) == chunk(line)
        told.put_nowait(b"")
        assert await reader.read() == b"0\r\n\r\n"


async def test_a_broken_log_does_not_look_whole(plain: Endpoint) -> None:
    async def broken(_: Head, reader: Reader, writer: Writer) -> None:
        writer.write(LOG + chunk(b"one\n"))

    plain.host.play = broken
    async with plain.connected() as (reader, writer):
        writer.write(f"GET {FOLLOW} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await reader.read()).endswith(chunk(b"one\n"))


async def test_a_log_of_known_length_is_framed_anew(plain: Endpoint) -> None:
    async def whole(_: Head, reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\none\n")

    plain.host.play = whole
    status, body = await plain.ask("/containerLogs/default/web/main")
    assert (status, body.encode()) == (200, chunk(b"one\n") + b"0\r\n\r\n")


async def test_two_hundred_of_each_at_once(plain: Endpoint) -> None:
    async def log(head: Head, reader: Reader, writer: Writer) -> None:
        if "/log?" not in head.line:
            await echo(head, reader, writer)
            return
        writer.write(LOG + chunk(b"line\n"))
        await reader.read()

    echo, plain.host.play = plain.host.play, log
    ready, leave = asyncio.Semaphore(0), asyncio.Event()

    async def follow() -> None:
        async with plain.connected() as (reader, writer):
            writer.write(f"GET {FOLLOW} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.readuntil(b"line\n")
            ready.release()
            await leave.wait()

    async def run(number: int) -> None:
        async with plain.upgraded(EXEC) as (reader, writer):
            writer.write(f"I am {number:4}".encode())
            assert await reader.readexactly(9) == f"I am {number:4}".encode()
            ready.release()
            await leave.wait()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(follow())
            group.create_task(run(number))
        for _ in range(400):
            await ready.acquire()
        assert (plain.open("log"), plain.open("exec")) == (200, 200)
        leave.set()
    await eventually(lambda: plain.open("log") + plain.open("exec") == 0)


async def test_a_stop_closes_the_door_first_and_the_streams_last(api: FakeApi, tmp_path: Path) -> None:
    authorities = Authorities(tmp_path)
    authorities.sign("api-server", *API_SERVER)
    async with StreamHost().serve() as host:
        endpoint = Endpoint(host, api, authorities)
        serving = endpoint.serving(scope((pod(),), (host_pod(),)))
        await serving.__aenter__()
        async with endpoint.upgraded(EXEC) as (reader, writer):
            endpoint.stop.set()
            await asyncio.sleep(0.05)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", endpoint.port)
            writer.write(b"still here")
            assert await reader.readexactly(10) == b"still here"
            async with asyncio.timeout(4):
                await serving.__aexit__(None, None, None)
            assert await reader.read() == b""
