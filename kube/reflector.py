"""Follows one kind of an API server: a list in pages, then a watch from where the list ended.

What is known stays until a complete newer list says otherwise, so an API server that is away looks like
nothing at all, and never like deletions. The rules are those of client-go's Reflector.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from kube import errors
from kube.apis import ApiResource
from kube.backoff import Backoff
from kube.client import Client, ListResult
from kube.objects import Obj
from kube.watching import WatchEvent

_log = logging.getLogger(__name__)
_BETWEEN_WATCHES = 0.05  # an intermediary that ends watches at once must not make us spin
_RELIST = Backoff(0.2, 0.2, spread=1.0)  # replicas need not relist at once


@dataclass(frozen=True)
class View:
    """What to watch: one kind in one namespace (or in all), perhaps by selector, and what to read of it.
    `page` is how many objects a page of a list has.

    An optional view stays empty when the user may not see it or the host does not serve it."""

    resource: ApiResource
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    optional: bool = False
    shape: Any = Obj
    page: int = 500


class Reflector(ABC):
    """A subclass takes in what was listed and each change after it."""

    backoff = Backoff(0.2, 5.0)

    def __init__(self, client: Client, view: View) -> None:
        self._client, self.view = client, view
        self._version = ""  # to watch from; empty while a list is due
        self.listed = asyncio.Event()
        self._failed = 0

    async def run(self) -> None:
        """Runs forever. Raises what `failed` does."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                await asyncio.sleep(_BETWEEN_WATCHES)
            except errors.GoneError:
                self._version = ""
                self._failed += 1
                await asyncio.sleep((_RELIST if self._failed == 1 else self.backoff).pause(self._failed))
            except errors.RequestTimeoutError:  # half-open, or an API server too young to send bookmarks
                _log.info("watch was silent", extra=self.told)
            except errors.KubeError as error:
                if not await self._again(error):
                    return
            except Exception as error:  # no answer is believed blindly: all is read anew
                _log.exception("answer makes no sense", extra=self.told)
                self._version = ""
                if not await self._again(errors.TransportError(f"the answer makes no sense: {error!r}")):
                    return

    async def _again(self, error: errors.KubeError) -> bool:
        """After a pause; False if it is over."""
        self._failed += 1
        if not self.failed(error):
            return False
        await asyncio.sleep(error.retry_after or self.backoff.pause(self._failed))
        return True

    @property
    def told(self) -> dict[str, Any]:
        """What a log line names it by."""
        return {"resource": self.view.resource.plural}

    def kept(self, obj: Obj) -> Obj:
        """What of a listed object is worth holding until all pages are there."""
        return obj

    @abstractmethod
    def replace(self, found: ListResult) -> None:
        """Everything there is, as of `found.resource_version`."""

    @abstractmethod
    def take(self, event: WatchEvent[Obj]) -> None:
        """A change, or a bookmark."""

    @abstractmethod
    def failed(self, error: errors.KubeError) -> bool:
        """Whether to try again after a pause; may raise instead."""

    async def _list(self) -> None:
        view = self.view
        found = await self._client.list(
            view.resource,
            view.namespace,
            labels=view.labels,
            fields=view.fields,
            each=self.kept,
            shape=view.shape,
            page_size=view.page,
        )
        _check(found.resource_version)
        self.replace(found)
        self._version = found.resource_version
        self.listed.set()
        _log.info("listed", extra=self.told | {"objects": len(found)})

    async def _watch(self) -> None:
        view = self.view
        async for event in self._client.watch(
            view.resource,
            view.namespace,
            resource_version=self._version,
            labels=view.labels,
            fields=view.fields,
            shape=view.shape,
        ):
            _check(event.object["metadata"]["resourceVersion"])
            self.take(event)
            self._failed = 0  # a list alone proves little: each may be followed by a watch that fails at once
            self._version = event.object["metadata"]["resourceVersion"]


def _check(version: str) -> None:
    """Raises ValueError for what no API server says by itself: somebody may serve a group in its place."""
    if not (version.isascii() and version.isdecimal()):
        raise ValueError(f"resourceVersion {version!r}")
