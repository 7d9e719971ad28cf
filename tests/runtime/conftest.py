"""One fake API server and a client to it."""

from collections.abc import AsyncIterator

import pytest_asyncio
from fakeapi import FakeApi

from syncer.kube.auth import Access
from syncer.kube.client import Client


@pytest_asyncio.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi().serve() as server:
        yield server


@pytest_asyncio.fixture
async def client(api: FakeApi) -> AsyncIterator[Client]:
    async with Client(Access(api.url), timeout=5) as connected:
        yield connected
