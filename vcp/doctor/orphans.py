"""Host objects that stand for a tenant object which is gone."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kube import apis
from kube.apis import ApiResource
from kube.client import Client
from kube.objects import Key, annotations_of, is_deleting, key_of
from syncer.core import marks
from syncer.kinds.registry import registry
from vcp.spec import Spec

_PAUSE = 2.0  # seconds; the syncer deletes within milliseconds, so what is left after this stays


class Copy(NamedTuple):
    """A host object, and the tenant object that it says it stands for: `plural`, `key` and `uid`."""

    resource: ApiResource
    host: Key
    plural: str
    key: Key
    uid: str

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.host.name} (for {self.plural} {self.key})"


async def find(host: Client, tenant: Client, spec: Spec) -> list[Copy]:
    """Seen twice, because an object that is just being deleted is not an orphan."""
    first = await _look(host, tenant, spec)
    if not first:
        return []
    await asyncio.sleep(_PAUSE)
    again = set(await _look(host, tenant, spec))
    return [copy for copy in first if copy in again]


async def _look(host: Client, tenant: Client, spec: Spec) -> list[Copy]:
    """The host is asked first: what appears in the meantime has its tenant object already."""
    synced = {one.api: one for one in registry(spec.sync) if one.api.namespaced}
    hosts = [api for api, one in synced.items() if "host" in one.watches and api is not apis.EVENTS]
    labels = marks.selector(spec.name)
    found: list[Copy] = []
    for api in hosts:
        listed = await host.list(api, spec.workload_namespace, labels=labels, each=_metadata)
        found += copies(api, listed)
    there: dict[str, Mapping[Key, str]] = {}
    for api in synced:
        if any(copy.plural == api.plural for copy in found):
            listed = await tenant.list(api, each=_metadata)
            there[api.plural] = {key_of(one): one["metadata"]["uid"] for one in listed}
    return orphaned(found, there)


def copies(api: ApiResource, listed: Iterable[dict[str, Any]]) -> list[Copy]:
    """Pure: what host objects say they stand for. Those on their way out, and Services that wait for the
    tenant's to be stored, say nothing yet."""
    found = []
    for obj in listed:
        key, notes = marks.key_of(obj), annotations_of(obj)
        if key is None or is_deleting(obj) or marks.PENDING in notes:
            continue
        plural = notes.get(marks.RESOURCE, api.plural)
        found.append(Copy(api, key_of(obj), plural, key, notes.get(marks.UID, "")))
    return found


def orphaned(found: Iterable[Copy], there: Mapping[str, Mapping[Key, str]]) -> list[Copy]:
    """Pure: those of which the tenant object is gone, or another of the same name has taken its place.
    `there` holds the uids of a kind's tenant objects; of a kind that is not in it, nothing is known."""
    return [one for one in found if one.plural in there and there[one.plural].get(one.key) != one.uid]


def _metadata(obj: dict[str, Any]) -> dict[str, Any]:
    obj["metadata"].pop("managedFields", None)
    return {"metadata": obj["metadata"]}
