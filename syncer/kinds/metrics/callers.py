"""Who a request is from, as the API server that proxies it says, and the question whether they may.

Headers: https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/
"""

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple
from urllib.parse import unquote

from kube import apis
from kube.objects import Obj
from syncer.kinds.metrics.answers import MetricsRequest

PROXY = "system:auth-proxy"  # how both distros name the API server's client of aggregated APIs
MASTERS = "system:masters"
_EXTRA = "x-remote-extra-"


class Caller(NamedTuple):
    """A user of the tenant."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


def of(headers: Iterable[tuple[str, str]]) -> Caller | None:
    """None if the headers name nobody, or somebody in bytes that are not text: no answer of the authoriser's
    would be about them."""
    name = uid = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}
    for header, value in headers:
        lower = header.lower()
        if lower == "x-remote-user":
            name = name or value
        elif lower == "x-remote-uid":
            uid = uid or value
        elif lower == "x-remote-group":
            groups.append(value)
        elif lower.startswith(_EXTRA):
            extra.setdefault(unquote(lower.removeprefix(_EXTRA)), []).append(value)
    if not name or not all(map(_is_text, (name, uid, *groups, *extra, *chain(*extra.values())))):
        return None
    return Caller(name, tuple(groups), uid, tuple((key, tuple(values)) for key, values in extra.items()))


def _is_text(value: str) -> bool:
    """Whether a header's bytes were UTF-8: servers make lone surrogates of others."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def review(caller: Caller, asked: MetricsRequest) -> Obj:
    """The SubjectAccessReview."""
    attributes = {
        "group": asked.api.group,
        "version": asked.api.version,
        "resource": asked.api.plural,
        "verb": asked.verb,
        "namespace": asked.namespace,
        "name": asked.name,
    }
    spec: Obj = {
        "user": caller.name,
        "groups": list(caller.groups),
        "uid": caller.uid,
        "extra": {key: list(values) for key, values in caller.extra},
        "resourceAttributes": {field: value for field, value in attributes.items() if value},
    }
    return {
        "apiVersion": apis.SUBJECT_ACCESS_REVIEWS.api_version,
        "kind": apis.SUBJECT_ACCESS_REVIEWS.kind,
        "spec": {field: value for field, value in spec.items() if value},
    }
