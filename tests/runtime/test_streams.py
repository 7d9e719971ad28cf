"""The bytes of streams: all of them, at once, in both directions, and never many at a time in memory."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from fakeapi import FakeApi
from streamhost import (
    EXEC,
    FOLLOW,
    LOG,
    NAME,
    SWITCHED,
    Endpoint,
    Head,
    Reader,
    Writer,
    chunk,
    pieces,
    streaming,
    upgrade,
)
from syncing import eventually

from syncer.serve.connection import Connection, dial


@pytest_asyncio.fixture(params=["http", "https"])
async def endpoint(request: pytest.FixtureRequest, api: FakeApi, tmp_path: Path) -> AsyncIterator[Endpoint]:
    async with streaming(api, tmp_path, secure=request.param == "https") as made:
        yield made


@pytest_asyncio.fixture
async def plain(api: FakeApi, tmp_path: Path) -> AsyncIterator[Endpoint]:
    """For what does not depend on how the host is reached."""
    async with streaming(api, tmp_path, secure=False) as made:
        yield made


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


async def test_a_terminal_is_resized_while_it_is_written_to(endpoint: Endpoint) -> None:
    """Sizes are messages of the client's, on a channel of their own; here, one line each."""
    output = b"".join(b"line %06d\r\n" % number for number in range(200_000))
    sizes = b"".join(b'\x04{"Width":%d,"Height":%d}\n' % (80 + n % 99, 24 + n % 50) for n in range(5_000))
    told = b""

    async def terminal(_: Head, reader: Reader, writer: Writer) -> None:
        nonlocal told
        writer.write(SWITCHED)

        async def listen() -> None:
            nonlocal told
            while len(told) < len(sizes):
                told += await reader.read(1 << 16)

        listening = asyncio.create_task(listen())
        for piece in pieces(output, 4_096):
            writer.write(piece)
            await writer.drain()
        await listening

    endpoint.host.play = terminal
    async with endpoint.upgraded(EXEC) as (reader, writer):

        async def resize() -> None:
            for piece in pieces(sizes, 37):  # frames do not care for the borders of messages
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

        resizing = asyncio.create_task(resize())
        assert await reader.readexactly(len(output)) == output
        await resizing
        await eventually(lambda: told == sizes)


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
    connection = await _upgraded_wire(plain)
    try:
        await connection.write(b"question")
        await connection.write_eof()
        answer = b""
        while data := await connection.read():
            answer += data
    finally:
        connection.close()
    assert (told, len(answer.removeprefix(b"\r\n\r\n"))) == ([b"question"], 2_000_000)


async def _upgraded_wire(endpoint: Endpoint) -> Connection:
    connection = await dial("127.0.0.1", endpoint.port)
    await connection.secure(endpoint.authorities.client("api-server"), NAME)
    await connection.write(upgrade(EXEC))
    head = await connection.read()
    assert head.startswith(b"HTTP/1.1 101 ")
    assert head.endswith(b"\r\n\r\n")
    return connection


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
            await _drained(writer)
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
            await _drained(writer)
            taken += 65536

    plain.host.play = busy
    async with plain.upgraded(EXEC) as (_, writer):
        pouring = asyncio.create_task(pour(writer))
        assert await _plateau(lambda: taken) < 24_000_000
        pouring.cancel()
        await asyncio.wait([pouring])
        read.set()


async def _drained(writer: Writer) -> None:
    """In Python 3.11 a TLS transport whose peer is gone takes everything and says nothing until the loop has
    run once; a writer that never yields would go on for ever."""
    await asyncio.sleep(0)
    await writer.drain()


async def _plateau(count) -> int:  # type: ignore[no-untyped-def]
    """The count when it has not risen for half a second."""
    before = -1
    async with asyncio.timeout(20):
        while before != (now := count()) or not now:
            before = now
            await asyncio.sleep(0.5)
    return int(before)
