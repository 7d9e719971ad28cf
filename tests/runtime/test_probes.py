"""What the kubelet hears of a syncer that starts."""

import asyncio
import socket

import aiohttp
import pytest

from syncer.serve import probes

_LIMIT = 20.0


async def test_a_start_is_told_at_the_moment_that_it_is_done() -> None:
    started = asyncio.Event()
    missing = ["tenant pods"]

    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with asyncio.timeout(_LIMIT), aiohttp.ClientSession(url) as kubelet:
        # Before anybody serves: the kernel takes the connection, and the kubelet waits for its answer.
        asked = asyncio.ensure_future(kubelet.get("/startupz"))
        async with probes.serving(listener, started.wait, lambda: missing, lambda: b""):
            async with kubelet.get("/readyz") as answer:
                assert (answer.status, await answer.text()) == (503, "not in step: tenant pods\n")
            assert not asked.done()
            missing.clear()
            started.set()
            assert (await asked).status == 200
            async with kubelet.get("/readyz") as answer:
                assert (answer.status, await answer.text()) == (200, "ok")


async def test_a_start_that_takes_its_time_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_PATIENCE", 0.05)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with (
        asyncio.timeout(_LIMIT),
        probes.serving(listener, asyncio.Event().wait, lambda: ["host secrets"], lambda: b""),
        aiohttp.ClientSession(url) as kubelet,
        kubelet.get("/startupz") as answer,
    ):
        assert (answer.status, await answer.text()) == (503, "not in step: host secrets\n")
