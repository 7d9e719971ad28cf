"""Host objects as data: read from manifests/*.yaml, placed in the tenant's namespaces, labelled."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kube.objects import Obj
from vcp import layout
from vcp.spec import Spec

_HERE = Path(__file__).parent.parent
_COMPONENTS = {"api", "etcd", "syncer", "dns"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
_NAMESPACE_KEYS = {"namespace", "kubernetes.io/metadata.name"}


@functools.cache
def _text(name: str) -> str:
    """A manifest: beside the package in a wheel, at the top of the repository in a checkout."""
    for folder in (_HERE / "manifests", _HERE.parent / "manifests"):
        if (folder / f"{name}.yaml").is_file():
            return (folder / f"{name}.yaml").read_text()
    raise FileNotFoundError(f"manifests/{name}.yaml")


@functools.cache
def _documents(name: str) -> bytes:
    """The parsed manifest as JSON, from which each caller gets a copy of its own at little cost."""
    return msgspec.json.encode(list(yaml.load_all(_text(name), Loader=_LOADER)))


def documents(name: str) -> list[Obj]:
    """The objects of one manifest as they are written, for the caller to change."""
    found: list[Obj] = msgspec.json.decode(_documents(name))
    return found


def objects(spec: Spec, name: str) -> dict[str, Obj]:
    """The objects of one manifest by `Kind/name`, in the tenant's namespaces and with its labels."""
    found = documents(name)
    places = {"control-plane": spec.namespace, "workloads": spec.workload_namespace}
    by_name = {}
    for obj in found:
        _place(obj, places)
        metadata = obj["metadata"]
        by_name[f"{obj['kind']}/{metadata['name']}"] = obj
        metadata["labels"] = {
            **layout.labels(spec, component_of(metadata["name"])),
            **metadata.get("labels", {}),
        }
    return by_name


def component_of(name: str) -> str:
    """The part of the control plane that an object is of, by its name: `etcd` of `etcd-peers`, `pki-etcd`."""
    return next((part for part in name.split("-") if part in _COMPONENTS), "tenant")


def _place(value: Any, places: Mapping[str, str]) -> None:
    """Puts the real namespaces in place of `control-plane` and `workloads`, wherever a namespace is named."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _NAMESPACE_KEYS and isinstance(item, str):
                value[key] = places.get(item, item)
            else:
                _place(item, places)
    elif isinstance(value, list):
        for item in value:
            _place(item, places)


def pod_template(obj: Obj, spec: Spec, component: str) -> Obj:
    """The pod spec of a Deployment or StatefulSet, with selectors and what the spec says about every pod."""
    selector = layout.selector(spec, component)
    obj["spec"]["selector"] = {"matchLabels": selector}
    template = obj["spec"]["template"]
    template["metadata"] = {"labels": {**layout.labels(spec, component), **selector}}
    pod: Obj = template["spec"]
    if spec.node_selector:
        pod["nodeSelector"] = dict(spec.node_selector)
    if spec.tolerations:
        pod["tolerations"] = [_without_empty(msgspec.to_builtins(item)) for item in spec.tolerations]
    if spec.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in spec.image_pull_secrets]
    return pod


def spread(selector: Mapping[str, str]) -> list[Obj]:
    """Replicas on different nodes and in different zones, if there are any to choose from."""
    return [
        {
            "topologyKey": key,
            "maxSkew": 1,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(selector)},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]


def _without_empty(item: Obj) -> Obj:
    return {key: value for key, value in item.items() if value not in ("", None)}
