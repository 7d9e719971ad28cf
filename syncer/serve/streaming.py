"""Carries a stream from the host's API to whoever asked for it: heads are written anew, the rest is piped."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

import h11

from syncer.serve.connection import Connection, join
from syncer.serve.hostpods import HostPods, upgrade_headers
from syncer.serve.http import Http, Refused

T = TypeVar("T")

_LINGER = 10.0  # seconds that one direction of an upgraded connection outlives the other
_PROTOCOLS = (b"spdy/3.1", b"websocket")


async def follow(http: Http, _: h11.Request, host: HostPods, target: str) -> None:
    """A log. The host answers only with the first line, so there is no limit to wait for it."""
    await _unless_gone(http.connection, _copy(http, host, target))


async def _copy(http: Http, host: HostPods, target: str) -> None:
    """Piece by piece as they come; without a length, so that a broken log can be told from a whole one."""
    async with host.ask("GET", target, []) as (answer, _):
        kind = [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked"), ("Connection", "close")]
        await http.send(h11.Response(status_code=200, headers=kind))
        try:
            while isinstance(event := await answer.next(), h11.Data):
                await http.send(h11.Data(event.data))
        except h11.RemoteProtocolError as error:
            raise ConnectionResetError("the host broke off the log") from error
        await http.send(h11.EndOfMessage())


async def tunnel(http: Http, head: h11.Request, host: HostPods, target: str) -> None:
    """An upgraded connection, SPDY or WebSocket alike: what is in it is between kubectl and the host."""
    headers = upgrade_headers(head.headers)
    if not any(name == b"upgrade" and value.lower() in _PROTOCOLS for name, value in headers):
        raise Refused(400, "Upgrade request required")
    async with contextlib.AsyncExitStack() as stack:
        asked = host.ask(head.method.decode(), target, headers)
        answer, switched = await _unless_gone(http.connection, stack.enter_async_context(asked))
        if switched.status_code != 101:
            raise Refused(502, "the host did not upgrade the connection")
        told = upgrade_headers(switched.headers)
        await http.send(
            h11.InformationalResponse(status_code=101, headers=told, reason="Switching Protocols")
        )
        await http.connection.write(answer.surplus())
        await answer.connection.write(http.surplus())
        await join(http.connection, answer.connection, _LINGER)


async def _unless_gone(connection: Connection, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; raises ConnectionResetError when the peer of `wire` leaves before."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(connection.wait_end())
    try:
        await asyncio.wait([doing, leaving], return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise ConnectionResetError("the client left")
    finally:
        for task in (doing, leaving):
            task.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)
