"""What goes over the wire: every request as a value, built by pure functions that the client only sends."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from kube.apis import ApiResource
from kube.objects import Obj

Propagation = Literal["Background", "Foreground", "Orphan"]
PatchType = Literal["merge", "strategic", "json"]

JSON = "application/json"
APPLY = "application/apply-patch+yaml"  # JSON is YAML, so the body stays JSON
_PATCH_TYPES: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}


class Request(NamedTuple):
    method: str
    path: str
    query: Mapping[str, str] = {}
    content_type: str = ""
    body: bytes | None = None
    repeatable: bool = True  # twice does no more than once, so a broken connection is not a reason to give up


def _query(**values: str | int | bool | None) -> dict[str, str]:
    """Drops what is unset and spells the rest as the API server reads it."""
    spelled = {name: "true" if value is True else str(value) for name, value in values.items() if value}
    return {name.rstrip("_"): value for name, value in spelled.items()}


def _dry_run(dry_run: bool) -> str | None:
    return "All" if dry_run else None


def get(resource: ApiResource, namespace: str, name: str, *, subresource: str = "") -> Request:
    return Request("GET", resource.path(namespace, name, subresource))


def list_page(
    resource: ApiResource,
    namespace: str = "",
    *,
    labels: str = "",
    fields: str = "",
    limit: int = 500,
    continue_: str = "",
    resource_version: str = "",
) -> Request:
    """One page of a list. With `continue_` the server forbids a resource version: the token holds it."""
    version = "" if continue_ else resource_version
    query = _query(labelSelector=labels, fieldSelector=fields, limit=limit, continue_=continue_)
    if version:
        query["resourceVersion"] = version  # "0" is meaningful: any version the server has at hand
    return Request("GET", resource.path(namespace), query)


def watch(
    resource: ApiResource,
    namespace: str = "",
    *,
    resource_version: str,
    labels: str = "",
    fields: str = "",
    seconds: int = 300,
) -> Request:
    """A watch with bookmarks that the server ends after `seconds`."""
    query = _query(
        watch=True,
        allowWatchBookmarks=True,
        labelSelector=labels,
        fieldSelector=fields,
        timeoutSeconds=seconds,
    )
    return Request("GET", resource.path(namespace), query | {"resourceVersion": resource_version})


def create(
    resource: ApiResource,
    namespace: str,
    obj: Mapping[str, Any],
    *,
    name: str = "",
    subresource: str = "",
    dry_run: bool = False,
    field_manager: str = "",
) -> Request:
    """POST; `name` and `subresource` together address e.g. `pods/binding` or `serviceaccounts/token`."""
    query = _query(dryRun=_dry_run(dry_run), fieldManager=field_manager)
    path = resource.path(namespace, name, subresource)
    return Request("POST", path, query, JSON, msgspec.json.encode(obj), repeatable=False)


def replace(
    resource: ApiResource, namespace: str, obj: Mapping[str, Any], *, subresource: str = ""
) -> Request:
    """PUT; the object's resourceVersion, if it has one, is the precondition."""
    path = resource.path(namespace, obj["metadata"]["name"], subresource)
    return Request("PUT", path, {}, JSON, msgspec.json.encode(obj), repeatable=False)


def apply(
    resource: ApiResource,
    namespace: str,
    obj: Mapping[str, Any],
    *,
    field_manager: str,
    force: bool = False,
    dry_run: bool = False,
    subresource: str = "",
) -> Request:
    """Server-side apply: creates or changes exactly the fields in `obj`; without `force` a field of another
    manager is a conflict."""
    query = _query(fieldManager=field_manager, force=force, dryRun=_dry_run(dry_run))
    path = resource.path(namespace, obj["metadata"]["name"], subresource)
    return Request("PATCH", path, query, APPLY, msgspec.json.encode(obj))


def patch(
    resource: ApiResource,
    namespace: str,
    name: str,
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    type_: PatchType = "merge",
    subresource: str = "",
    field_manager: str = "",
) -> Request:
    path = resource.path(namespace, name, subresource)
    query = _query(fieldManager=field_manager)
    content = msgspec.json.encode(body)
    return Request("PATCH", path, query, _PATCH_TYPES[type_], content, repeatable=type_ != "json")


def delete(
    resource: ApiResource,
    namespace: str,
    name: str,
    *,
    uid: str = "",
    resource_version: str = "",
    grace: int | None = None,
    propagation: Propagation | None = None,
) -> Request:
    """DELETE; `uid` and `resource_version` are preconditions, whose failure is a ConflictError."""
    options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions"}
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    if any(preconditions.values()):
        options["preconditions"] = {key: value for key, value in preconditions.items() if value}
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if propagation:
        options["propagationPolicy"] = propagation
    path = resource.path(namespace, name)
    return Request("DELETE", path, {}, JSON, msgspec.json.encode(options), repeatable=bool(uid))


def raw(path: str, query: Mapping[str, str] | None = None) -> Request:
    """GET of any path: `/version`, `/readyz`, a log."""
    return Request("GET", path, query or {})


def logs(
    namespace: str, pod: str, container: str = "", *, follow: bool = False, tail: int | None = None
) -> Request:
    query = _query(container=container, follow=follow)
    if tail is not None:
        query["tailLines"] = str(tail)
    return Request("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}/log", query)
