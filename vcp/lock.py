"""One `vcp create` at a time per tenant: a Lease in the control-plane namespace.

The holder renews it while it works. Who finds it held watches it for as long as it is valid: a renewal
shows a living holder, silence a dead one. Clocks are never compared, because two machines' clocks differ.
"""

import asyncio
import contextlib
import getpass
import os
import socket
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from kube import errors as kube
from kube import leases
from kube.apis import LEASES
from kube.cache import watching
from kube.client import Client
from kube.reflector import View
from vcp.errors import RefusedError

NAME = "vcp-create"
_VALID = 8.0  # seconds without a renewal after which the holder counts as dead
_RENEW = 2.0


def identity() -> str:
    """`user@machine/process/random`: tells a person who it is, and this machine whether it still lives."""
    return f"{getpass.getuser()}@{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"


@contextlib.asynccontextmanager
async def held(
    client: Client, namespace: str, labels: dict[str, str], who: str, *, valid: float = _VALID
) -> AsyncIterator[None]:
    """Holds the lock while the body runs. Raises RefusedError if another living process holds it."""
    lease = await _take(client, namespace, labels, who, valid)
    try:
        async with asyncio.TaskGroup() as group:
            renewal = group.create_task(_renew(client, lease), name="renew the create lock")
            yield
            renewal.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    finally:
        with contextlib.suppress(kube.KubeError):  # it runs out by itself
            await client.delete(LEASES, namespace, NAME, uid=lease["metadata"]["uid"])


async def _take(
    client: Client, namespace: str, labels: dict[str, str], who: str, valid: float
) -> dict[str, Any]:
    wanted = leases.new(namespace, NAME, labels, leases.held(who, valid, datetime.now(UTC)))
    while True:
        try:
            return await client.create(LEASES, namespace, wanted)
        except kube.AlreadyExistsError:
            await _outlive(client, namespace, valid)


async def _outlive(client: Client, namespace: str, valid: float) -> None:
    """Returns when the lock is gone or was removed because its holder is dead."""
    async with watching(client, View(LEASES, namespace, fields=f"metadata.name={NAME}")) as cache:
        lease = cache.find(LEASES, NAME, namespace)
        if lease is None:
            return
        alive = _alive_here(leases.holder(lease))
        if alive:
            raise _refusal(lease)
        if alive is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(valid):
                    while (now := cache.find(LEASES, NAME, namespace)) == lease:
                        await cache.change()
                if now is None:
                    return
                raise _refusal(now)
    meta = lease["metadata"]
    with contextlib.suppress(kube.NotFoundError, kube.ConflictError):
        await client.delete(
            LEASES, namespace, NAME, uid=meta["uid"], resource_version=meta["resourceVersion"]
        )


async def _renew(client: Client, lease: dict[str, Any]) -> None:
    """A lock that was taken away ends the work: NotFoundError or ConflictError of another uid."""
    meta = lease["metadata"]
    while True:
        await asyncio.sleep(_RENEW)
        body = {"metadata": {"uid": meta["uid"]}, "spec": {"renewTime": leases.written(datetime.now(UTC))}}
        try:
            await client.patch(LEASES, meta["namespace"], NAME, body)
        except (kube.NotFoundError, kube.ConflictError) as error:
            raise RefusedError("another create of this tenant took over") from error
        except kube.KubeError as error:
            if not error.retryable:
                raise


def _refusal(lease: dict[str, Any]) -> RefusedError:
    return RefusedError(
        f"another create of this tenant is running: {lease['spec'].get('holderIdentity', '')}",
        hint="wait for it to end, then run the command again",
    )


def _alive_here(holder: str) -> bool | None:
    """Whether the holder is a living process of this machine; None if it is of another."""
    who, _, rest = holder.partition("/")
    pid = rest.partition("/")[0]
    if who.rpartition("@")[2] != socket.gethostname() or not pid.isdigit():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
