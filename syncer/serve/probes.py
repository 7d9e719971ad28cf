"""What the kubelet and Prometheus ask a syncer: /healthz, /readyz and /metrics, by plain HTTP."""

import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web


@contextlib.asynccontextmanager
async def serving(
    port: int, lagging: Callable[[], list[str]], metrics: Callable[[], bytes]
) -> AsyncIterator[int]:
    """Serves until the body ends; yields the port, which is a free one for port 0.

    `lagging` names what is not in step yet: while there is any, /readyz answers 503 with it."""

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
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", exposition)]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, port=port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
