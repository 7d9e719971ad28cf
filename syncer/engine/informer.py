"""Keeps a store like one kind on one side: a list in pages, then a watch from where the list ended.

It never gives up, for whatever fails may be mended: what is stored stays until a complete newer list says
otherwise, so an API server that is away looks like nothing at all, and never like deletions.
"""

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Any

from kube import errors
from kube.apis import ApiResource
from kube.client import Client
from kube.objects import Obj
from syncer.core.actions import Side
from syncer.engine.store import Store

_log = logging.getLogger(__name__)
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_STARTING_PAUSE = 0.5  # until the first list: a new tenant's API server is about to come up
_BETWEEN_WATCHES = 0.05  # an intermediary that ends watches at once must not make us spin


@dataclass(frozen=True)
class Source:
    """What an informer watches, and what it reads of that; an empty namespace means all of them."""

    side: Side
    api: ApiResource
    namespace: str = ""
    labels: str = ""
    shape: Any = Obj


class Informer:
    def __init__(self, client: Client, source: Source, store: Store) -> None:
        self.source, self.store = source, store
        self._client = client
        self._version = ""  # to watch from; empty when a list is due
        self.listed = asyncio.Event()
        self.listing = False
        self.relists = 0
        self.failures = 0

    @property
    def version(self) -> int:
        """The resourceVersion up to which the store is complete; 0 while a list is due."""
        return int(self._version or 0)

    @property
    def in_step(self) -> bool:
        """Whether the store has been complete, and nothing since has been missed."""
        return self.listed.is_set() and bool(self._version)

    async def run(self) -> None:
        """For ever."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self._version:
                    await self._list()
                pause = _FIRST_PAUSE
                await self._watch()
                await asyncio.sleep(_BETWEEN_WATCHES)
            except errors.GoneError:
                self._version = ""
                await asyncio.sleep(random.uniform(0, _FIRST_PAUSE))  # noqa: S311  replicas need not relist at once
            except errors.RequestTimeoutError:  # half-open, or an API server too young to send bookmarks
                _log.info("watch was silent", extra=self._fields)
            except errors.KubeError as error:
                self.failures += 1
                _log.warning("watch failed", extra=self._fields | {"error": str(error)})
                wanted = error.retry_after or pause
                await asyncio.sleep(wanted * random.uniform(0.5, 1.0))  # noqa: S311  as above
                pause = min(_LONGEST_PAUSE if self.listed.is_set() else _STARTING_PAUSE, pause * 2)

    @property
    def _fields(self) -> dict[str, str]:
        return {"side": self.source.side, "resource": self.source.api.plural}

    async def _list(self) -> None:
        source = self.source
        found = await self._client.list(
            source.api,
            source.namespace,
            labels=source.labels,
            each=self.store.kept,
            shape=source.shape,
        )
        self.listing = True
        try:
            self.store.replace(found, int(found.resource_version))
        finally:
            self.listing = False
        self._version = found.resource_version
        self.relists += 1
        self.listed.set()
        _log.info("listed", extra=self._fields | {"objects": len(found)})

    async def _watch(self) -> None:
        source = self.source
        async for event in self._client.watch(
            source.api,
            source.namespace,
            resource_version=self._version,
            labels=source.labels,
            shape=source.shape,
        ):
            if event.type == "DELETED":
                self.store.remove(event.object)
            elif event.type != "BOOKMARK":
                self.store.put(event.object)
            self._version = event.object["metadata"]["resourceVersion"]
            self.store.progress = int(self._version)
