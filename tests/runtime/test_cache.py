"""A scene stays true through changes, lost history and broken watches."""

import asyncio

import pytest
from fakeapi import FakeApi, Obj

from kube import errors as kube
from kube.apis import EVENTS, PODS
from kube.cache import Cache, watching
from kube.client import Client
from kube.errors import DeadlineError
from kube.reflector import View


def pod(name: str, phase: str) -> Obj:
    return {"metadata": {"name": name, "namespace": "ns"}, "status": {"phase": phase}}


def phases(cache: Cache) -> dict[str, str]:
    return {obj["metadata"]["name"]: obj["status"]["phase"] for obj in cache.items(PODS)}


async def test_until_sees_what_changes(api: FakeApi, client: Client) -> None:
    api.put("pods", pod("a", "Pending"))
    async with watching(client, View(PODS, "ns")) as cache:
        assert phases(cache) == {"a": "Pending"}
        api.put("pods", pod("a", "Running"))
        api.put("pods", pod("b", "Pending"))
        api.remove("pods", "b", "ns")
        await cache.until(lambda now: phases(now) == {"a": "Running"} or None, 5, "a to run")
        with pytest.raises(DeadlineError, match=r"c to run: not within 0.1 s"):
            await cache.until(lambda now: now.find(PODS, "c", "ns"), 0.1, "c to run")


async def test_lost_history_and_broken_connections_are_overcome(api: FakeApi, client: Client) -> None:
    api.fail_next("GET /api/v1/namespaces/ns/pods", 410, "Expired")
    api.fail_next("GET /api/v1/namespaces/ns/pods")
    async with watching(client, View(PODS, "ns")) as cache:
        api.put("pods", pod("a", "Running"))
        api.compact()
        await cache.until(lambda now: now.find(PODS, "a", "ns"), 5, "a")


async def test_an_optional_view_may_be_forbidden(api: FakeApi, client: Client) -> None:
    api.denied.add(("list", "events"))
    async with asyncio.timeout(5), watching(client, View(EVENTS, "ns", optional=True)) as cache:
        assert cache.items(EVENTS) == []
    with pytest.raises(kube.ForbiddenError):
        async with asyncio.timeout(5), watching(client, View(EVENTS, "ns")):
            pass
