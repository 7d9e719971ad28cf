"""Where the host runs a pod, which plans of other kinds read of it: node and addresses."""

from collections.abc import Iterable
from typing import Any

from kube.objects import Obj, uid_of
from syncer.kinds.pods.status import is_finished


def node(pod: Obj) -> Iterable[str]:
    """The name of its node, if it has one."""
    name = pod["spec"].get("nodeName")
    return (name,) if name else ()


def addresses(pod: Obj) -> Iterable[str]:
    """Those of the pod's own: on the network of its node, they are the node's."""
    if pod["spec"].get("hostNetwork") or is_finished(pod):
        return ()
    return [one["ip"] for one in (pod.get("status") or {}).get("podIPs") or () if one.get("ip")]


def whereabouts(pod: Obj) -> Any:
    """All of this: while it stays the same, no other kind is concerned."""
    told = pod.get("status") or {}
    places = [told.get(field) for field in ("podIPs", "hostIPs", "hostIP")]
    return uid_of(pod), pod["spec"].get("nodeName"), is_finished(pod), places
