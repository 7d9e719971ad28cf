"""What a syncer holds of a running pod: the tenant pod, its host pod and the Secret of its tokens, as JSON of
the size that API servers send."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from kube import apis
from kube.objects import Obj, key_of, uid_of
from syncer.core import marks
from syncer.core.actions import RENEW
from syncer.core.scope import Scope
from syncer.kinds.pods import spec, tokens
from tests.pod_scope import scope

CASE = Path(__file__).parent / "golden" / "pods" / "typical"
_NOW = "2026-01-01T00:00:07Z"
_TYPES = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


class Held(NamedTuple):
    tenant: Obj
    host: Obj
    secret: Obj


def typical() -> tuple[Obj, Scope]:
    """A tenant pod as a Deployment makes it, before it runs."""
    fields = yaml.safe_load((CASE / "scope.yaml").read_text())
    return fresh(yaml.safe_load((CASE / "tenant.yaml").read_text())), scope(*fields.pop("objects"), **fields)


def fresh(obj: Any) -> Any:
    """As decoded from an answer: its own dicts and strings."""
    return msgspec.json.decode(msgspec.json.encode(obj))


def held(tenant: Obj, where: Scope) -> Held:
    """The tenant pod bound and Running, and what the host has of it."""
    host = fresh(spec.host_pod(tenant, where))
    uid, version = uid_of(tenant), tenant["metadata"]["resourceVersion"]
    host["metadata"] |= {"uid": f"host-{uid}", "resourceVersion": version, "creationTimestamp": _NOW}
    host["metadata"]["generation"] = 1
    host["spec"] |= {"nodeName": "node-1", "priority": 0, "schedulerName": "default-scheduler"}
    annotations = marks.annotations(key_of(tenant), uid) | {RENEW: "9999999999", marks.RESOURCE: "pods"}
    metadata = {
        "name": tokens.secret_name(host["metadata"]["name"]),
        "namespace": where.namespace,
        "uid": f"secret-{uid}",
        "resourceVersion": version,
        "annotations": annotations,
        "labels": marks.labels(where.name, key_of(tenant)),
        "ownerReferences": where.owner(),
    }
    secret = {"apiVersion": "v1", "kind": apis.SECRETS.kind, "metadata": metadata, "data": {"t": uid * 40}}
    host["status"] = _status(tenant)
    host["status"]["conditions"][-1]["lastTransitionTime"] = "2026-01-01T00:00:06Z"  # bound there first
    bound = fresh({**tenant, "spec": {**tenant["spec"], "nodeName": "node-1"}, "status": _status(tenant)})
    for obj in (bound, host, secret):
        obj["metadata"]["managedFields"] = _managed(obj)
    return Held(bound, host, secret)


def _managed(obj: Obj) -> list[Obj]:
    """Who wrote which field, as API servers note it."""
    noted = []
    for manager, names in (("creator", ("metadata", "spec", "data")), ("kubelet", ("status",))):
        fields = {f"f:{name}": _paths(obj[name]) for name in names if name in obj}
        noted.append({"manager": manager, "operation": "Update", "time": _NOW, "fieldsV1": fields})
    return noted


def _paths(value: Any) -> Obj:
    if isinstance(value, dict):
        return {f"f:{name}": _paths(inner) for name, inner in value.items()}
    if isinstance(value, list):
        named = [one for one in value if isinstance(one, dict) and "name" in one]
        return {f'k:{{"name":"{one["name"]}"}}': {".": {}, **_paths(one)} for one in named}
    return {}


def many(count: int, deployments: int) -> Iterator[Held]:
    """Pods of so many Deployments in turn, each with its own names and images; as many as pods: all
    different in every text."""
    tenant, where = typical()
    one = msgspec.json.encode(held(tenant, where)).decode()
    for number in range(count):
        text, each = one, f"{number:05}"
        for ours, theirs in _names(number, number % deployments):
            text = text.replace(ours, theirs)
        found = Held(*msgspec.json.decode(text))
        for obj in found:
            obj["metadata"]["resourceVersion"] = str(number + 1)
        yield found if deployments < count else Held(*(_different(obj, each) for obj in found))


def _names(number: int, deployment: int) -> Iterator[tuple[str, str]]:
    pod, workload = (hashlib.sha256(text.encode()).hexdigest() for text in (f"p{number}", f"d{deployment}"))
    yield "6a2f41a3-c54c-fce8-32d2-0324e1c32e22", f"{pod[:8]}-c54c-fce8-32d2-{pod[8:20]}"
    yield "kube-api-access-8xk2v", f"kube-api-access-{pod[20:25]}"
    yield "x7k2p", pod[25:30]
    yield "5d4f8c7b9", workload[:9]
    yield "7d7a3c1e-5a3b-4f0e-9a51-2c0a6a1b9c55", f"{workload[:8]}-5a3b-4f0e-9a51-{workload[8:20]}"
    yield "registry.example.com/web", f"registry.example.com/web-{deployment}"
    yield '"web-db"', f'"web-db-{deployment}"'
    yield "10.42.0.5", f"10.{42 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    yield "containerd://", f"containerd://{pod}"
    yield '"node-1"', f'"node-{number % 50}"'


def _different(value: Any, suffix: str, field: str = "") -> Any:
    """Every text its own; numbers and the names of fields stay."""
    if isinstance(value, dict):
        return {name: _different(inner, suffix, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_different(inner, suffix) for inner in value]
    return value + suffix if isinstance(value, str) and field != "resourceVersion" else value


def _status(tenant: Obj) -> Obj:
    def container(name: str, state: Obj) -> Obj:
        image = "registry.example.com/web:1.4.2"
        mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("config", "tls", "cache")]
        return {
            "name": name,
            "image": image,
            "imageID": f"{image}@sha256:{'0' * 64}",
            "lastState": {},
            "containerID": f"containerd://{name}",
            "ready": True,
            "restartCount": 0,
            "started": True,
            "state": state,
            "volumeMounts": mounts,
            "resources": {"requests": {"cpu": "100m"}},
        }

    conditions = [
        {
            "type": type_,
            "status": "True",
            "observedGeneration": 1,
            "lastProbeTime": None,
            "lastTransitionTime": _NOW,
        }
        for type_ in _TYPES
    ]
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": _NOW, "finishedAt": _NOW}}
    return {
        "phase": "Running",
        "observedGeneration": 1,
        "qosClass": tenant["status"]["qosClass"],
        "startTime": _NOW,
        "hostIP": "192.0.2.7",
        "hostIPs": [{"ip": "192.0.2.7"}],
        "podIP": "10.42.0.5",
        "podIPs": [{"ip": "10.42.0.5"}],
        "conditions": conditions,
        "containerStatuses": [container("web", {"running": {"startedAt": _NOW}})],
        "initContainerStatuses": [container("migrate", ended)],
    }
