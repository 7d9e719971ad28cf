"""The pods that measurements make: for the fake nodes, where they cost no kubelet, and for real ones."""

from typing import Any

NAME = "$NAME"  # what the generator puts each pod's name in place of

TOLERATION = {"key": "kwok.x-k8s.io/node", "operator": "Exists", "effect": "NoSchedule"}
"""Of the fake nodes' taint. A tenant's pods may have it because the bench's spec says so."""

_LIMITED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
}


def fake() -> dict[str, Any]:
    """Lands on the fake nodes. It mounts the default token, as nearly every pod does."""
    return _pod(
        {
            "containers": [{"name": "main", "image": "localhost/fake:1"}],
            "nodeSelector": {"type": "kwok"},
            "tolerations": [TOLERATION],
        }
    )


def real(image: str, *command: str) -> dict[str, Any]:
    """Runs a command on a real node, from an image that is there."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": list(command),
        "securityContext": _LIMITED,
    }
    return _pod({"containers": [container], "terminationGracePeriodSeconds": 0})


def _pod(spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": NAME, "labels": {"app": "bench"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
