"""Places in objects, written as `spec.tls[].secretName`: field names with dots, `[]` after a list.

All places of a set are compiled into one tree, so a prefix that several share is walked once. What does not
fit a path (a text where a list is expected) is passed over, and `misfits` names it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from kube.objects import Obj

T = TypeVar("T")
_PATH = re.compile(r"[A-Za-z0-9_-]+(\[\])?(\.[A-Za-z0-9_-]+(\[\])?)*")


class _Node(Generic[T]):
    """What stands below a field: the tag of a place that ends here, and further fields."""

    __slots__ = ("below", "is_list", "tag")

    def __init__(self, is_list: bool) -> None:
        self.is_list = is_list
        self.tag: T | None = None
        self.below: dict[str, _Node[T]] = {}


class Paths(Generic[T]):
    """A set of places, each with a tag. Raises ValueError for a path that cannot be one."""

    def __init__(self, places: Mapping[str, T]) -> None:
        self._root: dict[str, _Node[T]] = {}
        for path, tag in places.items():
            self._add(path, tag)

    def found(self, obj: Obj) -> list[tuple[T, Any]]:
        """The tag and the value of every place that holds something. An empty object is something: an empty
        label selector selects everything. An empty text or list is not."""
        found: list[tuple[T, Any]] = []
        _collect(obj, self._root, found)
        return found

    def located(self, obj: Obj) -> Iterator[tuple[str, T, Any]]:
        """As `found`, with where each value stands: `spec.tls[1].secretName`."""
        return _located(obj, self._root, "")

    def mapped(self, obj: Obj, change: Callable[[T, Any], Any]) -> Obj:
        """The object with other values in its places. What is not changed is shared with `obj`, which stays
        as it is."""
        mapped: Obj = _mapped(obj, self._root, change)
        return mapped

    def misfits(self, obj: Obj) -> list[str]:
        """The places where an object holds something else than the paths say: no list, no object to look
        into, or a list of names where one is expected."""
        found: list[str] = []
        _misfits(obj, self._root, "", found)
        return found

    def _add(self, path: str, tag: T) -> None:
        if not _PATH.fullmatch(path):
            raise ValueError(f"{path!r} is not a path: write field names with dots, [] after a list")
        level, node = self._root, None
        for part in path.split("."):
            field, is_list = part.removesuffix("[]"), part.endswith("[]")
            node = level.setdefault(field, _Node(is_list))
            if node.is_list != is_list:
                raise ValueError(f"{path}: {field} is a list in one path and none in another")
            level = node.below
        if node is not None:
            node.tag = tag


def _is_something(value: Any) -> bool:
    return bool(value) or isinstance(value, dict)


def _collect(value: Obj, below: Mapping[str, _Node[T]], found: list[tuple[T, Any]]) -> None:
    for field, node in below.items():
        inner: Any = value.get(field)
        if inner is None or (node.is_list and not isinstance(inner, list)):
            continue
        for one in inner if node.is_list else (inner,):
            if node.tag is not None and _is_something(one):
                found.append((node.tag, one))
            if node.below and isinstance(one, dict):
                _collect(one, node.below, found)


def _located(value: Obj, below: Mapping[str, _Node[T]], path: str) -> Iterator[tuple[str, T, Any]]:
    for field, node in below.items():
        inner: Any = value.get(field)
        if inner is None or (node.is_list and not isinstance(inner, list)):
            continue
        for index, one in enumerate(inner if node.is_list else (inner,)):
            place = f"{path}.{field}[{index}]" if node.is_list else f"{path}.{field}"
            if node.tag is not None and _is_something(one):
                yield place.lstrip("."), node.tag, one
            if node.below and isinstance(one, dict):
                yield from _located(one, node.below, place)


def _misfits(value: Any, below: Mapping[str, _Node[T]], path: str, found: list[str]) -> None:
    if not isinstance(value, dict):
        found.append(path)
        return
    for field, node in below.items():
        inner, place = value.get(field), f"{path}.{field}".lstrip(".")
        if inner is None:
            continue
        if node.is_list is not isinstance(inner, list):
            found.append(place)
            continue
        for one in inner if node.is_list else (inner,):
            if node.below:
                _misfits(one, node.below, place, found)


def _mapped(value: Any, below: Mapping[str, _Node[T]], change: Callable[[T, Any], Any]) -> Any:
    if not isinstance(value, dict):
        return value
    result = value
    for field, node in below.items():
        inner: Any = value.get(field)
        if inner is None or (node.is_list and not isinstance(inner, list)):
            continue
        new = _changed_all(inner, node, change) if node.is_list else _changed(inner, node, change)
        if new is not inner:
            if result is value:
                result = dict(value)
            result[field] = new
    return result


def _changed_all(values: list[Any], node: _Node[T], change: Callable[[T, Any], Any]) -> list[Any]:
    new = [_changed(one, node, change) for one in values]
    return values if all(a is b for a, b in zip(new, values, strict=True)) else new


def _changed(value: Any, node: _Node[T], change: Callable[[T, Any], Any]) -> Any:
    if node.below:
        value = _mapped(value, node.below, change)
    return change(node.tag, value) if node.tag is not None and _is_something(value) else value
