"""Some objects of the host, kept fresh by watches, so that waiting is never polling.

A command names what it wants to see, looks, and sleeps until something changed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from kube import errors
from kube.apis import ApiResource
from kube.client import Client, ListResult
from kube.objects import Obj
from kube.reflector import Reflector, View
from kube.watching import WatchEvent

T = TypeVar("T")


class Cache:
    """What the views show now. Built by `watching`."""

    def __init__(self, views: Sequence[View]) -> None:
        self.objects: dict[ApiResource, dict[tuple[str, str], Obj]] = {view.resource: {} for view in views}
        self.changed = asyncio.Event()

    def items(self, resource: ApiResource) -> list[Obj]:
        return [obj for _, obj in sorted(self.objects[resource].items())]

    def find(self, resource: ApiResource, name: str, namespace: str = "") -> Obj | None:
        return self.objects[resource].get((namespace, name))

    async def change(self) -> None:
        """Returns when anything has changed since the last call."""
        await self.changed.wait()
        self.changed.clear()

    async def until(self, look: Callable[["Cache"], T | None], seconds: float, what: str) -> T:
        """What `look` finds, as soon as that is not None. Raises DeadlineError naming `what` was awaited."""
        try:
            async with asyncio.timeout(seconds):
                while (found := look(self)) is None:
                    await self.change()
                return found
        except TimeoutError as error:
            raise errors.DeadlineError(f"{what}: not within {seconds:g} s") from error


class _Shown(Reflector):
    """One view of a cache. What a retry cannot mend ends it."""

    def __init__(self, client: Client, view: View, cache: Cache) -> None:
        super().__init__(client, view)
        self._known, self._changed = cache.objects[view.resource], cache.changed

    def replace(self, found: ListResult) -> None:
        self._known.clear()
        self._known.update({_key(obj): obj for obj in found})
        self._changed.set()

    def take(self, event: WatchEvent[Obj]) -> None:
        if event.type == "BOOKMARK":
            return
        if event.type == "DELETED":
            self._known.pop(_key(event.object), None)
        else:
            self._known[_key(event.object)] = event.object
        self._changed.set()

    def failed(self, error: errors.KubeError) -> bool:
        if self.view.optional and isinstance(error, errors.ForbiddenError | errors.NotFoundError):
            self.listed.set()
            return False
        if not error.retryable:
            raise error
        return True


@contextlib.asynccontextmanager
async def watching(client: Client, *views: View) -> AsyncIterator[Cache]:
    """A cache whose every view has been listed once. An error of a watch ends the body."""
    cache = Cache(views)
    shown = [_Shown(client, view, cache) for view in views]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run(), name=f"watch {one.view.resource.plural}") for one in shown]
            for one in shown:
                await one.listed.wait()
            yield cache
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed


def _key(obj: Obj) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
