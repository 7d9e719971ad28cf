"""How often an API server is asked whose watches fail, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kube import apis, errors
from kube.client import Client, ListResult
from kube.reflector import Reflector, View
from kube.watching import WatchEvent


class Server(Client):
    """Lists nothing and ends each watch by an error, after some events."""

    def __init__(self, error: errors.KubeError, events: int = 0) -> None:
        self.error, self.events, self.lists, self.watches = error, events, 0, 0

    async def list(self, *_: Any, **__: Any) -> ListResult:
        self.lists += 1
        listed = ListResult()
        listed.resource_version = "1"
        return listed

    async def watch(self, *_: Any, **__: Any) -> AsyncIterator[WatchEvent[Any]]:  # type: ignore[override]
        self.watches += 1
        for number in range(self.events):
            yield WatchEvent("ADDED", {"metadata": {"name": "a", "resourceVersion": str(number + 2)}})
        raise self.error


class Seen(Reflector):
    def replace(self, found: ListResult) -> None:
        pass

    def take(self, event: WatchEvent[Any]) -> None:
        pass

    def failed(self, error: errors.KubeError) -> bool:
        return True


async def watched(server: Server, seconds: float) -> Server:
    task = asyncio.create_task(Seen(server, View(apis.PODS)).run())
    await asyncio.sleep(seconds)
    task.cancel()
    return server


@pytest.mark.parametrize("error", [errors.GoneError(410, {}), errors.ForbiddenError(403, {})])
async def test_a_server_whose_watches_fail_at_once_is_asked_ever_less_often(error: errors.KubeError) -> None:
    first = await watched(Server(error), 60)
    assert first.watches <= 30
    later = await watched(Server(error), 120)
    assert later.watches - first.watches <= 30


async def test_after_a_watch_that_told_something_the_next_one_comes_soon() -> None:
    assert (await watched(Server(errors.TransportError("reset"), events=1), 60)).watches > 150
