"""What differs between the spec as applied and the one wanted, and which of that cannot be done in place."""

from typing import Any

import msgspec

from vcp.spec.model import Spec

# path -> why; any change of these is refused.
_FINAL = {
    "name": "all host objects carry it",
    "namespace": "the data would stay behind; make a new tenant",
    "workloadNamespace": "the running pods would stay behind; make a new tenant",
    "distro": "distros do not read each other's bootstrap data; make a new tenant",
    "serviceCidr": "ClusterIPs that are already given out would be invalid",
    "clusterDomain": "it is part of every issued token and of running pods' DNS configuration",
    "storage.ephemeral": "the data cannot move between a pod and a volume; make a new tenant",
    "storage.class": "Kubernetes cannot change the class of an existing volume",
    "storage.size": "the claims of a StatefulSet are immutable; resize the claims themselves",
    "etcd.replicas": "members join and leave etcd by its own API, one by one; make a new tenant and restore",
}


def changes(old: Spec, new: Spec) -> list[tuple[str, Any, Any]]:
    """`(path, old, new)` of each setting that differs, defaults included, in the order of the paths."""
    before, after = _flat(old), _flat(new)
    return [
        (path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def immutable_violations(old: Spec, new: Spec) -> list[str]:
    """One sentence for each change that cannot be applied to a tenant that exists; empty if all can."""
    refused = [
        f"{path} cannot change from {_shown(before)} to {_shown(after)}: {_FINAL[path]}"
        for path, before, after in changes(old, new)
        if path in _FINAL
    ]
    if new.minor < old.minor:
        refused.append(f"version cannot go back from {old.version} to {new.version}: its data may be newer")
    elif new.minor > old.minor + 1:
        refused.append(
            f"version cannot skip a minor, from {old.version} to {new.version}: upgrade one by one"
        )
    return refused


def _shown(value: Any) -> str:
    return repr(value) if value != "" else "the default"


def _flat(spec: Spec) -> dict[str, Any]:
    """Leaf values by dotted path; structs and mappings are opened, lists are values."""
    flat: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, msgspec.Struct):
            for field in msgspec.structs.fields(value):
                walk(getattr(value, field.name), f"{path}.{field.encode_name}" if path else field.encode_name)
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(item, f"{path}.{key}")
        else:
            flat[path] = [msgspec.to_builtins(item) for item in value] if isinstance(value, tuple) else value

    walk(spec, "")
    return flat
