"""What an API server does for pods beyond storing them: grace periods, binding, tokens, strategic merges."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from kube.objects import Obj

_MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "podIPs": "ip",
    "hostIPs": "ip",
}


def strategic(old: Any, new: Any, field: str = "") -> Any:
    """A strategic merge patch for what the core API says of the lists in pods."""
    key = _MERGE_KEYS.get(field)
    if isinstance(new, list) and key:
        if any(item.get("$patch") == "replace" for item in new):
            return [item for item in new if "$patch" not in item]
        by_key = {item[key]: item for item in old or ()}
        for item in new:
            if item.get("$patch") == "delete":
                by_key.pop(item[key], None)
            else:
                by_key[item[key]] = strategic(by_key.get(item[key]), item)
        return list(by_key.values())
    if not isinstance(new, dict):
        return copy.deepcopy(new)
    result = copy.deepcopy(old) if isinstance(old, dict) else {}
    for name, value in new.items():
        if value is None:
            result.pop(name, None)
        elif not name.startswith("$"):
            result[name] = strategic(result.get(name), value, name)
    return result


def created(obj: Obj) -> None:
    """What the strategy of pods sets on create."""
    obj["metadata"]["generation"] = 1
    obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}


def deleted(pod: Obj, options: Obj) -> Obj | None:
    """The pod with its grace period begun or shortened; None if it goes at once."""
    grace = options.get("gracePeriodSeconds")
    if grace is None:
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
    if not pod["spec"].get("nodeName") or pod["status"].get("phase") in {"Succeeded", "Failed"}:
        grace = 0
    meta = pod["metadata"]
    if grace == 0:
        return None
    if grace >= meta.get("deletionGracePeriodSeconds", float("inf")):
        return pod
    result = copy.deepcopy(pod)
    end = datetime.now(UTC) + timedelta(seconds=grace)
    result["metadata"] |= {
        "deletionGracePeriodSeconds": grace,
        "deletionTimestamp": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return result


def bound(pod: Obj, binding: Obj) -> Obj:
    condition = {"type": "PodScheduled", "status": "True"}
    changes = {"spec": {"nodeName": binding["target"]["name"]}, "status": {"conditions": [condition]}}
    result: Obj = strategic(pod, changes)
    return result


def token(request: Obj, account: str) -> Obj:
    spec = request["spec"]
    expires = datetime.now(UTC) + timedelta(seconds=spec.get("expirationSeconds", 3600))
    text = f"token of {account} for {spec['boundObjectRef']['name']} {','.join(spec['audiences'])}"
    status = {"token": text, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return request | {"status": status}
