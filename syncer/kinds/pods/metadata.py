"""Labels and annotations of a host pod: the tenant's, our marks, and what translated fields refer to.

Both functions give the complete set that is ours; a host may add more. They run on every reconcile.
"""

from collections.abc import Iterator
from functools import lru_cache

import msgspec

from kube import apis
from kube.objects import Key, Obj, annotations_of, key_of, labels_of, uid_of
from syncer.core import marks, names, podselectors
from syncer.core.podselectors import namespace_label_key
from syncer.core.refusal import Problem, Refused
from syncer.core.scope import Scope
from syncer.kinds.pods import downward

_DOMAIN = marks.PREFIX.rstrip("/")
_HASH = 10


def problems(tenant: Obj) -> Iterator[Problem]:
    """Reserved keys on a tenant pod: one of them could pass for a mark."""
    for field, values in (("labels", labels_of(tenant)), ("annotations", annotations_of(tenant))):
        for key in values:
            if _DOMAIN in key and marks.is_reserved(key) and (field == "labels" or key != marks.SYNC):
                yield Problem(f"metadata.{field}[{key}]", "is reserved for vcp")


def host_labels(tenant: Obj, scope: Scope) -> dict[str, str]:
    """The tenant pod's labels, those of its namespace that a pod of the tenant selects namespaces by, and the
    marks. Raises Refused."""
    labels = podselectors.labels(_without_reserved(tenant, "labels"), scope)
    namespace = tenant["metadata"]["namespace"]
    if found := scope.tenant.get(apis.NAMESPACES, Key("", namespace)):
        for key, value in labels_of(found).items():
            if scope.tenant.indexed(apis.PODS, "namespace_label", key):
                labels[namespace_label_key(key)] = value
    labels[marks.TENANT] = scope.name
    labels[marks.NAMESPACE] = namespace
    return labels


def host_annotations(tenant: Obj, scope: Scope) -> dict[str, str]:
    """The tenant pod's annotations that the policy lists, since controllers of the host act on them; the
    marks, and what downward API files show. Raises Refused."""
    annotations = marks.allowed(_without_reserved(tenant, "annotations"), scope.sync.pods.annotations)
    keys = _keys(tuple(podselectors.labels(labels_of(tenant), scope)), tuple(annotations), images(tenant))
    own = marks.annotations(key_of(tenant), uid_of(tenant))
    return {**annotations, **own, marks.KEYS: keys, **downward.kept(tenant)}


@lru_cache(maxsize=1024)  # those of the pods of a workload are the same
def _keys(labels: tuple[str, ...], annotations: tuple[str, ...], images: str) -> str:
    copied = {"labels": sorted(labels), "annotations": sorted(annotations), "images": images}
    return msgspec.json.encode(copied).decode()


def images(tenant: Obj) -> str:
    """A short hash of the images that the tenant asks for. Many hosts rewrite images to a mirror of theirs,
    so what a host pod runs does not tell whether the tenant has changed its mind since."""
    spec = tenant["spec"]
    wanted = [each.get("image", "") for each in spec["containers"]]
    return _digest(*wanted, "", *(each.get("image", "") for each in spec.get("initContainers") or ()))


@lru_cache(maxsize=1024)
def _digest(*texts: str) -> str:
    return names.digest(*texts, length=_HASH)


def _without_reserved(tenant: Obj, field: str) -> dict[str, str]:
    values: dict[str, str] = tenant["metadata"].get(field) or {}
    if _DOMAIN in " ".join(values) and (found := tuple(problems(tenant))):
        raise Refused(*found)
    return values
