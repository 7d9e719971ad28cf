"""Some objects of the host, kept fresh by watches, so that waiting is never polling.

A command names what it wants to see, looks, and sleeps until something changed. The syncer's informers are
another matter: they run for months and feed work queues.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kube import errors as kube
from kube.apis import ApiResource
from kube.client import Client
from kube.objects import Obj

T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """What to watch: one kind in one namespace (or in all), perhaps by selector.

    An optional view stays empty when the user may not see it or the host does not serve it."""

    resource: ApiResource
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    optional: bool = False


class Cache:
    """What the views show now. Built by `watching`."""

    def __init__(self, views: Sequence[View]) -> None:
        self._objects: dict[ApiResource, dict[tuple[str, str], Obj]] = {view.resource: {} for view in views}
        self._changed = asyncio.Event()

    def items(self, resource: ApiResource) -> list[Obj]:
        return [obj for _, obj in sorted(self._objects[resource].items())]

    def find(self, resource: ApiResource, name: str, namespace: str = "") -> Obj | None:
        return self._objects[resource].get((namespace, name))

    async def change(self) -> None:
        """Returns when anything has changed since the last call."""
        await self._changed.wait()
        self._changed.clear()

    async def until(self, look: Callable[["Cache"], T | None], seconds: float, what: str) -> T:
        """What `look` finds, as soon as that is not None. Raises DeadlineError naming `what` was awaited."""
        try:
            async with asyncio.timeout(seconds):
                while (found := look(self)) is None:
                    await self.change()
                return found
        except TimeoutError as error:
            raise kube.DeadlineError(f"{what}: not within {seconds:g} s") from error

    async def keep(self, client: Client, view: View, listed: asyncio.Event) -> None:
        """Lists and watches one view for ever; a broken watch resumes, a forgotten version lists again."""
        version, pause = "", 0.2
        while True:
            try:
                if not version:
                    version = await self._list(client, view)
                    listed.set()
                async for seen in self._watch(client, view, version):
                    version, pause = seen, 0.2
                await asyncio.sleep(0.1)  # an intermediary that ends watches at once must not make us spin
            except kube.GoneError:
                version = ""
            except (kube.ForbiddenError, kube.NotFoundError):
                if not view.optional:
                    raise
                listed.set()
                return
            except kube.KubeError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(error.retry_after or pause * random.uniform(0.5, 1))  # noqa: S311  no secret
                pause = min(5.0, pause * 2)

    async def _list(self, client: Client, view: View) -> str:
        found = await client.list(view.resource, view.namespace, labels=view.labels, fields=view.fields)
        known = self._objects[view.resource]
        known.clear()
        known.update({_key(obj): obj for obj in found})
        self._changed.set()
        return found.resource_version

    async def _watch(self, client: Client, view: View, version: str) -> AsyncIterator[str]:
        """Takes in one event after the other; yields the version to resume from."""
        known = self._objects[view.resource]
        async for event in client.watch(
            view.resource, view.namespace, resource_version=version, labels=view.labels, fields=view.fields
        ):
            if event.type == "DELETED":
                known.pop(_key(event.object), None)
            elif event.type != "BOOKMARK":
                known[_key(event.object)] = event.object
            if event.type != "BOOKMARK":
                self._changed.set()
            yield event.object["metadata"]["resourceVersion"]


@contextlib.asynccontextmanager
async def watching(client: Client, *views: View) -> AsyncIterator[Cache]:
    """A cache whose every view has been listed once. An error of a watch ends the body."""
    cache = Cache(views)
    listed = [asyncio.Event() for _ in views]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(cache.keep(client, view, event), name=f"watch {view.resource.plural}")
                for view, event in zip(views, listed, strict=True)
            ]
            for event in listed:
                await event.wait()
            yield cache
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors


def _key(obj: Obj) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
