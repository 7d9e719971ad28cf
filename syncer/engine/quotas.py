"""What waits for a quota of the host: one probe for all, and the rest as soon as there is room.

Each of many objects over one quota would ask for itself, again and again. Here they wait in the order in
which they came. One of them asks, with a pause that grows while it is refused, and each success lets some
more ask.
"""

import re
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kube import errors
from kube.backoff import Backoff
from syncer.engine.workqueue import Lane, WorkQueue

T = TypeVar("T", bound=Hashable)

_PROBES = Backoff(1.0, 15.0, spread=0.2)
_AFTER_SUCCESS = 2  # that may ask at once
_EXCEEDED = re.compile(r"exceeded quota: ([^,\s]+)(?:.*limited: (\S+))?")


def exceeded(error: Exception) -> str:
    """The quota that refused a request, with what of it is used up: where there is no room for a Service,
    there may be some for a pod. Empty for any other error."""
    found = _EXCEEDED.search(str(error)) if isinstance(error, errors.ForbiddenError) else None
    return " ".join((found[1], *_COUNTED.findall(found[2] or ""))) if found else ""


_COUNTED = re.compile(r"([^=,]+)=")


@dataclass
class _Line(Generic[T]):
    """Those who wait for one quota; `probe` is the one that asks for all, `refused` how often in a row."""

    waiting: OrderedDict[T, None] = field(default_factory=OrderedDict)
    probe: T | None = None
    refused: int = 0


class Quotas(Generic[T]):
    """Decides when items that a quota refused come back into the queue."""

    def __init__(self, queue: WorkQueue[T]) -> None:
        self._queue = queue
        self._lines: dict[str, _Line[T]] = {}

    def refused(self, item: T, quota: str) -> None:
        """The quota has refused the item: it comes again when it is its turn."""
        for other in self._lines.keys() - {quota}:  # one that let it pass this time
            self._leave(item, other)
        line = self._lines.setdefault(quota, _Line())
        line.waiting[item] = None
        if line.probe == item:
            line.waiting.move_to_end(item)
            line.probe = None
        if line.probe is None:
            line.refused += 1
            self._ask(line)

    def settled(self, item: T) -> None:
        """The item needs nothing more: if it waited for a quota, there is room for others, maybe."""
        for quota in list(self._lines):
            self._leave(item, quota)

    def _leave(self, item: T, quota: str) -> None:
        line = self._lines[quota]
        if item not in line.waiting:
            return
        del line.waiting[item]
        line.refused = 0
        if not line.waiting:
            del self._lines[quota]
            return
        for other in list(line.waiting)[:_AFTER_SUCCESS]:
            self._queue.add(other, Lane.RETRY)
        if line.probe == item:
            self._ask(line)

    def _ask(self, line: _Line[T]) -> None:
        line.probe = next(iter(line.waiting))
        self._queue.add_after(line.probe, _PROBES.pause(max(1, line.refused)), Lane.RETRY)
