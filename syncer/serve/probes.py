"""What the kubelet and Prometheus ask a syncer: /startupz, /healthz, /readyz and /metrics, by plain HTTP."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

_PATIENCE = 4.0  # seconds, less than the kubelet waits for an answer


@contextlib.asynccontextmanager
async def serving(
    listener: socket.socket,
    started: Callable[[], Awaitable[object]],
    lagging: Callable[[], list[str]],
    metrics: Callable[[], bytes],
) -> AsyncIterator[None]:
    """Serves on `listener`, which it closes, until the body ends.

    `lagging` names what is not in step yet: while there is any, /readyz answers 503 with it. /startupz does
    so too, but only after it has awaited `started` for some seconds: the kubelet hears of the start at once,
    not when it asks again."""

    async def startupz(request: web.Request) -> web.Response:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(started(), _PATIENCE)
        return await readyz(request)

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        missing = lagging()
        text = "".join(f"not in step: {name}\n" for name in missing)
        return web.Response(text=text or "ok", status=503 if missing else 200)

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes(
        [
            web.get("/startupz", startupz),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", exposition),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()
