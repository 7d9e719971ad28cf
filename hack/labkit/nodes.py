"""Adding and removing nodes of a running lab: real ones with a containerd and a kubelet, and fake ones for
load.
"""

import json
import os
import re
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labkit import cgroups, network
from labkit.build import build
from labkit.cluster import DEADLINE, Cluster, unmount_below
from labkit.components import ControlPlane
from labkit.lab import Node
from labkit.prepare import route_between
from labkit.steps import LabError, run


def add(cluster: Cluster, name: str) -> None:
    """Adds a real node; one that is there already is repaired."""
    match = re.fullmatch(r"node-([2-9])", name)
    if match is None:
        raise LabError(f"{name!r} is not a name for a further node: node-2 to node-9.")
    cluster.require_up()
    cluster.lab.node(int(match[1])).folder.mkdir(exist_ok=True)
    cluster.up()


def add_fake(cluster: Cluster, count: int) -> list[str]:
    """Adds nodes that only exist in the API: kwok plays their kubelet. Tainted, so only who asks lands
    there. Returns their names.
    """
    cluster.require_up()
    taken = set(cluster.kubectl("get", "nodes", "-o", "name").split())
    names = [name for i in range(1, 10_000) if f"node/{(name := f'fake-{i}')}" not in taken][:count]
    items = {"apiVersion": "v1", "kind": "List", "items": [_fake(name) for name in names]}
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(items))
    cluster.daemons.ensure(ControlPlane(cluster.lab, build()).kwok())
    waited = [f"node/{name}" for name in names]
    cluster.kubectl("wait", "--for=condition=Ready", *waited, f"--timeout={DEADLINE:.0f}s")
    return names


def remove_fake(cluster: Cluster, names: Sequence[str]) -> None:
    """Removes fake nodes without a drain, and kwok with the last one."""
    cluster.kubectl("delete", "--ignore-not-found", *(f"node/{name}" for name in names))
    if not cluster.kubectl("get", "nodes", "-l", "type=kwok", "-o", "name"):
        cluster.daemons.stop("kwok")


def remove(cluster: Cluster, name: str) -> None:
    """Drains and removes a node, real or fake, with everything that runs on it."""
    cluster.require_up()
    node = next((node for node in cluster.lab.nodes() if node.name == name), None)
    if node is not None and node.number == 1:
        raise LabError("node-1 carries the control plane; `hack/lab down` removes the whole lab.")
    drain = ("drain", name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--disable-eviction")
    cluster.kubectl(*drain, f"--timeout={DEADLINE:.0f}s")
    cluster.kubectl("delete", "node", name, "--ignore-not-found")
    if node is not None:
        with cluster.locked():
            _dismantle(cluster, node)


def _dismantle(cluster: Cluster, node: Node) -> None:
    for component in ("kubelet", "kube-proxy", "kube-router", "containerd"):
        cluster.daemons.stop(f"{component}-{node.number}")
        cluster.daemons.log(f"{component}-{node.number}").unlink(missing_ok=True)
    for pid in cgroups.processes(cluster.lab.system_cgroup):
        if str(node.socket) in _command(pid):  # a shim that outlived its containerd
            os.kill(pid, signal.SIGKILL)
    cgroups.end(node.cgroup)
    unmount_below(node.folder)
    network.unlink(cluster.lab.namespace, node.addresses)
    run("umount", "--lazy", node.namespace)
    node.namespace.unlink()
    shutil.rmtree(node.folder)
    route_between(cluster.lab.nodes())


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:  # it ended meanwhile
        return []


def _fake(name: str) -> dict[str, Any]:
    size = {"cpu": "32", "memory": "256Gi", "pods": "1000"}
    metadata = {
        "name": name,
        "labels": {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
        "annotations": {"kwok.x-k8s.io/node": "fake"},
    }
    taint = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": {"taints": [taint]},
        "status": {"allocatable": size, "capacity": size},
    }
