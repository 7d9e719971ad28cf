"""The downward API in terms of the tenant: what `metadata.name` and the like say inside a pod.

Environment variables are fixed when a container starts, so they become literals. Files follow the pod's
metadata while it runs, so they refer to what the syncer keeps on the host pod.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kube.objects import Labels, Obj, annotations_of, labels_of, uid_of
from syncer.core import marks, names, podselectors
from syncer.core.refusal import Problem
from syncer.core.scope import Scope
from syncer.kinds.pods import fields

TENANT_LABELS = "vcp.dev/tenant-labels"
TENANT_ANNOTATIONS = "vcp.dev/tenant-annotations"
_SHOWN = "annotation.vcp.dev"

_WHOLE = {"metadata.labels": TENANT_LABELS, "metadata.annotations": TENANT_ANNOTATIONS}
_FILES = {
    "metadata.name": f"metadata.annotations['{marks.NAME}']",
    "metadata.namespace": f"metadata.labels['{marks.NAMESPACE}']",
    "metadata.uid": f"metadata.annotations['{marks.UID}']",
    **{path: f"metadata.annotations['{key}']" for path, key in _WHOLE.items()},
}
_LITERALS = frozenset(("metadata.name", "metadata.namespace", "metadata.uid", "spec.serviceAccountName"))
_OF_THE_HOST = frozenset(
    ["spec.nodeName", "spec.host", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"]
)
_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def problem(path: str, at: str, *, in_file: bool) -> Problem | None:
    """Why the field path of a fieldRef at `at` cannot be served; None if it can."""
    kind, key = _subscript(path)
    if kind:
        if in_file and marks.is_reserved(key):  # it would show the host pod's marks
            return Problem(at, f"{key} is reserved for vcp")
        return None
    known = path in _FILES if in_file else path in _LITERALS or path in _OF_THE_HOST
    return None if known else Problem(at, fields.REASON)


def literal(path: str, tenant: Obj) -> str | None:
    """What the field path says of the tenant pod; None if the host's kubelet says it better."""
    kind, key = _subscript(path)
    if kind == "metadata.labels":
        return labels_of(tenant).get(key, "")
    if kind == "metadata.annotations":
        return annotations_of(tenant).get(key, "")
    if path not in _LITERALS:
        return None
    field, _, name = path.partition(".")
    default = "default" if name == "serviceAccountName" else ""
    value: str = uid_of(tenant) if name == "uid" else tenant[field].get(name, default)
    return value


def host_items(items: list[Obj], scope: Scope) -> list[Obj]:
    """The files of a downward API volume."""
    return [_host_item(item, scope) for item in items]


def _host_item(item: Obj, scope: Scope) -> Obj:
    reference = item.get("fieldRef")
    path = _host_path(reference["fieldPath"], scope) if reference else None
    return {**item, "fieldRef": {**reference, "fieldPath": path}} if reference and path else item


def _host_path(path: str, scope: Scope) -> str | None:
    """Where the host pod holds what the path says of the tenant pod; None if it is the same."""
    kind, key = _subscript(path)
    if kind == "metadata.labels":
        there = podselectors.label_key(key, scope.sync.pods.labels)
        return None if there == key else f"{kind}['{there}']"
    return f"metadata.annotations['{_shown(key)}']" if kind == "metadata.annotations" else _FILES.get(path)


def _shown(key: str) -> str:
    """The annotation of the host pod that holds this one of the tenant's, on which nobody there acts."""
    return f"{_SHOWN}/{names.digest(key, length=20)}"


def kept(tenant: Obj) -> dict[str, str]:
    """The annotations that the host pod carries because a file shows all labels or annotations, or one of
    the annotations."""
    paths = {
        reference["fieldPath"]
        for volume in tenant["spec"].get("volumes") or ()
        for source in (volume["projected"].get("sources") or () if "projected" in volume else (volume,))
        if (content := source.get("downwardAPI"))
        for item in content.get("items") or ()
        if (reference := item.get("fieldRef"))
    }
    found = {}
    if "metadata.labels" in paths:
        found[TENANT_LABELS] = format_map(labels_of(tenant))
    if "metadata.annotations" in paths:
        found[TENANT_ANNOTATIONS] = format_map(annotations_of(tenant))
    for path in paths:
        kind, key = _subscript(path)
        if kind == "metadata.annotations" and key in annotations_of(tenant):
            found[_shown(key)] = annotations_of(tenant)[key]
    return found


def problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """The files of downward API volumes that cannot be served."""
    for (index, place, number), item in files(spec):
        if reference := item.get("fieldRef"):
            source = "" if place is None else f".projected.sources[{place}]"
            at = f"spec.volumes[{index}]{source}.downwardAPI.items[{number}].fieldRef.fieldPath"
            if found := problem(reference["fieldPath"], at, in_file=True):
                yield found


def files(spec: Mapping[str, Any]) -> Iterator[tuple[tuple[int, int | None, int], Obj]]:
    """((volume, source of a projected one, item) as indexes, item) of every downward API file of a pod."""
    for index, volume in enumerate(spec.get("volumes") or ()):
        if content := volume.get("downwardAPI"):
            for number, item in enumerate(content.get("items") or ()):
                yield (index, None, number), item
        elif content := volume.get("projected"):
            for place, source in enumerate(content.get("sources") or ()):
                for number, item in enumerate((source.get("downwardAPI") or {}).get("items") or ()):
                    yield (index, place, number), item


def format_map(values: Labels) -> str:
    """The text that the kubelet writes for all labels or annotations (pkg/fieldpath.FormatMap)."""
    return "\n".join(f"{key}={quote(values[key])}" for key in sorted(values))


def quote(text: str) -> str:
    """Go's strconv.Quote. Its IsPrint and Python's isprintable are the same set: letters, marks, numbers,
    punctuation, symbols and the ASCII space."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if escape := _ESCAPES.get(char):
        return escape
    code = ord(char)
    if char.isprintable():
        return char
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _subscript(path: str) -> tuple[str, str]:
    """(`metadata.labels`, key) of `metadata.labels['key']`; two empty texts for any other path."""
    kind, found, key = path.partition("['")
    return (kind, key[:-2]) if found and key.endswith("']") and kind in _WHOLE else ("", "")
