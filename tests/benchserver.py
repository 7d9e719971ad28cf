"""An API server for benchmarks, in a process of its own. Its pods are made beforehand, as API servers send
them. The name of a namespace is the number of its pods, or of the events of a watch."""

import asyncio
import functools
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import msgspec
from aiohttp import web

from tests import benchpods


def serve(ready: Connection, most: int, size: int) -> None:
    """Runs until the process is ended; `ready` gets the URL and the bytes of a pod."""
    pods = [msgspec.json.encode(held.tenant) for held in benchpods.many(most, 100)]
    events = [b'{"type":"MODIFIED","object":%s}\n' % pod for pod in pods[:size]]

    @functools.cache
    def page(count: int, start: int) -> bytes:
        token = str(start + size) if start + size < count else ""
        metadata = msgspec.json.encode({"resourceVersion": "20000", "continue": token})
        items = b",".join(pods[start : min(start + size, count)])
        return b'{"kind":"PodList","apiVersion":"v1","metadata":%s,"items":[%s]}' % (metadata, items)

    async def collection(request: web.Request) -> web.StreamResponse:
        count = int(request.match_info["count"])
        if "watch" not in request.query:
            body = page(count, int(request.query.get("continue", "0")))
            return web.Response(body=body, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for number in range(count):
            await response.write(events[number % len(events)])
        return response

    async def pod(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=pods[0], content_type="application/json")

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/api/v1/namespaces/{count}/pods", collection)
        app.router.add_route("*", "/api/v1/namespaces/{count}/pods/{name}", pod)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.send((f"http://127.0.0.1:{runner.addresses[0][1]}", len(pods[0])))
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def server(most: int, size: int) -> Iterator[tuple[str, int]]:
    """The URL of a server of up to `most` pods in pages of `size`, and the bytes of a pod."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, most, size), daemon=True)
    process.start()
    yield here.recv()
    process.terminate()
    process.join()
