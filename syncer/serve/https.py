"""HTTP over TLS for the small servers, with certificates that may be renewed while they serve."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

from aiohttp import web

from syncer.serve.certificates import ServingTls

_RELOAD_EVERY = 30.0  # seconds; the kubelet itself takes longer to bring a renewed Secret
_BACKLOG = 128
_HANDSHAKE = 10.0  # seconds: a client that shows no certificate by then is gone


@contextlib.asynccontextmanager
async def serving(app: web.Application, port: int, tls: ServingTls) -> AsyncIterator[int]:
    """Serves until the body ends; yields the port, which is a free one for port 0. Raises ConfigError."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        with listener(port, _BACKLOG) as door:
            known = tls.context()
            first = await _site(runner, door, known)
            renewing = asyncio.create_task(_renew(runner, door, tls, known, first), name="certificates")
            try:
                yield door.getsockname()[1]
            finally:
                renewing.cancel()
                await asyncio.wait([renewing])
    finally:
        await runner.cleanup()


async def _renew(
    runner: web.AppRunner, door: socket.socket, tls: ServingTls, known: ssl.SSLContext, site: asyncio.Server
) -> None:
    """New connections get the certificates that are in the folder by then. The socket stays, so that
    nobody finds it closed. Closes the last site when it is cancelled."""
    try:
        while True:
            await asyncio.sleep(_RELOAD_EVERY)
            if (context := tls.context()) is not known:
                newer = await _site(runner, door, context)
                site.close()
                site, known = newer, context
    finally:
        site.close()


async def _site(runner: web.AppRunner, door: socket.socket, context: ssl.SSLContext) -> asyncio.Server:
    assert runner.server is not None  # noqa: S101  (after `setup`)
    return await asyncio.get_running_loop().create_server(
        runner.server, sock=door.dup(), ssl=context, backlog=_BACKLOG, ssl_handshake_timeout=_HANDSHAKE
    )


def listener(port: int, backlog: int) -> socket.socket:
    """On all addresses of both families, where the machine has both."""
    try:
        found = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=backlog)
    except (OSError, ValueError):
        found = socket.create_server(("", port), backlog=backlog)
    found.setblocking(False)
    return found
