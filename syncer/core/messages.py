"""Texts that the host writes about an object, in the tenant's words: Events, conditions, states, refusals.

A host name in a text is a leak, and worse, a name that the tenant can look up nowhere.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from kube.objects import Key, Obj, annotations_of, uid_of
from syncer.core import marks
from syncer.core.scope import Scope

_HASHED = re.compile(
    r"(?<![a-z0-9-])[a-z][a-z0-9-]*-(?:[a-z2-7]{16}|[a-z2-7]{10})(?![a-z0-9])"
)  # by names.host_names

Names = Callable[[], Mapping[str, str]]
"""The tenant's name for each host name that a text about an object may hold; asked only if need be."""


class Wording:
    """Replaces host names and uids in texts about one object; `host_uid` is that of its host object, if
    known. Names that `names` does not have are looked up among all that is on the host for this tenant."""

    def __init__(self, tenant: Obj, scope: Scope, names: Names, host_uid: str = "") -> None:
        self._tenant = tenant
        self._scope = scope
        self._find = names
        self._host_uid = host_uid
        self._pairs: list[tuple[str, str]] | None = None

    def __call__(self, text: str) -> str:
        namespace = self._scope.namespace
        uid = self._host_uid
        if namespace not in text and not _HASHED.search(text) and not (uid and uid in text):
            return text
        if self._pairs is None:
            self._pairs = self._known()
        for ours, theirs in self._pairs:
            text = text.replace(ours, theirs)
        text = _HASHED.sub(self._looked_up, text)
        if namespace in text:
            theirs = self._tenant["metadata"].get("namespace", "")
            text = _whole_name(namespace).sub(lambda _: theirs, text)
        return text

    def _known(self) -> list[tuple[str, str]]:
        """The longest first: a name may be the beginning of another one."""
        pairs = dict(self._find())
        if self._host_uid:
            pairs[self._host_uid] = uid_of(self._tenant)
        return sorted(pairs.items(), key=lambda pair: -len(pair[0]))

    def _looked_up(self, found: re.Match[str]) -> str:
        for obj in self._scope.host.named(Key(self._scope.namespace, found[0])):
            if name := annotations_of(obj).get(marks.NAME):
                return name
        return found[0]


def worded(value: Any, wording: Wording) -> Any:
    """A value with every text in it in the tenant's words."""
    if isinstance(value, str):
        return wording(value)
    if isinstance(value, dict):
        return {name: worded(part, wording) for name, part in value.items()}
    return [worded(part, wording) for part in value] if isinstance(value, list) else value


@lru_cache(maxsize=8)
def _whole_name(name: str) -> re.Pattern[str]:
    """A namespace has no hash in its name, so it counts only where it is a whole word."""
    return re.compile(rf"(?<![A-Za-z0-9-]){re.escape(name)}(?![A-Za-z0-9-])")
