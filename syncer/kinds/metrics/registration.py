"""How the tenant's API server knows of the metrics API: the APIService, and what discovery answers."""

from kube import apis
from kube.objects import Key, Obj
from syncer.core.scope import Scope
from syncer.kinds.services import builtin

GROUP = apis.POD_METRICS.group
VERSION = apis.POD_METRICS.version
NAME = f"{VERSION}.{GROUP}"
KEY = Key("", NAME)
_PRIORITY = 100  # that of upstream's metrics-server
_VERBS = ["get", "list"]


def api_service(scope: Scope) -> Obj:
    """The APIService; every default is written out, so that it compares."""
    return {
        "apiVersion": apis.API_SERVICES.api_version,
        "kind": apis.API_SERVICES.kind,
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/managed-by": "vcp"}},
        "spec": {
            "service": _service(),
            "group": GROUP,
            "version": VERSION,
            "caBundle": scope.webhook_ca,
            "groupPriorityMinimum": _PRIORITY,
            "versionPriority": _PRIORITY,
        },
    }


def is_ours(found: Obj) -> bool:
    """Whether an APIService leads to the syncer."""
    service = found["spec"].get("service") or {}
    return (service.get("namespace"), service.get("name")) == builtin.METRICS


def _service() -> Obj:
    return {
        "namespace": builtin.METRICS.namespace,
        "name": builtin.METRICS.name,
        "port": builtin.METRICS_PORT,
    }


def group_list() -> Obj:
    """What /apis answers; `vcp` serves no other group."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group()]}


def group() -> Obj:
    """What /apis/metrics.k8s.io answers."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group()}


def _group() -> Obj:
    version = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
    return {"name": GROUP, "versions": [version], "preferredVersion": version}


def resource_list() -> Obj:
    """What /apis/metrics.k8s.io/v1beta1 answers. Nothing there can be deleted, so a namespace that goes
    does not ask for it."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{VERSION}",
        "resources": [
            {
                "name": api.plural,
                "singularName": "",
                "namespaced": api.namespaced,
                "kind": api.kind,
                "verbs": _VERBS,
            }
            for api in (apis.NODE_METRICS, apis.POD_METRICS)
        ],
    }


def openapi() -> Obj:
    """What /openapi/v2 answers: no schemas, which is not an error for the API server that collects them."""
    info = {"title": GROUP, "version": VERSION}
    return {"swagger": "2.0", "info": info, "paths": {}}
