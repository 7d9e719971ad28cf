"""What waits for a quota of the host: one probe for all, and the rest as soon as there is room.

Each of many objects over one quota would ask for itself, again and again. Here they wait in the order in
which they came. One of them asks, with a pause that grows while it is refused, and each success lets some
more ask.
"""

import re
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from kube import errors
from kube.backoff import Backoff
from syncer.engine.workqueue import Lane, WorkQueue

T = TypeVar("T", bound=Hashable)

_PROBES = Backoff(1.0, 15.0, spread=0.2)
_AFTER_SUCCESS = 2  # that may ask at once
_EXCEEDED = re.compile(r"exceeded quota: ([^,\s]+)")


def exceeded(error: Exception) -> str:
    """The name of the quota that refused a request; empty for any other error."""
    found = _EXCEEDED.search(str(error)) if isinstance(error, errors.ForbiddenError) else None
    return found[1] if found else ""


class Quotas(Generic[T]):
    """Decides when items that a quota refused come back into the queue."""

    def __init__(self, queue: WorkQueue[T]) -> None:
        self._queue = queue
        self._waiting: dict[str, OrderedDict[T, None]] = {}
        self._refused: dict[str, int] = {}  # probes in a row
        self._probe: dict[str, T] = {}

    def refused(self, item: T, quota: str) -> None:
        """The quota has refused the item: it comes again when it is its turn."""
        waiting = self._waiting.setdefault(quota, OrderedDict())
        waiting[item] = None
        if self._probe.get(quota) == item:
            waiting.move_to_end(item)
            del self._probe[quota]
        if quota not in self._probe:
            self._refused[quota] = self._refused.get(quota, 0) + 1
            self._ask(quota)

    def settled(self, item: T) -> None:
        """The item needs nothing more: if it waited for a quota, there is room for others, maybe."""
        for quota, waiting in list(self._waiting.items()):
            if item not in waiting:
                continue
            del waiting[item]
            self._refused.pop(quota, None)
            if self._probe.get(quota) == item:
                del self._probe[quota]
            for other in list(waiting)[:_AFTER_SUCCESS]:
                self._queue.add(other, Lane.RETRY)
            if not waiting:
                del self._waiting[quota]
            elif quota not in self._probe:
                self._ask(quota)

    def _ask(self, quota: str) -> None:
        first = self._probe[quota] = next(iter(self._waiting[quota]))
        self._queue.add_after(first, _PROBES.pause(self._refused.get(quota, 1)), Lane.RETRY)
