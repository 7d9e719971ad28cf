"""Many objects over one quota, in virtual time."""

import asyncio

from kube import errors
from syncer.engine.quotas import Quotas, exceeded
from syncer.engine.workqueue import WorkQueue

FULL = (
    'pods "web-x" is forbidden: exceeded quota: vcp-quota, requested: pods=1, used: pods=10, limited: pods=10'
)


class Host:
    """Has room for some; counts what it is asked."""

    def __init__(self, room: int) -> None:
        self.room, self.asked, self.made = room, 0, list[int]()

    async def work(self, queue: WorkQueue[int], quotas: Quotas[int]) -> None:
        while True:
            item, _ = await queue.get()
            if item in self.made:  # it was let in meanwhile: nothing is left to do
                queue.done(item)
                continue
            self.asked += 1
            if self.room > 0:
                self.room -= 1
                self.made.append(item)
                quotas.settled(item)
            else:
                quotas.refused(item, "q")
            queue.done(item)


async def test_one_asks_for_all_and_room_is_found_and_used() -> None:
    queue: WorkQueue[int] = WorkQueue()
    quotas = Quotas(queue)
    host = Host(room=10)
    working = asyncio.create_task(host.work(queue, quotas))
    for number in range(160):
        queue.add(number)
    await asyncio.sleep(60)
    assert host.made == list(range(10))
    first = host.asked
    assert first <= 160 + 15
    await asyncio.sleep(60)
    assert host.asked - first <= 6
    host.room = 40
    await asyncio.sleep(20)
    assert len(host.made) == 50
    assert host.asked - first <= 100
    host.room = 1000
    await asyncio.sleep(20)
    assert sorted(host.made) == list(range(160))
    working.cancel()


async def test_those_who_wait_take_turns() -> None:
    queue: WorkQueue[int] = WorkQueue()
    quotas = Quotas(queue)
    seen: list[int] = []
    for number in range(3):
        quotas.refused(number, "q")
    for _ in range(6):
        item, _ = await queue.get()
        seen.append(item)
        quotas.refused(item, "q")
        queue.done(item)
    assert seen == [0, 1, 2, 0, 1, 2]


async def test_what_is_deleted_meanwhile_holds_nobody_up() -> None:
    queue: WorkQueue[int] = WorkQueue()
    quotas = Quotas(queue)
    for number in range(3):
        quotas.refused(number, "q")
    quotas.settled(0)
    assert [(await queue.get())[0] for _ in range(2)] == [1, 2]


def test_only_a_quota_counts_as_one() -> None:
    assert exceeded(errors.ForbiddenError(403, {"message": FULL})) == "vcp-quota pods"
    several = FULL.replace("limited: pods=10", "limited: services.loadbalancers=0,services.nodeports=0")
    expected = "vcp-quota services.loadbalancers services.nodeports"
    assert exceeded(errors.ForbiddenError(403, {"message": several})) == expected
    assert exceeded(errors.ForbiddenError(403, {"message": "exceeded quota: vcp-quota"})) == "vcp-quota"
    assert exceeded(errors.ForbiddenError(403, {"message": "violates PodSecurity"})) == ""
    assert exceeded(errors.ServerError(500, {"message": FULL})) == ""


async def test_what_another_quota_refuses_asks_no_longer_for_the_first() -> None:
    queue: WorkQueue[int] = WorkQueue()
    quotas = Quotas(queue)
    for number in range(2):
        quotas.refused(number, "pods")
    item, _ = await queue.get()
    quotas.refused(item, "cpu")
    queue.done(item)
    seen = set()
    for _ in range(3):
        item, _ = await queue.get()
        seen.add(item)
        quotas.refused(item, "cpu" if item == 0 else "pods")
        queue.done(item)
    assert seen == {0, 1}
