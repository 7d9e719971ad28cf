"""Requests to the metrics API and what is answered: a list, one of it, or a table of either."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kube import apis, selectors
from kube.apis import ApiResource
from kube.objects import Obj, key_of, labels_of
from syncer.kinds.metrics import usage
from syncer.kinds.metrics.registration import GROUP, VERSION

_NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
_PATH = re.compile(
    rf"/apis/{re.escape(GROUP)}/{VERSION}/"
    rf"(?:(?:namespaces/(?P<namespace>{_NAME})/)?(?P<pods>pods)|(?P<nodes>nodes))(?:/(?P<name>{_NAME}))?"
)
_FIELDS = frozenset({"metadata.name", "metadata.namespace"})
_TABLE = re.compile(r"application/json\s*;\s*(?=[^,]*as=Table)(?=[^,]*v=v1\b)(?=[^,]*g=meta\.k8s\.io)")


class MetricsRequest(NamedTuple):
    """What is asked for: one object if there is a `name`, else a list."""

    api: ApiResource
    namespace: str = ""
    name: str = ""

    @property
    def verb(self) -> str:
        return "get" if self.name else "list"


def parse(path: str) -> MetricsRequest | None:
    """None for a path that is none of the metrics API's."""
    match = _PATH.fullmatch(path)
    if match is None or (match["pods"] and match["name"] and not match["namespace"]):
        return None
    api = apis.POD_METRICS if match["pods"] else apis.NODE_METRICS
    return MetricsRequest(api, match["namespace"] or "", match["name"] or "")


def chosen(found: Sequence[Obj], asked: MetricsRequest, query: Mapping[str, str]) -> list[Obj]:
    """Those of the metrics that are asked for. Raises selectors.SelectorError."""
    by_label = selectors.labels(query.get("labelSelector", ""))
    by_field = selectors.fields(query.get("fieldSelector", ""), _FIELDS)

    def is_asked(one: Obj) -> bool:
        key = key_of(one)
        fields = {"metadata.name": key.name, "metadata.namespace": key.namespace}
        return (
            asked.namespace in ("", key.namespace)
            and asked.name in ("", key.name)
            and by_label(labels_of(one))
            and by_field(fields)
        )

    return [one for one in found if is_asked(one)]


def listed(api: ApiResource, items: Sequence[Obj]) -> Obj:
    bare = [{field: one[field] for field in one if field not in {"kind", "apiVersion"}} for one in items]
    return {"kind": f"{api.kind}List", "apiVersion": api.api_version, "metadata": {}, "items": bare}


def wants_table(accept: str) -> bool:
    """Whether a table is the first that a client accepts, as `kubectl get` does."""
    return _TABLE.match(accept.strip()) is not None


def table(items: Sequence[Obj]) -> Obj:
    """A meta.k8s.io/v1 Table with the columns of upstream's metrics-server."""
    used = [one["usage"] if "usage" in one else usage.total([one]) for one in items]
    resources = sorted({resource for one in used for resource in one}) or ["cpu", "memory"]
    columns = [("Name", "name"), *((resource, "quantity") for resource in resources), ("Window", "duration")]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [
            {"name": name, "type": "string", "format": form, "description": "", "priority": 0}
            for name, form in columns
        ],
        "rows": [
            {
                "cells": [
                    one["metadata"]["name"],
                    *(sums.get(resource, "0") for resource in resources),
                    one["window"],
                ],
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": one["metadata"],
                },
            }
            for one, sums in zip(items, used, strict=True)
        ],
    }


def status(code: int, reason: str, message: str) -> Obj:
    """A Status of a failure."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def forbidden(user: str, asked: MetricsRequest, reason: str) -> Obj:
    """In the words of an API server that refuses it itself."""
    name = f' "{asked.name}"' if asked.name else ""
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    told = (
        f'{asked.api.plural}.{GROUP}{name} is forbidden: User "{user}" cannot {asked.verb} resource '
        f'"{asked.api.plural}" in API group "{GROUP}" {where}'
    )
    return status(403, "Forbidden", f"{told}: {reason}" if reason else told)
