"""Lets objects share what they have in common: the pods of a workload differ in a few names and addresses,
and a tenant pod shows the status of its host pod.

Objects in a store are never changed, so parts of several may be one and the same. What counts as the same is
the JSON text: Python alone would take `1`, `1.0` and `True` for each other. Names of fields are interned, for
the decoder has room for few and makes many of them anew with each object.
"""

from sys import intern
from typing import Any

import msgspec

from kube.objects import Obj

_LONGEST = 1024  # bytes of JSON, characters of a string: the status of a container is some 700
_encode = msgspec.json.Encoder().encode


class Sharing:
    """Remembers the parts met lately: at most twice `limit`, those that are met again for longer."""

    def __init__(self, limit: int = 4096) -> None:
        self._limit = limit
        self._recent: dict[str | bytes, Any] = {}
        self._earlier: dict[str | bytes, Any] = {}

    def shared(self, obj: Obj, old: Obj | None = None) -> Obj:
        """The same object, made of parts that others have too. `obj` is changed in place, so nobody else may
        hold it or anything in it; `old` is an earlier version of it, from which most of it can be taken."""
        for name, part in obj.items():
            if isinstance(part, dict):
                before = old.get(name) if old else None
                obj[name] = self._fields(part, before if isinstance(before, dict) else {})
            elif isinstance(part, str):
                obj[name] = self._value(part)
        return obj

    def _fields(self, part: Obj, before: Obj) -> Obj:
        """Fields that stay are those of before: a field of an object never changes its type."""
        fields = {}
        for name, value in part.items():
            known = before.get(name)
            stays = known is not None and known == value
            fields[intern(name)] = known if stays else self._value(value)
        return fields

    def _value(self, value: Any) -> Any:
        """Called for each field of all that is listed, so it calls little itself."""
        kind = type(value)
        if kind is str:
            key = value
        elif kind is dict or kind is list:
            key = _encode(value)
        else:
            return value
        short = len(key) <= _LONGEST
        if short:
            found = self._recent.get(key)
            if found is not None:
                return found
            found = self._earlier.get(key)
            if found is not None:
                return self._remember(key, found)
        if kind is dict:
            value = {intern(name): self._value(inner) for name, inner in value.items()}
        elif kind is list:
            value[:] = map(self._value, value)
        return self._remember(key, value) if short else value

    def _remember(self, key: str | bytes, value: Any) -> Any:
        if len(self._recent) >= self._limit:
            self._earlier, self._recent = self._recent, {}
        self._recent[key] = value
        return value
