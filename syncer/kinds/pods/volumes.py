"""Volumes: which types a tenant may use, and where their content comes from on the host."""

from collections.abc import Iterator

from kube.objects import Obj
from syncer.core.refusal import Problem
from syncer.core.scope import Scope
from syncer.kinds.pods import downward, fields, references, tokens

ALWAYS = frozenset(
    [
        "emptyDir",
        "configMap",
        "secret",
        "projected",
        "downwardAPI",
        "persistentVolumeClaim",
        "ephemeral",
        "image",
    ]
)
_BY_POLICY = fields.VOLUME_TYPES - ALWAYS
_ALLOW = "sync.pods.volumes"
_REFUSED_SOURCES = {
    "clusterTrustBundle": "trust bundles are not synced to the host",
    "podCertificate": "pod certificates are not issued on the host",
}


def problems(spec: Obj, scope: Scope) -> Iterator[Problem]:
    for index, volume in enumerate(spec.get("volumes") or ()):
        for kind in volume:
            if kind in _BY_POLICY and kind not in scope.sync.pods.volumes:
                yield Problem(
                    f"spec.volumes[{index}].{kind}", f"volumes of type {kind} are not allowed", _ALLOW
                )
        for place, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            for kind in source:
                if reason := _REFUSED_SOURCES.get(kind):
                    yield Problem(f"spec.volumes[{index}].projected.sources[{place}].{kind}", reason)
    yield from downward.problems(spec)


def parts(volume: Obj) -> int:
    """The volume, and what is listed in it: the sources of a projected one, and files."""
    sources = (volume.get("projected") or {}).get("sources") or ()
    contents = (inner for content in (volume, *sources) for inner in content.values())
    items = sum(len(inner.get("items") or ()) for inner in contents if isinstance(inner, dict))
    return 1 + len(sources) + items


def host_volume(volume: Obj, tenant: Obj, scope: Scope, host_pod: str) -> Obj:
    """A volume in terms of the host, of one whose references are; `host_pod` is the name of the host pod."""
    for kind, content in volume.items():
        if kind == "ephemeral":  # the tenant's controller makes the claim, which is synced as any other
            claim = references.claim_name(tenant["metadata"]["name"], volume["name"])
            name = references.host_name(claim, tenant, scope)
            return {"name": volume["name"], "persistentVolumeClaim": {"claimName": name}}
        if kind == "projected":
            sources = [
                _host_source(source, volume["name"], host_pod, scope)
                for source in content.get("sources") or ()
            ]
            return {**volume, kind: {**content, "sources": sources}}
        if kind == "downwardAPI":
            return {**volume, kind: _host_downward(content, scope)}
    return volume


def _host_source(source: Obj, volume: str, host_pod: str, scope: Scope) -> Obj:
    if token := source.get("serviceAccountToken"):
        # Not optional: the kubelet starts the pod when the Secret is there.
        item = {"key": tokens.file_key(volume, token["path"]), "path": token["path"]}
        return {"secret": {"name": tokens.secret_name(host_pod), "items": [item]}}
    if "downwardAPI" in source:
        return {"downwardAPI": _host_downward(source["downwardAPI"], scope)}
    return source


def _host_downward(content: Obj, scope: Scope) -> Obj:
    items = content.get("items")
    return {**content, "items": downward.host_items(items, scope)} if items else content
