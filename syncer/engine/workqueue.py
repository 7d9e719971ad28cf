"""The keys that wait for a worker: each at most once, never with two workers at a time, the urgent ones
first, and none forever.

The rules are client-go's: an item that is added while it is worked on is queued again when that work is
done, so no change is missed and none is worked on twice. Times are the event loop's, which a test can turn.
"""

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Hashable
from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

from kube.backoff import Backoff

T = TypeVar("T", bound=Hashable)

_RETRY = Backoff(0.05, 60.0, spread=0.2)
_FAIR = 8  # of so many items one is that which has waited longest, in whatever lane: so none waits forever


class Lane(IntEnum):
    """In the order in which they are served."""

    ONGOING = 0  # a change on the host of what is there: it finishes what was begun
    FRESH = 1  # any other change
    RETRY = 2  # an earlier failure
    RESYNC = 3  # a first list or a relist: much of it settled


class ClosedError(Exception):
    """The queue is closed: finish what you work on, and take nothing more."""


class _Due(NamedTuple):
    time: float
    number: int
    item: object
    lane: Lane


class WorkQueue(Generic[T]):
    """`get` and `done` bracket the work on an item."""

    def __init__(self, backoff: Backoff = _RETRY) -> None:
        self._backoff = backoff
        self._lanes: tuple[OrderedDict[T, float], ...] = tuple(OrderedDict() for _ in Lane)
        self._taken = 0
        self._working: dict[T, Lane | None] = {}  # and the lane in which it was added meanwhile
        self._failures: dict[T, int] = {}
        self._later: list[_Due] = []
        self._latest: dict[T, float] = {}  # when an item is due; entries of `_later` that disagree are void
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._available = asyncio.Semaphore(0)  # as often as items were queued: each wakes one worker
        self.closing = asyncio.Event()

    def __len__(self) -> int:
        """How many items wait for a worker now."""
        return sum(map(len, self._lanes))

    def depth(self, lane: Lane) -> int:
        return len(self._lanes[lane])

    @property
    def idle(self) -> bool:
        """Nothing waits for a worker and nothing is worked on; what is due later does not count."""
        return not self._working and not len(self)

    def close(self) -> None:
        """From now on nobody gets an item."""
        self.closing.set()
        self._available.release()

    def add(self, item: T, lane: Lane = Lane.FRESH) -> None:
        """Queues the item; if it waits already, in the more urgent of both lanes."""
        if item in self._working:
            meanwhile = self._working[item]
            self._working[item] = lane if meanwhile is None else min(meanwhile, lane)
            return
        for known, waiting in enumerate(self._lanes):
            if item not in waiting:
                continue
            if known > lane:
                self._lanes[lane][item] = waiting.pop(item)
            return
        self._lanes[lane][item] = asyncio.get_running_loop().time()
        self._available.release()

    def add_after(self, item: T, seconds: float, lane: Lane = Lane.FRESH) -> None:
        """Adds the item in so many seconds, exactly; of several such wishes the earliest counts."""
        loop = asyncio.get_running_loop()
        time = loop.time() + seconds
        if self._latest.get(item, float("inf")) <= time:
            return
        self._latest[item] = time
        self._number += 1
        heapq.heappush(self._later, _Due(time, self._number, item, lane))
        self._arm(loop)

    def retry(self, item: T) -> float:
        """Adds the item again after a pause that doubles with each failure in a row; says how long."""
        self.count_failure(item)
        pause = self._backoff.pause(self._failures[item])
        self.add_after(item, pause, Lane.RETRY)
        return pause

    def failures(self, item: T) -> int:
        """How often in a row it has failed."""
        return self._failures.get(item, 0)

    def count_failure(self, item: T) -> None:
        """A failure after which the caller has queued the item again."""
        self._failures[item] = self._failures.get(item, 0) + 1

    def forget(self, item: T) -> None:
        """The item has succeeded: its next failure is its first."""
        self._failures.pop(item, None)

    async def get(self) -> tuple[T, float]:
        """The item whose turn it is, and how long it has waited; `done` has to follow. Raises ClosedError."""
        while True:
            await self._available.acquire()
            if self.closing.is_set():
                self._available.release()  # the next worker has to know it too
                raise ClosedError
            if waiting := [lane for lane in self._lanes if lane]:
                self._taken += 1
                lane = waiting[0] if self._taken % _FAIR else min(waiting, key=_longest)
                item, since = lane.popitem(last=False)
                self._working[item] = None
                return item, asyncio.get_running_loop().time() - since
            # `claim` took what we were woken for.

    def claim(self, item: T) -> bool:
        """Begins work on this very item, whether it waits or not; False if somebody works on it already."""
        if item in self._working:
            return False
        for lane in self._lanes:
            lane.pop(item, None)
        self._working[item] = None
        return True

    def done(self, item: T) -> None:
        lane = self._working.pop(item)
        if lane is not None:
            self.add(item, lane)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_at(self._later[0].time, self._mature) if self._later else None

    def _mature(self) -> None:
        loop = asyncio.get_running_loop()
        while self._later and self._later[0].time <= loop.time():
            due = heapq.heappop(self._later)
            item: T = due.item  # type: ignore[assignment]  # a NamedTuple cannot be generic in 3.11's mypy view
            if self._latest.get(item) == due.time:
                del self._latest[item]
                self.add(item, due.lane)
        self._arm(loop)


def _longest(lane: OrderedDict[T, float]) -> float:
    """Since when the first of a lane has waited."""
    return next(iter(lane.values()))
