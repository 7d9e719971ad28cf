"""Pods, stores and strategic merges for the tests of what becomes of a pod."""

import copy
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from kube import apis
from kube.apis import ApiResource
from kube.objects import Key, Obj, key_of
from syncer.core import marks, policy
from syncer.core.kind import Kind
from syncer.core.scope import Scope
from syncer.kinds.configmaps import ConfigMaps
from syncer.kinds.namespaces import Namespaces
from syncer.kinds.pods import metadata
from syncer.kinds.pods.pods import Pods
from syncer.kinds.services.services import Services

KEY = Key("default", "web-0")
UID = "11111111-1111-1111-1111-111111111111"
HOST_UID = "22222222-2222-2222-2222-222222222222"
NOW = 1_800_000_000.0

_MERGED_BY = {
    "conditions": "type",
    **dict.fromkeys(("containers", "initContainers", "ephemeralContainers"), "name"),
    **dict.fromkeys(("podIPs", "hostIPs"), "ip"),
}


class Cluster:
    """A store of all kinds; indexed as the resources say."""

    def __init__(self, side: str, objects: Iterable[Obj] = ()) -> None:
        self._side = side
        self.objects = list(objects)
        self.scope = Scope("tenant-a", "vcp-work", "vcp-tenant-a")
        resources: tuple[Kind, ...] = (Pods(), Namespaces(), Services(), ConfigMaps())
        self._resources = {resource.api: resource for resource in resources}

    def get(self, api: ApiResource, key: Key) -> Obj | None:
        return next((obj for obj in self._of(api) if key_of(obj) == key), None)

    def indexed(self, api: ApiResource, index: str, value: Hashable) -> Sequence[Obj]:
        function = self._resources[api].indexes[self._side][index]  # type: ignore[index]
        return [obj for obj in self._of(api) if value in function(obj, self.scope)]

    def named(self, key: Key) -> Iterable[Obj]:
        return [obj for obj in self.objects if key_of(obj) == key]

    def _of(self, api: ApiResource) -> list[Obj]:
        return [obj for obj in self.objects if obj["kind"] == api.kind]


def scope(tenant: Iterable[Obj] = (), host: Iterable[Obj] = (), now: float = NOW) -> Scope:
    return Scope(
        "tenant-a",
        "vcp-work",
        "vcp-tenant-a",
        dns_address="10.43.0.10",
        tenant=Cluster("tenant", tenant),
        host=Cluster("host", host),
        now=now,
        sync=policy.Sync(pods=policy.Pods(annotations=("*",), allowed_tolerations=({},))),
    )


def selecting(name: str, *labels: str) -> Obj:
    """A pod that keeps away from all pods in namespaces that have these labels."""
    selector = {"matchExpressions": [{"key": label, "operator": "Exists"} for label in labels]}
    term = {"topologyKey": "zone", "labelSelector": {}, "namespaceSelector": selector}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    meta = {"name": name, "namespace": "apart", "uid": f"uid-{name}"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [{"name": "app", "image": "app"}], "affinity": affinity},
    }


HOST_KEY = scope().host_key(KEY)
NODE = "node-1"


def condition(type_: str, status: str = "True", **fields: Any) -> Obj:
    return {
        "type": type_,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": "2027-01-15T08:00:00Z",
        **fields,
    }


def tenant_pod(**spec: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": KEY.namespace,
            "name": KEY.name,
            "uid": UID,
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": "2027-01-15T07:59:59Z",
            "labels": {"app": "web"},
            "annotations": {"note": "hello"},
        },
        "spec": {
            "containers": [{"name": "app", "image": "example.org/app:1", "resources": {}}],
            "terminationGracePeriodSeconds": 30,
            "restartPolicy": "Always",
            "serviceAccountName": "default",
            **spec,
        },
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def host_pod(tenant: Obj, **spec: Any) -> Obj:
    """The settled host pod of a tenant pod, not through the translation under test elsewhere."""
    kept = {field: copy.deepcopy(value) for field, value in tenant["spec"].items() if field != "nodeName"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": HOST_KEY.namespace,
            "name": HOST_KEY.name,
            "uid": HOST_UID,
            "resourceVersion": "9",
            "generation": 1,
            "creationTimestamp": "2027-01-15T08:00:00Z",
            "labels": metadata.host_labels(tenant, scope()),
            "annotations": metadata.host_annotations(tenant, scope()),
        },
        "spec": {**kept, "serviceAccountName": "vcp-workload", **spec},
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def running() -> tuple[Obj, Obj]:
    """A settled pair: bound, Ready on both sides."""
    tenant = tenant_pod(nodeName=NODE)
    host = host_pod(tenant, nodeName=NODE)
    host["status"] |= {
        "phase": "Running",
        "conditions": [
            condition(type_)
            for type_ in (
                "PodReadyToStartContainers",
                "Initialized",
                "Ready",
                "ContainersReady",
                "PodScheduled",
            )
        ],
        "hostIP": "192.0.2.7",
        "hostIPs": [{"ip": "192.0.2.7"}],
        "podIP": "10.42.0.5",
        "podIPs": [{"ip": "10.42.0.5"}],
        "startTime": "2027-01-15T08:00:00Z",
        "containerStatuses": [container_status("app", "example.org/app:1")],
    }
    tenant["status"] = copy.deepcopy(host["status"])
    return tenant, host


def container_status(name: str, image: str, **fields: Any) -> Obj:
    return {
        "name": name,
        "image": image,
        "imageID": f"{image}@sha256:0",
        "containerID": f"containerd://{name}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2027-01-15T08:00:01Z"}},
        "lastState": {},
        **fields,
    }


def deleting(pod: Obj, grace: int) -> Obj:
    times = {"deletionTimestamp": "2027-01-15T08:10:00Z", "deletionGracePeriodSeconds": grace}
    return {**pod, "metadata": {**pod["metadata"], **times}}


def token_secret(uid: str = UID, renew: str = str(int(NOW) + 600)) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "namespace": HOST_KEY.namespace,
            "name": f"{HOST_KEY.name}.tokens",
            "uid": "secret-uid",
            "labels": marks.labels("tenant-a", KEY),
            "annotations": {
                **marks.annotations(KEY, uid),
                marks.RESOURCE: apis.PODS.plural,
                "vcp.dev/renew": renew,
            },
        },
    }


def with_token(pod: Obj) -> Obj:
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}
    volume = {"name": "kube-api-access", "projected": {"sources": [source], "defaultMode": 420}}
    return {**pod, "spec": {**pod["spec"], "volumes": [volume]}}


def merged(old: Any, patch: Any, field: str = "") -> Any:
    """What a strategic merge patch makes of the fields of pods that have a merge key."""
    key = _MERGED_BY.get(field)
    if isinstance(patch, list) and key:
        if any(item.get("$patch") == "replace" for item in patch):
            return [item for item in patch if "$patch" not in item]
        items = {item[key]: item for item in old or ()}
        for item in patch:
            if item.get("$patch") == "delete":
                items.pop(item[key], None)
            else:
                items[item[key]] = merged(items.get(item[key]), item)
        return list(items.values())
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value, name)
    return result
