"""Texts that the host writes about a pod, in the tenant's words: Events, conditions, states, refusals.

A host name in a text is a leak, and worse, a name that the tenant can look up nowhere.
"""

import re
from functools import lru_cache

from kube.objects import Obj, key_of, uid_of
from syncer.core.scope import Scope
from syncer.kinds.pods.references import references
from syncer.kinds.pods.tokens import secret_name

_HASHED = re.compile(r"-[a-z2-7]{10}(?![a-z0-9])")  # how names.host_name ends


class Wording:
    """Replaces host names and uids in texts about one pod; `host_uid` is that of its host pod, if known."""

    def __init__(self, tenant: Obj, scope: Scope, host_uid: str = "") -> None:
        self._tenant = tenant
        self._scope = scope
        self._host_uid = host_uid
        self._pairs: list[tuple[str, str]] | None = None

    def __call__(self, text: str) -> str:
        namespace = self._scope.namespace
        uid = self._host_uid
        if namespace not in text and not _HASHED.search(text) and not (uid and uid in text):
            return text
        if self._pairs is None:
            self._pairs = self._names()
        for ours, theirs in self._pairs:
            text = text.replace(ours, theirs)
        if namespace in text:
            theirs = self._tenant["metadata"]["namespace"]
            text = _whole_name(namespace).sub(lambda _: theirs, text)
        return text

    def _names(self) -> list[tuple[str, str]]:
        """The longest first: a name may be the beginning of another one."""
        key = key_of(self._tenant)
        name = self._scope.host_key(key).name
        pairs = {name: key.name, secret_name(name): f"{key.name}-token"}
        for _, other in references(self._tenant):
            pairs[self._scope.host_key(other).name] = other.name
        if self._host_uid:
            pairs[self._host_uid] = uid_of(self._tenant)
        return sorted(pairs.items(), key=lambda pair: -len(pair[0]))


@lru_cache(maxsize=8)
def _whole_name(name: str) -> re.Pattern[str]:
    """A namespace has no hash in its name, so it counts only where it is a whole word."""
    return re.compile(rf"(?<![A-Za-z0-9-]){re.escape(name)}(?![A-Za-z0-9-])")


def to_tenant(text: str, tenant: Obj, scope: Scope, host_uid: str = "") -> str:
    """One text about a pod, e.g. the host's reason to refuse it."""
    return Wording(tenant, scope, host_uid)(text)
