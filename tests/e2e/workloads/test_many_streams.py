"""Many followed logs and as many commands at once, through one syncer: two hundred each in a soak.

kubectl would take a process and 30 MiB for each, so this is one client that speaks as kubectl does.
"""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from kube import kubeconfig, requests
from kube.client import Client
from labkit import network

from ..conftest import SOAK
from ..objects import pod
from .conftest import Place

MANY = 200 if SOAK else 60
LIMIT = 60.0  # seconds for all of them
# Channels of the protocol v5.channel.k8s.io; the last one closes the one that it names.
STDIN, STDOUT, ERROR, CLOSE = b"\0", b"\1", b"\3", b"\xff"


class Crowd:
    """All streams of a test: what is open, and when they may end."""

    def __init__(self, client: Client, root: str) -> None:
        self.client, self.root = client, root
        self.open = {"log": 0, "exec": 0}
        self.changed = asyncio.Event()
        self.leave = asyncio.Event()

    def opened(self, kind: str) -> None:
        self.open[kind] += 1
        self.changed.set()

    async def until(self, what: Callable[[], bool]) -> None:
        while not what():
            await self.changed.wait()
            self.changed.clear()

    async def follow(self) -> None:
        """Reads the log's first line, then further ones as they are written."""
        path = f"{self.root}/talker/log"
        said = b""
        async for piece in self.client.stream(requests.raw(path, {"follow": "true", "container": "main"})):
            if not said:
                self.opened("log")
            said += piece
            if self.leave.is_set() and said.count(b"\n") > 1:
                assert said.startswith(b"tick 1\ntick 2\n")
                return
        raise AssertionError(f"a followed log ended: {said[-100:]!r}")

    async def run(self, number: int) -> None:
        """A command that repeats what it is told, until there is no more to come."""
        query = {"command": "cat", "container": "main", "stdin": "true", "stdout": "true"}
        path = f"{self.root}/idle/exec"
        async with self.client.websocket(path, query, ("v5.channel.k8s.io",)) as socket:
            await socket.send_bytes(STDIN + b"I am %d" % number)
            assert await _next(socket, STDOUT) == b"I am %d" % number
            self.opened("exec")
            await self.leave.wait()
            await socket.send_bytes(STDIN + b"bye %d" % number)
            assert await _next(socket, STDOUT) == b"bye %d" % number
            await socket.send_bytes(CLOSE + STDIN)
            assert b'"status":"Success"' in await _next(socket, ERROR)


async def _next(socket: aiohttp.ClientWebSocketResponse, channel: bytes) -> bytes:
    """The next message on a channel that says anything; an empty one opens the channel."""
    while True:
        data = await socket.receive_bytes()
        if data[:1] == channel and len(data) > 1:
            return data[1:]
        assert len(data) <= 1, data


async def crowd(place: Place, metrics: Callable[[], str]) -> str:
    """The syncer's metrics while all streams are open."""
    access = kubeconfig.find(str(place.tenant.vcp.kubeconfig), place.tenant.context, environ={})
    async with Client(access, timeout=LIMIT, connections=3 * MANY) as client, asyncio.timeout(LIMIT):
        all_ = Crowd(client, f"/api/v1/namespaces/{place.namespace}/pods")
        async with asyncio.TaskGroup() as group:
            for number in range(MANY):
                group.create_task(all_.follow())
                group.create_task(all_.run(number))
            await all_.until(lambda: all_.open == {"log": MANY, "exec": MANY})
            told = await asyncio.to_thread(metrics)
            all_.leave.set()
    return told


@pytest.mark.timeout(240)
def test_two_hundred_logs_and_two_hundred_commands_at_once(place: Place) -> None:
    ticking = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 1; done"
    place.apply(pod("talker", "sh", "-c", ticking), pod("idle"))
    place.wait("--for=condition=Ready", "pod/talker", "pod/idle")
    (syncer,) = place.tenant.host_pods("syncer")
    url = f"http://{syncer['status']['podIP']}:8080/metrics"

    def metrics() -> str:
        return place.lab.run(*place.lab.on(syncer), "curl", "-sm10", url).stdout

    with network.entered(place.lab.lab.namespace):
        told = asyncio.run(crowd(place, metrics))
    for kind in ("log", "exec"):
        assert f'vcp_syncer_streams{{kind="{kind}"}} {MANY:.1f}' in told
