"""The bytes of streams: all of them, at once, in both directions, and never many at a time in memory."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from fakeapi import FakeApi
from streamhost import (
    API_SERVER,
    NAME,
    SWITCHED,
    Authorities,
    Endpoint,
    Head,
    Reader,
    StreamHost,
    Writer,
    host_pod,
    pieces,
    pod,
    scope,
    upgrade,
)
from syncing import eventually

from syncer.kube.auth import Access
from syncer.serve.wire import Wire, dial

EXEC = "/exec/default/web/main?command=cat&input=1&output=1"
FOLLOW = "/containerLogs/default/web/main?follow=true"
LOG = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest_asyncio.fixture(params=["http", "https"])
async def endpoint(request: pytest.FixtureRequest, api: FakeApi, tmp_path: Path) -> AsyncIterator[Endpoint]:
    async with _endpoint(api, tmp_path, secure=request.param == "https") as made:
        yield made


@pytest_asyncio.fixture
async def plain(api: FakeApi, tmp_path: Path) -> AsyncIterator[Endpoint]:
    """For what does not depend on how the host is reached."""
    async with _endpoint(api, tmp_path, secure=False) as made:
        yield made


@contextlib.asynccontextmanager
async def _endpoint(api: FakeApi, folder: Path, *, secure: bool) -> AsyncIterator[Endpoint]:
    authorities = Authorities(folder)
    authorities.sign("api-server", *API_SERVER)
    authorities.sign("host", "host", ca="server-ca", server=True, sans=("127.0.0.1",))
    async with StreamHost().serve(authorities.server() if secure else None) as host:
        access = Access(host.url, ca=folder / "server-ca.crt")
        found = scope((pod(),), (host_pod(),))
        async with Endpoint(host, api, authorities).serving(found, access) as made:
            yield made


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def test_a_head_in_single_bytes_and_what_comes_right_behind_it(endpoint: Endpoint) -> None:
    async with endpoint.connected() as (reader, writer):
        for byte in pieces(upgrade(EXEC), 1):
            writer.write(byte)
            await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"X-Stream-Protocol-Version: v5.channel.k8s.io".lower() in head.lower()
        assert b"audit-id" not in head.lower()
    async with endpoint.connected() as (reader, writer):
        writer.write(upgrade(EXEC) + b"early")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(5) == b"early"


async def test_the_hosts_head_may_come_in_pieces_with_data_behind_it(plain: Endpoint) -> None:
    async def slowly(_: Head, reader: Reader, writer: Writer) -> None:
        for piece in pieces(SWITCHED + b"first words", 7):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        await reader.read()

    plain.host.play = slowly
    async with plain.upgraded(EXEC) as (reader, _):
        assert await reader.readexactly(11) == b"first words"


async def test_fifty_megabytes_go_there_and_back(endpoint: Endpoint) -> None:
    sent, received = hashlib.sha256(), hashlib.sha256()
    total = 50_000_000

    async def write(writer: Writer) -> None:
        block, left = os.urandom(1_000_003), total
        while left:
            part = block[:left]
            sent.update(part)
            writer.write(part)
            await writer.drain()
            left -= len(part)

    async with endpoint.upgraded(EXEC) as (reader, writer):
        writing, left = asyncio.create_task(write(writer)), total
        while left:
            data = await reader.read(1 << 16)
            assert data, f"{left} bytes are missing"
            received.update(data)
            left -= len(data)
        await writing
    assert sent.digest() == received.digest()


async def test_one_direction_may_end_before_the_other(plain: Endpoint) -> None:
    """The test's host is plain, for asyncio's TLS cannot; the client's TLS can."""
    told: list[bytes] = []

    async def count(_: Head, reader: Reader, writer: Writer) -> None:
        writer.write(SWITCHED)
        told.append(await reader.read())
        for _ in range(20):
            writer.write(b"x" * 100_000)
            await writer.drain()
            await asyncio.sleep(0.005)

    plain.host.play = count
    wire = await _upgraded_wire(plain)
    try:
        await wire.write(b"question")
        await wire.write_eof()
        answer = b""
        while data := await wire.read():
            answer += data
    finally:
        wire.close()
    assert (told, len(answer.removeprefix(b"\r\n\r\n"))) == ([b"question"], 2_000_000)


