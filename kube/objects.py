"""Kubernetes objects as plain dicts, and the few things that everybody reads of them.

Objects in a store are shared: nobody changes one, everybody copies what they edit.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

Obj = dict[str, Any]
Labels = Mapping[str, str]

_NONE: Labels = {}


class Key(NamedTuple):
    """Which object of its kind; `namespace` is empty for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Obj) -> Key:
    metadata = obj["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def uid_of(obj: Obj) -> str:
    uid: str = obj["metadata"]["uid"]
    return uid


def labels_of(obj: Obj) -> Labels:
    return obj["metadata"].get("labels") or _NONE


def annotations_of(obj: Obj) -> Labels:
    return obj["metadata"].get("annotations") or _NONE


def version_of(obj: Obj) -> int:
    """The resourceVersion as the number it is; as text, "10" would come before "9" (KEP-5504)."""
    return int(obj["metadata"]["resourceVersion"])


def is_deleting(obj: Obj) -> bool:
    return "deletionTimestamp" in obj["metadata"]
