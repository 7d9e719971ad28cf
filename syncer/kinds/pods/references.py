"""Which tenant objects a pod refers to by name, and their names on the host.

The tables say where a reference stands; finding and rewriting both read them, so neither can know one that
the other does not.
"""

from collections.abc import Iterator
from typing import Any

from kube.objects import Key, Obj
from syncer.core import names
from syncer.core.scope import Scope

ENV = (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets"))
ENV_FROM = (("configMapRef", "configmaps"), ("secretRef", "secrets"))

VOLUMES = {  # volume type -> plural, and the path to the name
    "configMap": ("configmaps", ("name",)),
    "secret": ("secrets", ("secretName",)),
    "persistentVolumeClaim": ("persistentvolumeclaims", ("claimName",)),
    "azureFile": ("secrets", ("secretName",)),
    "csi": ("secrets", ("nodePublishSecretRef", "name")),
    **dict.fromkeys(
        ("cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"),
        ("secrets", ("secretRef", "name")),
    ),
}
SOURCES = (("configMap", "configmaps"), ("secret", "secrets"))

Found = Iterator[tuple[str, str]]


def references(pod: Obj) -> frozenset[tuple[str, Key]]:
    """(plural, tenant key) of every ConfigMap, Secret and claim that a tenant pod refers to."""
    namespace = pod["metadata"]["namespace"]
    return frozenset((plural, Key(namespace, name)) for plural, name in _names(pod) if name)


def host_name(name: str, tenant: Obj, scope: Scope) -> str:
    """The host name of an object that a tenant pod refers to; an empty name refers to nothing and stays."""
    return names.host_name(scope.name, tenant["metadata"]["namespace"], name) if name else name


def renamed(reference: Obj, path: tuple[str, ...], tenant: Obj, scope: Scope) -> Obj:
    """A copy of `reference` with the name at `path`, if there is one, in terms of the host."""
    value: Any = reference.get(path[0])
    if not value:
        return reference
    if len(path) == 1:
        return {**reference, path[0]: host_name(value, tenant, scope)}
    return {**reference, path[0]: renamed(value, path[1:], tenant, scope)}


def claim_name(pod: str, volume: str) -> str:
    """The claim that the tenant's controller makes for an ephemeral volume (KEP-1698)."""
    return f"{pod}-{volume}"


def _names(pod: Obj) -> Found:
    spec = pod["spec"]
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            yield from _in_container(container)
    for volume in spec.get("volumes") or ():
        yield from _in_volume(volume, pod["metadata"]["name"])
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")


def _in_container(container: Obj) -> Found:
    for variable in container.get("env") or ():
        if source := variable.get("valueFrom"):
            for field, plural in ENV:
                if field in source:
                    yield plural, source[field].get("name", "")
    for source in container.get("envFrom") or ():
        for field, plural in ENV_FROM:
            if field in source:
                yield plural, source[field].get("name", "")


def _in_volume(volume: Obj, pod: str) -> Found:
    for kind, content in volume.items():
        if kind in VOLUMES:
            plural, path = VOLUMES[kind]
            for field in path:
                content = content.get(field) or {}  # noqa: PLW2901  the walk to the name
            yield plural, content or ""
        elif kind == "ephemeral":
            yield "persistentvolumeclaims", claim_name(pod, volume["name"])
        elif kind == "projected":
            for source in content.get("sources") or ():
                for field, plural in SOURCES:
                    if field in source:
                        yield plural, source[field].get("name", "")
