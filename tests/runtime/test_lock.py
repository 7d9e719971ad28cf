"""Of two creates one wins and the other says so; a dead holder is outlived."""

import asyncio
import os
import socket
import sys

import pytest
from fakeapi import FakeApi

from kube.client import Client
from vcp import lock
from vcp.errors import RefusedError


def lease(api: FakeApi, holder: str) -> None:
    meta = {"name": lock.NAME, "namespace": "ns"}
    api.put("leases", {"metadata": meta, "spec": {"holderIdentity": holder, "renewTime": "then"}})


async def test_the_lock_is_there_while_held_and_gone_after(api: FakeApi, client: Client) -> None:
    async with lock.held(client, "ns", {}, lock.identity()):
        found = api.find("leases", lock.NAME, "ns")
        assert found
        assert str(os.getpid()) in found["spec"]["holderIdentity"]
    assert api.find("leases", lock.NAME, "ns") is None


async def test_the_second_create_is_told_who_holds_the_lock(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_RENEW", 0.05)
    async with lock.held(client, "ns", {}, "alice@elsewhere/1/x"):
        with pytest.raises(RefusedError, match="running: alice@elsewhere"):
            async with lock.held(client, "ns", {}, "bob@elsewhere/1/y"):
                pass


async def test_a_silent_holder_is_outlived(api: FakeApi, client: Client) -> None:
    lease(api, "alice@elsewhere/1/x")
    async with asyncio.timeout(5), lock.held(client, "ns", {}, "bob", valid=0.2):
        found = api.find("leases", lock.NAME, "ns")
        assert found
        assert found["spec"]["holderIdentity"] == "bob"


async def test_a_holder_that_died_on_this_machine_costs_no_wait(api: FakeApi, client: Client) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await child.wait()
    lease(api, f"alice@{socket.gethostname()}/{child.pid}/x")
    async with asyncio.timeout(2), lock.held(client, "ns", {}, "bob", valid=60):
        pass


async def test_a_holder_that_lives_on_this_machine_is_told_at_once(api: FakeApi, client: Client) -> None:
    lease(api, f"alice@{socket.gethostname()}/{os.getpid()}/x")
    with pytest.raises(RefusedError, match="running: alice@"):
        async with asyncio.timeout(2), lock.held(client, "ns", {}, "bob", valid=60):
            pass


async def test_a_lock_that_was_taken_away_ends_the_work(
    api: FakeApi, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_RENEW", 0.05)

    async def work() -> None:
        async with lock.held(client, "ns", {}, "alice"):
            api.remove("leases", lock.NAME, "ns")
            await asyncio.sleep(5)

    with pytest.raises(RefusedError, match="took over"):
        await work()
