"""What one cluster is known to hold: the newest version of each object, and indexes over them.

Informers fill it from lists and watches, the executor from the server's answers to our own writes. Both may
be late, so an older version never replaces a newer one.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from kube.apis import ApiResource
from kube.objects import Key, Obj, key_of, uid_of, version_of

IndexFunction = Callable[[Obj], Iterable[Hashable]]
Keep = Callable[[Obj, Obj | None], Obj]
"""What to hold of a new object; with the one that it replaces, if any."""

_NO_KEYS: Mapping[Key, None] = {}


class Change(NamedTuple):
    """`old` is None for what is new, `new` for what is gone."""

    old: Obj | None
    new: Obj | None


class Filed(Sequence[Obj]):
    """The objects under one value of an index, as they are now. Nothing is copied: there may be thousands,
    and many who ask want to know no more than whether there is any. Not to be kept over an await."""

    def __init__(self, objects: Mapping[Key, Obj], keys: Mapping[Key, None]) -> None:
        self._objects, self._keys = objects, keys

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Obj]:
        return map(self._objects.__getitem__, self._keys)

    def __getitem__(self, index: Any) -> Any:
        return [*self][index]


class Store:
    """The objects of one kind on one side. `on_change` hears of every change right after it was made. Indexes
    that read only the fields `indexed_by` are not asked again while those stay."""

    def __init__(
        self,
        indexes: Mapping[str, IndexFunction] | None = None,
        keep: Keep = lambda obj, _: obj,
        indexed_by: Sequence[str] = (),
        *,
        weighed: bool = False,
    ) -> None:
        self._keep = keep
        self._weighed, self._weights = weighed, dict[Key, int]()
        self.weight = 0
        """Bytes of all objects, as JSON, if they are weighed."""
        self._indexed_by = indexed_by
        self._objects: dict[Key, Obj] = {}
        self.progress = 0
        """The version up to which the watch has told everything. What is not here by then is gone: a slow
        answer from before must not bring it back, for no event would take it away again."""
        self._gone: dict[Key, str] = {}
        """The uids of what the server said is gone before the watch did: its late events bring none back."""
        self._functions = dict(indexes or {})
        self._indexes: dict[str, dict[Hashable, dict[Key, None]]] = {name: {} for name in self._functions}
        self.on_change: Callable[[Change], None] = lambda _: None

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> Obj | None:
        return self._objects.get(key)

    def weight_of(self, key: Key) -> int:
        """Bytes of an object, if they are weighed and it is there; else 0."""
        return self._weights.get(key, 0)

    def objects(self) -> Iterable[Obj]:
        return self._objects.values()

    def indexed(self, index: str, value: Hashable) -> Filed:
        """The objects filed under `value`. Raises KeyError for an unknown index."""
        return Filed(self._objects, self._indexes[index].get(value, _NO_KEYS))

    def kept(self, obj: Obj) -> Obj:
        """As `put` would store it, for whoever collects many objects before they come here."""
        return self._keep(obj, self._objects.get(key_of(obj)))

    def put(self, obj: Obj) -> bool:
        """Whether the object was news: not older than, nor the same as, what is here. The store may change
        the object."""
        key = key_of(obj)
        old = self._objects.get(key)
        if not self._is_news(old, obj) or self._gone.get(key) == uid_of(obj):
            return False
        self._set(key, old, self._keep(obj, old))
        return True

    def fill(self, obj: Obj) -> None:
        """Takes in the whole of an object that is here as its outline, perhaps at the same version."""
        key = key_of(obj)
        old = self._objects.get(key)
        if old is not None and uid_of(old) == uid_of(obj) and version_of(old) <= version_of(obj):
            self._set(key, old, self._keep(obj, old))

    def _is_news(self, old: Obj | None, obj: Obj) -> bool:
        return version_of(obj) > (self.progress if old is None else version_of(old))

    def remove(self, obj: Obj) -> bool:
        """After a deletion that the watch told, whose version `obj` bears; a newer object of the name
        stays."""
        self.progress = max(self.progress, version_of(obj))
        key = key_of(obj)
        if self._gone.get(key) == uid_of(obj):
            del self._gone[key]
        old = self._objects.get(key)
        if old is None or version_of(old) > version_of(obj):
            return False
        self._set(key, old, None)
        return True

    def forget(self, key: Key, uid: str) -> None:
        """The server says that there is no such object, of which the watch has still to tell."""
        old = self._objects.get(key)
        if old is not None and uid_of(old) == uid:
            self._gone[key] = uid
            self._set(key, old, None)

    def replace(self, objects: Iterable[Obj], version: int) -> None:
        """A complete list, as it was at `version`, of objects as `kept` gives them: what it does not hold is
        gone, unless it came later."""
        listed = {key_of(obj): obj for obj in objects}
        self._gone.clear()
        self.progress = 0
        for key, old in list(self._objects.items()):
            if key not in listed and version_of(old) <= version:
                self._set(key, old, None)
        for key, obj in listed.items():
            if self._is_news(known := self._objects.get(key), obj):
                self._set(key, known, obj)
        self.progress = version

    def _set(self, key: Key, old: Obj | None, new: Obj | None) -> None:
        """Raises what an index makes of a broken object, before anything has changed: once stored, it would
        make every newer version of itself fail, too."""
        filed = self._filed(old, new)
        if new is None:
            del self._objects[key]
        else:
            self._objects[key] = new
        if self._weighed:
            weight = 0 if new is None else len(msgspec.json.encode(new))
            self.weight += weight - self._weights.pop(key, 0)
            if new is not None:
                self._weights[key] = weight
        for name, before, after in filed:
            self._file(self._indexes[name], key, before, after)
        self.on_change(Change(old, new))

    def _filed(self, old: Obj | None, new: Obj | None) -> list[tuple[str, set[Hashable], set[Hashable]]]:
        """The values under which an object was and is filed, of each index."""
        if self._stays_filed(old, new):
            return []
        functions = self._functions.items()
        return [(name, _values(function, old), _values(function, new)) for name, function in functions]

    def _stays_filed(self, old: Obj | None, new: Obj | None) -> bool:
        if old is None or new is None or not self._indexed_by:
            return False
        return all(old.get(field) == new.get(field) for field in self._indexed_by)

    @staticmethod
    def _file(
        index: dict[Hashable, dict[Key, None]], key: Key, before: set[Hashable], after: set[Hashable]
    ) -> None:
        for value in before - after:
            del index[value][key]
            if not index[value]:
                del index[value]
        for value in after - before:
            index.setdefault(value, {})[key] = None


def _values(function: IndexFunction, obj: Obj | None) -> set[Hashable]:
    return set() if obj is None else set(function(obj))


class Stores:
    """All stores of one cluster: the `Reader` of translation."""

    def __init__(self) -> None:
        self._stores: dict[ApiResource, Store] = {}

    def add(self, api: ApiResource, store: Store) -> None:
        self._stores[api] = store

    def of(self, api: ApiResource) -> Store | None:
        return self._stores.get(api)

    def get(self, api: ApiResource, key: Key) -> Obj | None:
        store = self._stores.get(api)
        return store.get(key) if store else None

    def indexed(self, api: ApiResource, index: str, value: Hashable) -> Sequence[Obj]:
        store = self._stores.get(api)
        return store.indexed(index, value) if store else []

    def named(self, key: Key) -> Iterable[Obj]:
        return (obj for store in self._stores.values() if (obj := store.get(key)) is not None)
