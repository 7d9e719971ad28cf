"""Brings objects to the host by server-side apply, and tells what that changed."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Literal

from kube import apis
from kube import errors as kube
from kube.client import Client
from kube.objects import Obj, labels_of
from vcp import layout
from vcp.errors import RefusedError

Outcome = Literal["created", "changed", "unchanged"]

_PARALLEL = 8
_BINDINGS = {"RoleBinding", "ClusterRoleBinding"}
_BOOKKEEPING = {"generation", "managedFields", "resourceVersion"}


async def apply_all(host: Client, objects: Iterable[Obj], *, fresh: bool = False) -> list[Outcome]:
    """Applies the objects of one step: the first Secret by itself, for it holds what the others can be made
    from again, then all else at once, but bindings last: who may not bind any role may make one only to a
    role that is there. The outcomes are in the order of the objects; for `fresh` see `apply`."""
    objects = list(objects)
    outcomes: dict[int, Outcome] = {}
    limit = asyncio.Semaphore(_PARALLEL)
    first = next((index for index, obj in enumerate(objects) if obj["kind"] == "Secret"), None)

    async def one(index: int, obj: Obj) -> None:
        async with limit:
            outcomes[index] = await apply(host, obj, fresh=fresh)

    if first is not None:
        await one(first, objects[first])
    for last in (False, True):
        async with asyncio.TaskGroup() as group:
            for index, obj in enumerate(objects):
                if index != first and (obj["kind"] in _BINDINGS) is last:
                    group.create_task(one(index, obj), name=f"apply {obj['kind']}")
    return [outcomes[index] for index in range(len(objects))]


async def apply(host: Client, obj: Obj, *, fresh: bool = False) -> Outcome:
    """Fields that vcp renders are vcp's: a manual edit of one of them is taken back. In a `fresh` namespace,
    one that has just been made, nothing is asked for first."""
    resource, meta = apis.resource_of(obj), obj["metadata"]
    namespace, before = meta.get("namespace", ""), None
    if not (fresh and namespace):
        with contextlib.suppress(kube.NotFoundError):
            before = await host.get(resource, namespace, meta["name"])
    after = await host.apply(resource, namespace, obj, field_manager=layout.FIELD_MANAGER, force=True)
    if before is None:
        return "created"
    return "unchanged" if _substance(before) == _substance(after) else "changed"


async def ensure_namespace(
    host: Client, obj: Obj, tenant: str, *, named_by_user: bool, notes: Mapping[str, str] | None = None
) -> Outcome:
    """Makes the namespace, with `notes` as annotations that later applies leave alone, or takes one that is
    this tenant's or that the user has named.

    Raises RefusedError for any other that exists."""
    try:
        # Not an apply, which would take a namespace that somebody else has just made.
        born = {**obj, "metadata": {**obj["metadata"], "annotations": dict(notes)}} if notes else obj
        await host.create(apis.NAMESPACES, "", born, field_manager=layout.FIELD_MANAGER)
    except (kube.AlreadyExistsError, kube.ForbiddenError):
        current = await _existing(host, obj["metadata"]["name"])
        control = labels_of(obj).get(layout.CONTROL, "")
        check_namespace(current, tenant, control, named_by_user=named_by_user)
        return await apply(host, obj)
    await apply(host, obj)
    return "created"


def check_namespace(current: Obj, tenant: str, control: str, *, named_by_user: bool) -> None:
    """Raises RefusedError if the namespace is somebody else's or is going away; `control` is where the
    tenant's record is, empty if it does not matter."""
    meta, labels = current["metadata"], labels_of(current)
    owner, place = labels.get(layout.TENANT), labels.get(layout.CONTROL, control)
    if meta.get("deletionTimestamp"):
        raise RefusedError(
            f"namespace {meta['name']} is being deleted", hint="run the command again when it is gone"
        )
    if owner and owner != tenant:
        raise RefusedError(f"namespace {meta['name']} belongs to tenant {owner!r}")
    if control and place != control:
        raise RefusedError(f"namespace {meta['name']} belongs to tenant {owner!r} in namespace {place}")
    if not owner and not named_by_user:
        raise RefusedError(
            f"namespace {meta['name']} exists and is not this tenant's",
            hint=f"pass --namespace {meta['name']} if it is meant, or another name",
        )


def _substance(obj: Obj) -> Obj:
    """What an apply can change; controllers write a status, and with it a version, at any moment."""
    meta = {key: value for key, value in obj["metadata"].items() if key not in _BOOKKEEPING}
    return {key: value for key, value in obj.items() if key != "status"} | {"metadata": meta}


async def _existing(host: Client, name: str) -> Obj:
    try:
        return await host.get(apis.NAMESPACES, "", name)
    except kube.NotFoundError as error:
        raise RefusedError(
            f"namespace {name} does not exist and you may not make it",
            hint="let an administrator make it, or pass --namespace and --workload-namespace",
        ) from error
