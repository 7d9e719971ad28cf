"""One replica writes: whoever holds the Lease `syncer` in the control plane's namespace.

The rules are client-go's leader election. A holder counts its time from before it sent the last renewal that
succeeded, and stops writing when `RENEW_WITHIN` has passed; the others wait `LEASE` from when they saw the
last renewal, all by their own monotonic clocks. So no step of a wall clock makes two writers. A replica's
name is its pod's: a container that starts again in the same pod takes its lease up at once, for its
predecessor is dead.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kube import apis, errors, leases
from kube.client import Client

_log = logging.getLogger(__name__)

LEASE = 15.0
RENEW_WITHIN = 10.0
RENEW_EVERY = 2.0
RETRY_AFTER = 0.5
NAME = "syncer"


class Leadership:
    """`held()` is asked before each write; `changed` is set whenever the answer may have changed."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        identity: str,
        *,
        labels: Mapping[str, str] | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._namespace, self.identity = client, namespace, identity
        self._labels, self._wall = dict(labels or {}), wall
        self.notes: Callable[[], Mapping[str, str]] = dict
        """Annotations that each renewal of ours brings up to date."""
        self._until = float("-inf")  # loop time until which we may write
        self._told = False  # what `changed` was last set for
        self._renewals = leases.Renewals()  # by whoever else holds it
        self.changed = asyncio.Event()

    def held(self) -> bool:
        return asyncio.get_running_loop().time() < self._until

    async def run(self) -> None:
        """Takes the lease, renews it, and takes it again if it was lost, forever."""
        loop = asyncio.get_running_loop()
        while True:
            before, pause = loop.time(), RENEW_EVERY
            try:
                async with asyncio.timeout(RENEW_WITHIN / 2):
                    held = await self._try()
            except (errors.KubeError, TimeoutError) as error:
                _log.warning("lease not renewed", extra={"error": str(error) or "no answer in time"})
                pause = RETRY_AFTER
            else:
                self._set(before + RENEW_WITHIN if held else float("-inf"))
            if self._until <= loop.time():
                self._set(float("-inf"))
            await asyncio.sleep(max(0.0, before + pause - loop.time()))

    async def release(self) -> None:
        """Lets the next one begin at once; called when nothing is being written any more."""
        if not self.held():
            return
        self._set(float("-inf"))
        try:
            async with asyncio.timeout(2):
                lease = await self._client.get(apis.LEASES, self._namespace, NAME)
                if leases.holder(lease) == self.identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._client.replace(apis.LEASES, self._namespace, lease)
        except (errors.KubeError, TimeoutError) as error:
            _log.warning("lease not released", extra={"error": str(error) or "no answer in time"})

    async def _try(self) -> bool:
        """Whether the lease is ours after this attempt."""
        try:
            lease = await self._client.get(apis.LEASES, self._namespace, NAME)
        except errors.NotFoundError:
            return await self._write(self._client.create, self._lease())
        valid = float((lease.get("spec") or {}).get("leaseDurationSeconds") or LEASE)
        if leases.holder(lease) not in {"", self.identity} and self._renewals.silent_for(lease) <= valid:
            return False
        return await self._write(self._client.replace, self._lease(lease))

    async def _write(self, send: Callable[..., Any], lease: dict[str, Any]) -> bool:
        try:
            await send(apis.LEASES, self._namespace, lease)
        except errors.ConflictError:  # another was faster
            return False
        return True

    def _lease(self, current: dict[str, Any] | None = None) -> dict[str, Any]:
        spec = leases.held(self.identity, LEASE, self._wall())
        old = (current or {}).get("spec") or {}
        spec |= {
            "acquireTime": old.get("acquireTime") or spec["renewTime"],
            "leaseTransitions": old.get("leaseTransitions") or 0,
        }
        if current is None:
            current = leases.new(self._namespace, NAME, self._labels, spec)
        elif leases.holder(current) != self.identity:
            spec |= {"acquireTime": spec["renewTime"], "leaseTransitions": spec["leaseTransitions"] + 1}
        metadata = {**current["metadata"], "annotations": dict(self.notes())}
        return current | {"metadata": metadata, "spec": spec}

    def _set(self, until: float) -> None:
        told, held = self._told, self.held()
        self._until = until
        self._told = self.held()
        # A lead may lapse while a renewal is on its way: whoever stopped for that has to be woken, though
        # nobody was told of the end.
        if self._told != told or (self._told and not held):
            _log.info("leadership", extra={"identity": self.identity, "held": self._told})
            self.changed.set()
