"""A loop for servers of the syncer that outlives examples, and a client that sends any bytes.

What nobody handled is an error here: an exception that reached the event loop, or one that was logged.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, TypeVar

from aiohttp.http_exceptions import BadHttpMessage

from syncer.serve.connection import Connection, dial

T = TypeVar("T")

ANSWERED_WITHIN = 15.0  # seconds for an example, which takes milliseconds on an idle machine
_PATIENCE = 0.02  # seconds that a client waits for an answer before it says that it sends no more


class Loop:
    """An event loop that outlives examples. A test is a plain function, so it can keep what is expensive."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._stack = contextlib.AsyncExitStack()
        self._unhandled: list[str] = []
        runner.get_loop().set_exception_handler(lambda _, context: self._unhandled.append(str(context)))

    def run(self, work: Awaitable[T]) -> T:
        """The result of `work`. Fails if anything went unhandled meanwhile."""

        async def bounded() -> T:
            async with asyncio.timeout(ANSWERED_WITHIN):
                return await work

        with logged() as found:
            result = self._runner.run(bounded())
        assert not found, found
        assert not self._unhandled, self._unhandled
        return result

    def enter(self, manager: contextlib.AbstractAsyncContextManager[T]) -> T:
        return self._runner.run(self._stack.enter_async_context(manager))

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        assert not self._unhandled, self._unhandled


@contextlib.contextmanager
def loop() -> Iterator[Loop]:
    with asyncio.Runner() as runner:
        made = Loop(runner)
        try:
            yield made
        finally:
            made.close()


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """All that is logged as an error meanwhile, but for what aiohttp says of requests that are not HTTP:
    it logs a traceback of its parser and answers 400."""
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not (record.exc_info and isinstance(record.exc_info[1], BadHttpMessage)):
                found.append(self.format(record))

    handler = Handler(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(handler)


@contextlib.asynccontextmanager
async def connected(port: int, client: ssl.SSLContext | None, name: str) -> AsyncIterator[Connection]:
    connection = await dial("127.0.0.1", port)
    try:
        if client:
            await connection.secure(client, name)
        yield connection
    finally:
        connection.close()


async def said(
    port: int, client: ssl.SSLContext | None, name: str, *pieces: bytes, patience: float = _PATIENCE
) -> bytes:
    """All that a server says to these bytes until it closes the connection."""
    async with connected(port, client, name) as connection:
        reading = asyncio.ensure_future(_all(connection))
        try:
            with contextlib.suppress(OSError):  # it need not hear us out
                for piece in pieces:
                    await connection.write(piece)
                await asyncio.wait([reading], timeout=patience)
                await connection.write_eof()
            return await reading
        finally:
            reading.cancel()
            await asyncio.wait([reading])


async def _all(connection: Connection) -> bytes:
    whole = b""
    with contextlib.suppress(OSError):
        while piece := await connection.read():
            whole += piece
    return whole


def status_of(answer: bytes) -> int:
    """The HTTP status; 0 if there is none."""
    words: Any = answer.split(b"\r\n", 1)[0].split()
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/1") else 0
