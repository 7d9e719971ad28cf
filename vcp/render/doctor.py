"""What `vcp doctor` puts onto a host: a namespace that is told apart from all others, and pods that try its
network."""

from collections.abc import Sequence
from typing import Any

import msgspec

from kube.objects import Obj
from vcp import layout
from vcp.render import syncer
from vcp.render.manifests import documents
from vcp.spec import Spec

SERVER, ASKING, CAGED = "server", "asking", "caged"
OPEN = 8080  # the port that the policy lets in


def namespace(name: str) -> Obj:
    """Marked like one of a tenant of which there is no record: `vcp list` shows it, `vcp reap` and
    `vcp delete` remove it, should its maker die."""
    labels = {
        layout.PART_OF: "vcp",
        layout.MANAGED_BY: "vcp",
        layout.TENANT: name,
        layout.MADE: "true",
        "pod-security.kubernetes.io/enforce": "restricted",
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"vcp-{name}", "labels": labels}}


def fixtures(namespace: str) -> list[Obj]:
    """What has to be there before the pods: account, policies, Service."""
    found = [obj for obj in documents("doctor") if obj["kind"] != "Pod"]
    for obj in found:
        obj["metadata"]["namespace"] = namespace
    return found


def pod(namespace: str, spec: Spec, name: str, program: str, arguments: Sequence[str]) -> Obj:
    """A pod of the syncer's image that runs the Python `program`, where the control plane would go."""
    (found,) = (obj for obj in documents("doctor") if obj["kind"] == "Pod")
    found["metadata"] = {"name": name, "namespace": namespace, "labels": {"app": name}}
    container = found["spec"]["containers"][0]
    container["image"] = syncer.image(spec)
    container["command"] = ["python3", "-c", program, *arguments]
    if name == SERVER:
        container["readinessProbe"] = {"tcpSocket": {"port": OPEN}, "periodSeconds": 1}
    if spec.node_selector:
        found["spec"]["nodeSelector"] = dict(spec.node_selector)
    if spec.tolerations:
        found["spec"]["tolerations"] = [
            {key: value for key, value in msgspec.to_builtins(one).items() if value not in ("", None)}
            for one in spec.tolerations
        ]
    return found


def privileged(of: Obj) -> dict[str, Any]:
    """The same pod with what no tenant may have, for a dry run."""
    container = {**of["spec"]["containers"][0], "securityContext": {"privileged": True}}
    meta = {**of["metadata"], "name": "privileged"}
    return {**of, "metadata": meta, "spec": {**of["spec"], "hostPID": True, "containers": [container]}}
