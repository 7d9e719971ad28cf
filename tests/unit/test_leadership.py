"""Leader election against one Lease in memory, in virtual time: never two who may write."""

import asyncio
import copy
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from virtualtime import VirtualTimeLoop

from kube import errors
from syncer.engine import leadership
from syncer.engine.leadership import Leadership


class LeaseApi:
    """The Lease endpoint: optimistic locking, and a door that can be shut per replica."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.shut: set[str] = set()
        self.slow = 0.0  # seconds that each answer takes
        self._version = 0

    def of(self, replica: str) -> "LeaseClient":
        return LeaseClient(self, replica)


class LeaseClient:
    def __init__(self, api: LeaseApi, replica: str) -> None:
        self._api, self._replica = api, replica

    async def get(self, *_: object) -> dict[str, Any]:
        self._check()
        await asyncio.sleep(self._api.slow)
        if self._api.lease is None:
            raise errors.NotFoundError(404, {})
        return copy.deepcopy(self._api.lease)

    async def create(self, _: object, __: str, lease: dict[str, Any]) -> None:
        self._check()
        if self._api.lease is not None:
            raise errors.AlreadyExistsError(409, {})
        self._put(lease)

    async def replace(self, _: object, __: str, lease: dict[str, Any]) -> None:
        self._check()
        assert self._api.lease
        if lease["metadata"]["resourceVersion"] != self._api.lease["metadata"]["resourceVersion"]:
            raise errors.ConflictError(409, {})
        self._put(lease)

    def _put(self, lease: dict[str, Any]) -> None:
        self._api._version += 1
        self._api.lease = copy.deepcopy(lease)
        self._api.lease["metadata"]["resourceVersion"] = str(self._api._version)

    def _check(self) -> None:
        if self._replica in self._api.shut:
            raise errors.UnreachableError("shut")


def replica(api: LeaseApi, name: str, skew: float = 0) -> tuple[Leadership, "asyncio.Task[None]"]:
    """A replica whose wall clock is wrong by `skew` seconds."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def wall() -> datetime:
        return start + timedelta(seconds=asyncio.get_running_loop().time() + skew)

    made = Leadership(api.of(name), "control", name, wall=wall)  # type: ignore[arg-type]
    return made, asyncio.create_task(made.run(), name=name)


async def until(held: Leadership, seconds: float) -> float:
    """Seconds until it leads."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    async with asyncio.timeout(seconds):
        while not held.held():
            held.changed.clear()
            await held.changed.wait()
    return loop.time() - before


async def test_the_first_one_leads_and_the_second_waits() -> None:
    api = LeaseApi()
    first, one = replica(api, "one")
    await until(first, 1)
    second, two = replica(api, "two")
    await asyncio.sleep(300)
    assert first.held()
    assert not second.held()
    one.cancel()
    two.cancel()


async def test_a_replica_that_is_cut_off_stops_before_another_begins() -> None:
    api = LeaseApi()
    first, one = replica(api, "one")
    await until(first, 1)
    second, two = replica(api, "two")
    await asyncio.sleep(5)
    api.shut.add("one")
    loop = asyncio.get_running_loop()
    cut = loop.time()
    first.changed.clear()
    await first.changed.wait()
    assert not first.held()
    stopped = loop.time() - cut
    assert stopped <= leadership.RENEW_WITHIN
    assert not second.held()
    await until(second, 60)
    assert loop.time() - cut >= leadership.LEASE - leadership.RENEW_EVERY
    api.shut.clear()
    await asyncio.sleep(60)
    assert second.held()
    assert not first.held()
    one.cancel()
    two.cancel()


async def test_a_process_that_stood_still_does_not_believe_to_lead() -> None:
    api = LeaseApi()
    first, one = replica(api, "one")
    await until(first, 1)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.turn(leadership.RENEW_WITHIN)
    assert not first.held()
    one.cancel()


async def test_a_lead_that_lapsed_under_way_is_taken_up_again() -> None:
    """The renewal that succeeds too late has to wake those who stopped in the meantime."""
    api = LeaseApi()
    first, one = replica(api, "one")
    await until(first, 1)
    await asyncio.sleep(1)
    api.shut.add("one")
    await asyncio.sleep(7.5)
    api.shut.clear()
    api.slow = 4.5
    loop = asyncio.get_running_loop()
    while first.held():  # noqa: ASYNC110  nothing tells when time is up
        await asyncio.sleep(0.1)
    first.changed.clear()
    async with asyncio.timeout(10):
        await first.changed.wait()
    assert first.held(), loop.time()
    one.cancel()


async def test_wrong_wall_clocks_neither_take_nor_lose_the_lease() -> None:
    api = LeaseApi()
    first, one = replica(api, "one", skew=-86_400)
    await until(first, 1)
    second, two = replica(api, "two", skew=86_400)
    await asyncio.sleep(120)
    assert first.held()
    assert not second.held()
    one.cancel()
    two.cancel()


async def test_a_released_lease_is_taken_at_once() -> None:
    api = LeaseApi()
    first, one = replica(api, "one")
    await until(first, 1)
    second, two = replica(api, "two")
    await asyncio.sleep(3)
    one.cancel()
    await first.release()
    assert not first.held()
    assert await until(second, 10) <= leadership.RENEW_EVERY
    two.cancel()


async def test_the_next_container_of_the_same_pod_takes_its_lease_up_at_once() -> None:
    api = LeaseApi()
    first, one = replica(api, "pod")
    await until(first, 1)
    one.cancel()  # killed: nothing is released
    again, two = replica(api, "pod")
    assert await until(again, 5) < 0.1
    two.cancel()


@pytest.mark.parametrize("seed", range(5))
async def test_never_two_writers_whatever_is_cut(seed: int) -> None:
    """Three replicas whose doors open and shut at random for an hour."""
    chance = random.Random(seed)
    api = LeaseApi()
    replicas = [replica(api, name, skew=chance.uniform(-100, 100)) for name in ("a", "b", "c")]
    led = 0
    for _ in range(3600 * 2):
        if chance.random() < 0.02:
            api.shut = {name for name in "abc" if chance.random() < 0.4}
        await asyncio.sleep(0.5)
        holders = sum(made.held() for made, _ in replicas)
        assert holders <= 1, f"seed {seed}"
        led += holders
    assert led > 3600  # somebody led at least half of the time
    for _, task in replicas:
        task.cancel()