async def _upgraded_wire(endpoint: Endpoint) -> Wire:
    wire = await dial("127.0.0.1", endpoint.port)
    await wire.secure(endpoint.authorities.client("api-server"), NAME)
    await wire.write(upgrade(EXEC))
    head = await wire.read()
    assert head.startswith(b"HTTP/1.1 101 ")
    assert head.endswith(b"\r\n\r\n")
    return wire


async def test_who_leaves_ends_the_stream_on_the_other_side(endpoint: Endpoint) -> None:
    ended = asyncio.Event()

    async def wait(_: Head, reader: Reader, writer: Writer) -> None:
        writer.write(SWITCHED)
        await reader.read()
        ended.set()

    endpoint.host.play = wait
    async with endpoint.upgraded(EXEC):
        assert endpoint.open("exec") == 1
    async with asyncio.timeout(5):
        await ended.wait()
    await eventually(lambda: endpoint.open("exec") == 0)

    async def leave(_: Head, reader: Reader, writer: Writer) -> None:
        writer.write(SWITCHED + b"bye")

    endpoint.host.play = leave
    async with endpoint.upgraded(EXEC) as (reader, _), asyncio.timeout(5):
        assert await reader.read() == b"bye"
    await eventually(lambda: endpoint.open("exec") == 0)


@pytest.mark.parametrize("target", [FOLLOW, EXEC])
async def test_who_leaves_before_the_host_has_answered_is_not_waited_for(
    plain: Endpoint, target: str
) -> None:
    ended = asyncio.Event()

    async def silent(_: Head, reader: Reader, writer: Writer) -> None:
        await reader.read()
        ended.set()

    plain.host.play = silent
    async with plain.connected() as (_, writer):
        writer.write(upgrade(target).replace(b"POST", b"GET"))
        await eventually(lambda: plain.host.heads)
    async with asyncio.timeout(5):
        await ended.wait()


@pytest.mark.parametrize("target", [FOLLOW, EXEC])
async def test_a_slow_reader_stops_the_host(endpoint: Endpoint, target: str) -> None:
    taken = 0

    async def pour(_: Head, reader: Reader, writer: Writer) -> None:
        nonlocal taken
        writer.write(LOG if target is FOLLOW else SWITCHED)
        while True:
            writer.write(chunk(b"x" * 65536))
            await writer.drain()
            taken += 65536

    endpoint.host.play = pour
    async with endpoint.connected() as (reader, writer):
        writer.write(upgrade(target).replace(b"POST", b"GET"))
        await reader.readuntil(b"\r\n\r\n")
        bound = await _plateau(lambda: taken)
        assert bound < 24_000_000  # four sockets' kernel buffers, and this reader's
        await reader.readexactly(bound)
        await eventually(lambda: taken > bound)
    await eventually(lambda: endpoint.open("log") + endpoint.open("exec") == 0)


async def test_a_host_that_does_not_read_stops_the_client(plain: Endpoint) -> None:
    taken = 0
    read = asyncio.Event()

    async def busy(_: Head, reader: Reader, writer: Writer) -> None:
        writer.write(SWITCHED)
        await read.wait()

    async def pour(writer: Writer) -> None:
        nonlocal taken
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            taken += 65536

    plain.host.play = busy
    async with plain.upgraded(EXEC) as (_, writer):
        pouring = asyncio.create_task(pour(writer))
        assert await _plateau(lambda: taken) < 24_000_000
        pouring.cancel()
        await asyncio.wait([pouring])
        read.set()


async def _plateau(count) -> int:  # type: ignore[no-untyped-def]
    """The count when it has not risen for half a second."""
    before = -1
    async with asyncio.timeout(20):
        while before != (now := count()) or not now:
            before = now
            await asyncio.sleep(0.5)
    return int(before)


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
