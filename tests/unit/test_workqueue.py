"""The work queue, in virtual time."""

import asyncio

import pytest

from kube.backoff import Backoff
from syncer.engine.workqueue import ClosedError, Lane, WorkQueue


async def take(queue: WorkQueue[str]) -> str:
    item, _ = await queue.get()
    return item


async def drained(queue: WorkQueue[str]) -> list[str]:
    found = []
    while len(queue):
        found.append(await take(queue))
        queue.done(found[-1])
    return found


async def test_an_item_waits_once_however_often_it_is_added() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for item in "abab":
        queue.add(item)
    assert await drained(queue) == ["a", "b"]


async def test_an_item_added_while_worked_on_comes_again_and_never_to_two_workers() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await take(queue) == "a"
    queue.add("a")
    assert not len(queue)
    queue.done("a")
    assert await drained(queue) == ["a"]
    assert queue.idle


async def test_what_goes_on_comes_before_other_changes_these_before_retries_and_resyncs() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("resync", Lane.RESYNC)
    queue.add("retry", Lane.RETRY)
    queue.add("fresh")
    queue.add("ongoing", Lane.ONGOING)
    queue.add("urgent now", Lane.RESYNC)
    queue.add("urgent now", Lane.FRESH)
    assert await drained(queue) == ["ongoing", "fresh", "urgent now", "retry", "resync"]


@pytest.mark.parametrize("busy", [Lane.ONGOING, Lane.FRESH])
async def test_no_lane_waits_for_ever_behind_one_that_never_empties(busy: Lane) -> None:
    queue: WorkQueue[str] = WorkQueue()
    others = [lane for lane in Lane if lane > busy]
    for number in range(10):
        queue.add(f"busy {number}", busy)
    await asyncio.sleep(1)
    for lane in others:
        queue.add(lane.name, lane)
    taken = []
    for number in range(10, 150):
        taken.append(await take(queue))
        queue.done(taken[-1])
        await asyncio.sleep(0.1)
        queue.add(f"busy {number}", busy)
    assert {lane.name for lane in others} <= set(taken)
    assert sum(item.startswith("busy") for item in taken) >= len(taken) * 7 // 8
    assert [item for item in taken if item.startswith("busy")] == [
        f"busy {number}" for number in range(len(taken) - len(others))
    ]


async def test_a_burst_in_an_urgent_lane_leaves_the_others_an_eighth() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for number in range(100):
        queue.add(f"old {number}", Lane.RESYNC)
    await asyncio.sleep(1)
    for number in range(70):
        queue.add(f"new {number}", Lane.ONGOING)
    taken = await drained(queue)
    assert sum(item.startswith("new") for item in taken[:80]) == 70
    assert taken[80:] == [f"old {number}" for number in range(10, 100)]


async def test_a_wait_is_exact_and_the_earliest_wish_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    loop = asyncio.get_running_loop()
    queue.add_after("a", 30)
    queue.add_after("a", 10)
    queue.add_after("a", 20)
    queue.add_after("b", 15)
    assert await take(queue) == "a"
    assert loop.time() == 10
    queue.done("a")
    assert await take(queue) == "b"
    assert loop.time() == 15
    queue.done("b")
    with pytest.raises(TimeoutError):  # the void wishes add nothing
        async with asyncio.timeout(100):
            await take(queue)


async def test_pauses_double_up_to_a_limit_and_success_resets_them() -> None:
    queue: WorkQueue[str] = WorkQueue(Backoff(1, 10, 0.2))
    loop = asyncio.get_running_loop()
    taken = []
    for _ in range(6):
        before = loop.time()
        said = queue.retry("a")
        assert await take(queue) == "a"
        queue.done("a")
        taken.append(loop.time() - before)
        assert taken[-1] == pytest.approx(said)
    for pause, longest in zip(taken, (1, 2, 4, 8, 10, 10), strict=True):
        assert 0.8 * longest <= pause <= longest
    queue.forget("a")
    assert queue.retry("a") <= 1


async def test_a_claimed_item_leaves_its_lane() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert queue.claim("a")
    assert not queue.claim("a")
    assert not len(queue)
    queue.done("a")
    assert queue.idle


async def test_workers_that_wait_get_one_item_each_whatever_was_claimed() -> None:
    queue: WorkQueue[str] = WorkQueue()
    workers = [asyncio.create_task(take(queue)) for _ in range(3)]
    await asyncio.sleep(1)
    for item in ("a", "b", "c"):
        queue.add(item)
    assert queue.claim("a")
    await asyncio.sleep(1)
    assert sorted(worker.result() for worker in workers if worker.done()) == ["b", "c"]
    queue.done("a")
    queue.add("d")
    assert sorted(await asyncio.gather(*workers)) == ["b", "c", "d"]


async def test_a_worker_that_is_cancelled_leaves_the_item_to_another() -> None:
    queue: WorkQueue[str] = WorkQueue()
    workers = [asyncio.create_task(take(queue)) for _ in range(2)]
    await asyncio.sleep(1)
    queue.add("a")
    workers[0].cancel()
    assert await workers[1] == "a"


async def test_waiting_time_counts_from_the_first_add() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", Lane.RESYNC)
    await asyncio.sleep(3)
    queue.add("a", Lane.FRESH)
    await asyncio.sleep(2)
    assert await queue.get() == ("a", 5)


async def test_a_closed_queue_ends_every_worker() -> None:
    queue: WorkQueue[str] = WorkQueue()
    workers = [asyncio.create_task(take(queue)) for _ in range(3)]
    await asyncio.sleep(1)
    queue.add("a")
    queue.close()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, ClosedError) for result in results)


async def test_a_hundred_thousand_events_on_few_keys_are_little_work() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for number in range(100_000):
        queue.add(str(number % 50))
    assert len(await drained(queue)) == 50
