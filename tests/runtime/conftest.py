"""One fake API server, a client to it, the command line against it, and a tenant on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import faketenant
import pytest
import pytest_asyncio
from fakeapi import FakeApi
from hostcli import HostCli

from kube.auth import Access
from kube.client import Client


@pytest_asyncio.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi().serve() as server:
        yield server


@pytest_asyncio.fixture
async def client(api: FakeApi) -> AsyncIterator[Client]:
    async with Client(Access(api.url), timeout=5) as connected:
        yield connected


@pytest_asyncio.fixture
async def tenant(api: FakeApi, tmp_path: Path) -> faketenant.Tenant:
    return faketenant.put(api, tmp_path)


@pytest.fixture
def cli(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostCli:
    monkeypatch.setenv("VCP_CONFIG", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return HostCli(api, tmp_path)
