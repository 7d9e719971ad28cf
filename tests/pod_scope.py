"""A tenant for tests of pod translation: its scope, and the objects that its cluster holds."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from kube.apis import ApiResource, resource_of
from kube.objects import Key, Obj, key_of
from syncer.core.scope import Scope
from syncer.kinds.pods import affinity


class Objects:
    """A cluster that holds these objects, with the indexes `all`, `namespace` and `namespace_label`."""

    def __init__(self, objects: Iterable[Obj] = ()) -> None:
        self._objects = {(resource_of(obj), key_of(obj)): obj for obj in objects}

    def get(self, api: ApiResource, key: Key) -> Obj | None:
        return self._objects.get((api, key))

    def indexed(self, api: ApiResource, index: str, value: Hashable) -> Sequence[Obj]:
        return [
            obj
            for (kind, key), obj in self._objects.items()
            if kind == api and (index == "all" or value in self._filed(index, key, obj))
        ]

    @staticmethod
    def _filed(index: str, key: Key, obj: Obj) -> Iterable[Hashable]:
        return affinity.namespace_labels(obj) if index == "namespace_label" else (key.namespace,)

    def named(self, key: Key) -> Iterable[Obj]:
        return [obj for (_, known), obj in self._objects.items() if known == key]


SCOPE = Scope(
    name="tenant-a",
    namespace="vcp-tenant-a-work",
    control_namespace="vcp-tenant-a",
    anchor="00000000-0000-0000-0000-0000000000aa",
)
WHOLE = replace(SCOPE, api_address="10.43.0.10", dns_address="10.43.0.11", metrics_address="10.43.0.12")


def scope(*objects: Obj, **changes: Any) -> Scope:
    return replace(SCOPE, tenant=Objects(objects), **changes)


def pod(spec: Obj | None = None, **metadata: Any) -> Obj:
    """The least pod, with these fields besides."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "shop", "uid": "uid-1", **metadata},
        "spec": {"containers": [{"name": "app", "image": "app"}], **(spec or {})},
    }


def container(**fields: Any) -> Obj:
    """A pod with one container that has these fields."""
    return pod({"containers": [{"name": "app", "image": "app", **fields}]})
