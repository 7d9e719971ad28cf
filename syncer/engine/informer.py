"""Keeps a store like one kind on one side. It never gives up, for whatever fails may be mended."""

import logging

from kube import errors
from kube.backoff import Backoff
from kube.client import Client, ListResult
from kube.objects import Obj
from kube.reflector import Reflector, View
from kube.watching import WatchEvent
from syncer.core.actions import Side
from syncer.engine.store import Store

_log = logging.getLogger(__name__)
_STARTING = Backoff(0.2, 0.5)  # until the first list: a new tenant's API server is about to come up


class Informer(Reflector):
    def __init__(self, client: Client, side: Side, view: View, store: Store) -> None:
        super().__init__(client, view)
        self.side, self.store = side, store
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

    @property
    def told(self) -> dict[str, str]:
        return {"side": self.side, "resource": self.view.resource.plural}

    def kept(self, obj: Obj) -> Obj:
        return self.store.kept(obj)

    def replace(self, found: ListResult) -> None:
        self.listing = True
        try:
            self.store.replace(found, int(found.resource_version))
        finally:
            self.listing = False
        self.relists += 1

    def take(self, event: WatchEvent[Obj]) -> None:
        if event.type == "DELETED":
            self.store.remove(event.object)
        elif event.type != "BOOKMARK":
            self.store.put(event.object)
        self.store.progress = int(event.object["metadata"]["resourceVersion"])

    def failed(self, error: errors.KubeError) -> bool:
        self.failures += 1
        self.backoff = Reflector.backoff if self.listed.is_set() else _STARTING
        _log.warning("watch failed", extra=self.told | {"error": str(error)})
        return True
