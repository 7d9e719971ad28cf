"""The server's end of a connection in tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def served(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Closes the connection after the body, which a client that goes ends quietly."""
    try:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
