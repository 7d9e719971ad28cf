"""Where the objects of a tenant are not what `vcp create` would apply, found by dry runs of just that."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kube import apis
from kube import errors as kube
from kube.client import Client
from kube.objects import Obj
from vcp import layout

_PARALLEL = 8
# What the server writes by itself, in dry runs too.
_BOOKKEEPING = {"generation", "managedFields", "resourceVersion", "creationTimestamp", "uid"}
_LONGEST = 60  # characters of a value that is shown


class Drift(NamedTuple):
    """`changes` are lines such as `spec.replicas is 0, not 1`; empty where the object is not there."""

    kind: str
    namespace: str
    name: str
    changes: tuple[str, ...]

    def __str__(self) -> str:
        what = f"{self.kind} {self.name}" + (f" in {self.namespace}" if self.namespace else "")
        return f"{what}: {', '.join(self.changes)}" if self.changes else f"{what} is not there"


async def find(host: Client, rendered: Iterable[Obj]) -> list[Drift]:
    """Of these objects, those that an apply would make or change. Nothing is changed."""
    limit = asyncio.Semaphore(_PARALLEL)

    async def one(obj: Obj) -> Drift | None:
        async with limit:
            return await _drift(host, obj)

    found = await asyncio.gather(*(one(obj) for obj in rendered))
    return [drift for drift in found if drift]


async def _drift(host: Client, obj: Obj) -> Drift | None:
    resource, meta = apis.resource_of(obj), obj["metadata"]
    namespace = meta.get("namespace", "")
    try:
        live = await host.get(resource, namespace, meta["name"])
    except kube.NotFoundError:
        return Drift(obj["kind"], namespace, meta["name"], ())
    manager = layout.FIELD_MANAGER
    wanted = await host.apply(resource, namespace, obj, field_manager=manager, force=True, dry_run=True)
    secret = resource is apis.SECRETS
    changes = tuple(differences(_substance(live), _substance(wanted), secret=secret))
    return Drift(obj["kind"], namespace, meta["name"], changes) if changes else None


def differences(live: Any, wanted: Any, path: str = "", *, secret: bool = False) -> Iterator[str]:
    """Pure: one line for each field that differs; the values of a `secret` are not shown."""
    if live == wanted:
        return
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        for key in dict.fromkeys((*live, *wanted)):
            below = f"{path}.{key}" if path else str(key)
            yield from differences(live.get(key), wanted.get(key), below, secret=secret)
    elif isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        for index, (one, other) in enumerate(zip(live, wanted, strict=True)):
            yield from differences(one, other, f"{path}[{index}]", secret=secret)
    elif secret:
        yield f"{path} differs"
    else:
        yield f"{path} is {_shown(live)}, not {_shown(wanted)}"


def _shown(value: Any) -> str:
    if value is None:
        return "absent"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _substance(obj: Obj) -> Obj:
    meta = {key: value for key, value in obj["metadata"].items() if key not in _BOOKKEEPING}
    return {key: value for key, value in obj.items() if key != "status"} | {"metadata": meta}
