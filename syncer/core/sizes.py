"""How large an object may be on the host: etcd refuses a request of more than 1.5 MiB, and says so late."""

from collections.abc import Iterable
from typing import Any

import msgspec

from syncer.core.actions import Action, Create, Patch, Try
from syncer.core.refusal import Problem

LARGEST = 1_250 * 1024
"""Bytes of an object's texts. One that the tenant's own etcd took has room for marks up to there."""


def problems(plan: Iterable[Action]) -> list[Problem]:
    """What a plan would write to the host and is too large for it."""
    return [
        Problem("metadata", f"the {write.api.kind} takes {size} bytes on the host; at most {LARGEST}")
        for action in plan
        for write in ((action.first,) if isinstance(action, Try) else (action,))
        if isinstance(write, Create | Patch) and write.side == "host"
        if (size := _size(write)) > LARGEST
    ]


def _size(write: Create | Patch) -> int:
    """JSON is an upper bound that is quickly had; API servers store something shorter."""
    body = write.obj if isinstance(write, Create) else write.body
    whole = len(msgspec.json.encode(body))
    return whole if whole <= LARGEST else _stored(body)


def _stored(value: Any) -> int:
    """Bytes of a value as protobuf would hold it, nearly."""
    if isinstance(value, dict):
        return sum(_stored(key) + _stored(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return sum(_stored(inner) + 2 for inner in value)
    return len(value.encode()) + 2 if isinstance(value, str) else 8
