"""How fast one syncer may write: so much on the host in all, and so often to each object.

The budget keeps one tenant from filling the host's etcd for all. The pace of an object makes many changes in
a row one write, and ends a fight: what is written again and again, because something undoes it, waits ever
longer. Deleting is always allowed, since it frees the host. Why so: docs/decisions/0026-pacing.md.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from kube import apis
from kube.objects import key_of
from syncer.core.actions import Create, Patch, Tokens
from syncer.core.policy import Budget
from syncer.engine.metrics import Target

_BURST = 20.0  # writes to an object at once
_RATE = 2.0  # writes to an object per second, from then on
_UNIT = 32 * 1024  # bytes on the host that count as one more write to the object
_SAME = 5  # times that the same may be written to an object, until something must be undoing it
_FIRST, _LONGEST = 0.5, 60.0  # seconds of the first pause of a fight, and of the last
_CALM = 5.0  # seconds beyond two pauses, after which the same again is nothing of note
_REMEMBERED = 4  # contents of an object
_OBJECTS = 20_000  # of which that is remembered
_TOKEN = 1024  # bytes, about
_RESERVED = 60.0  # seconds of budget that may be promised beforehand


class Paced(Exception):  # noqa: N818 (nothing has failed)
    """A write has to wait. `why` is `budget`, `object` or `fight`."""

    def __init__(self, seconds: float, why: str, target: Target) -> None:
        super().__init__(f"{why}: {seconds:.1f} s until {target.resource} {target.key} may be written")
        self.seconds, self.why, self.target = seconds, why, target


class Bucket:
    """Tokens that come back with time. A wish may overdraw it, and then waits until that is made good."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._level, self._at = burst, clock()

    @property
    def level(self) -> float:
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        return self._level

    def wait(self) -> float:
        """Seconds until it is not overdrawn."""
        return max(0.0, -self.level / self._rate)

    def take(self, amount: float) -> None:
        self._level = self.level - amount


@dataclass
class _Object:
    bucket: Bucket
    written: OrderedDict[bytes, tuple[int, float]] = field(default_factory=OrderedDict)
    """How often in a row each content was written, and when last."""


class Write(NamedTuple):
    """What pacing knows of a write."""

    target: Target
    size: int
    digest: bytes
    """Of what is written, where the same again means that something undoes it; else empty. What is created on
    the host may be needed again and again."""


def write(action: Create | Patch | Tokens, stored: int = 0) -> Write:
    """`stored` are the bytes of the object that is patched: its API server writes it whole. Tokens
    count with the Secret that holds them."""
    match action:
        case Patch():
            side, api, key, body = action.side, action.api, action.key, action.body
        case Create():
            side, api, key, body = action.side, action.api, key_of(action.obj), action.obj
        case Tokens():
            size = len(msgspec.json.encode(action.secret)) + _TOKEN * len(action.requests)
            return Write(Target("host", apis.SECRETS.plural, key_of(action.secret)), size, b"")
    encoded = msgspec.json.encode(body)
    target = Target(side, f"{api.plural}/{action.subresource}".rstrip("/"), key)
    may_be_undone = side == "tenant" or isinstance(action, Patch)
    digest = hashlib.blake2b(encoded, digest_size=16).digest() if may_be_undone else b""
    return Write(target, len(encoded) + stored, digest)


class Pacer:
    """`clock` gives seconds that only go forward."""

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._writes = Bucket(budget.writes_per_second, budget.write_burst, clock)
        self._bytes = Bucket(budget.kib_per_second * 1024, budget.kib_burst * 1024, clock)
        self._promised: dict[Hashable, float] = {}
        self._objects: OrderedDict[Target, _Object] = OrderedDict()
        self._fights: OrderedDict[Target, float] = OrderedDict()
        """The objects of which something undoes what is written, and when that was noticed last."""

    def check(self, item: Hashable, write: Write) -> None:
        """Lets a write of a queue's item go ahead, and takes it from the budget. Raises Paced."""
        self._check_object(write)
        if write.target.side == "host" and (wait := self._wait(item, write.size)) > 0:
            raise Paced(wait, "budget", write.target)

    def wrote(self, write: Write) -> None:
        """The write was carried out."""
        now = self._clock()
        found = self._objects.get(write.target)
        if found is None:
            found = self._objects[write.target] = _Object(Bucket(_RATE, _BURST, self._clock))
            while len(self._objects) > _OBJECTS:
                self._objects.popitem(last=False)
        self._objects.move_to_end(write.target)
        found.bucket.take(1 + (write.size / _UNIT if write.target.side == "host" else 0))
        if not write.digest:
            return
        times, last = found.written.pop(write.digest, (0, now))
        found.written[write.digest] = (1 if now - last > 2 * _pause(times) + _CALM else times + 1, now)
        while len(found.written) > _REMEMBERED:
            found.written.popitem(last=False)

    def grants(self, size: int) -> bool:
        """Whether a write of so many bytes on the host fits the budget now; it is taken from it if so."""
        if self.overdrawn():
            return False
        self._take(size)
        return True

    def forget(self, item: Hashable) -> None:
        """The item is settled: what it was promised is not needed."""
        self._promised.pop(item, None)

    def overdrawn(self) -> float:
        """Seconds that a write on the host has to wait now."""
        return max(self._writes.wait(), self._bytes.wait())

    def fights(self) -> int:
        """How many objects are fought over at the moment."""
        now = self._clock()
        while self._fights and next(iter(self._fights.values())) < now - 2 * _LONGEST:
            self._fights.popitem(last=False)
        return len(self._fights)

    def _wait(self, item: Hashable, size: int) -> float:
        """Seconds to wait. What waits has its share taken already, so that later wishes come behind it."""
        now = self._clock()
        due = self._promised.get(item)
        if due is not None:
            if due > now:
                return due - now
            del self._promised[item]
            return 0.0
        wait = self.overdrawn()
        if wait > _RESERVED:
            return _RESERVED
        self._take(size)
        if wait > 0:
            self._promised[item] = now + wait
        return wait

    def _take(self, size: int) -> None:
        self._writes.take(1)
        self._bytes.take(size)

    def _check_object(self, write: Write) -> None:
        found = self._objects.get(write.target)
        if found is None:
            return
        now = self._clock()
        times, last = found.written.get(write.digest, (0, now))
        if times >= _SAME and (left := last + _pause(times) - now) > 0:
            self._fights[write.target] = now
            self._fights.move_to_end(write.target)
            raise Paced(left, "fight", write.target)
        if (wait := found.bucket.wait()) > 0:
            raise Paced(wait, "object", write.target)


def _pause(times: int) -> float:
    """Seconds between two writes of the same, after so many."""
    return 0.0 if times < _SAME else min(_LONGEST, _FIRST * 2.0 ** (times - _SAME))
