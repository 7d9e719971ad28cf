"""Everything that the lab's processes need before they start: cgroups, network, certificates, files, image
stores.

Each part is made if it is missing and left alone if it is there.
"""

import json
from pathlib import Path

import yaml

from labkit import cgroups, images, network, pki, store
from labkit.components import CLUSTER_DOMAIN, NodeAgents, kubeconfig
from labkit.daemons import lab_limit
from labkit.lab import Lab, Node

# What a tenant's spec has to name in place of the images of public registries.
TENANT_IMAGES = {
    "k3s": images.K3S_STANDIN,
    "apiServer": images.KUBE_APISERVER,
    "controllerManager": images.KUBE_CONTROLLER_MANAGER,
    "etcd": images.ETCD,
    "syncer": images.SYNCER,
    "coredns": images.COREDNS,
}


def prepare(lab: Lab, binaries: dict[str, Path], seed: Path) -> None:
    """Makes a lab ready to start, with the nodes that it has by now."""
    nodes = lab.nodes()
    for group in (lab.system_cgroup, *(node.cgroup for node in nodes)):
        cgroups.ensure(group)
    cgroups.limit(lab.cgroup, lab_limit())
    _connect(lab, nodes)
    _certify(lab, nodes)
    write(lab.vcp_config, yaml.safe_dump({"spec": {"images": TENANT_IMAGES}}))
    (lab.folder / "volumes").mkdir(parents=True, exist_ok=True)
    for node in nodes:
        if not node.store.exists():
            store.clone(seed, node.store)
        for name, content in NodeAgents(node, binaries).files().items():
            write(node.folder / name, content)


def write(path: Path, content: str, mode: int = 0o644) -> None:
    """Writes a file whole or not at all; one that has the content already keeps its time."""
    if path.exists() and path.read_text() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.touch(mode=mode)
    partial.write_text(content)
    partial.rename(path)


def _connect(lab: Lab, nodes: list[Node]) -> None:
    for node in nodes:
        network.ensure(node.namespace)
    network.ensure_fabric(lab.namespace)
    for node in nodes[1:]:
        network.ensure_link(lab.namespace, node.namespace, node.addresses)
    route_between(nodes)


def route_between(nodes: list[Node]) -> None:
    """Lets the pods of each node reach those of all others."""
    for node in nodes:
        others = [other.addresses for other in nodes if other != node]
        network.route_pods(node.namespace, node.device, others)


def _certify(lab: Lab, nodes: list[Node]) -> None:
    folder, service = lab.pki, "kubernetes.default.svc"
    authority, front = pki.Authority(folder, "ca"), pki.Authority(folder, "front-proxy-ca")
    names = ("kubernetes", "kubernetes.default", service, f"{service}.{CLUSTER_DOMAIN}", "localhost")
    addresses = ("127.0.0.1", network.API_ADDRESS, nodes[0].addresses.node)
    authority.issue("apiserver", "kube-apiserver", names=(*names, *addresses))
    authority.issue("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
    front.issue("front-proxy", "front-proxy")
    pki.ensure_service_account_key(folder)
    for user, name, groups in (
        ("admin", "lab-admin", ("system:masters",)),
        ("controller-manager", "system:kube-controller-manager", ()),
        ("scheduler", "system:kube-scheduler", ()),
        ("kube-proxy", "system:kube-proxy", ()),
        ("kube-router", "kube-router", ()),
    ):
        authority.issue(user, name, groups)
        path = lab.kubeconfig if user == "admin" else folder / f"{user}.kubeconfig"
        write(path, json.dumps(kubeconfig(lab, user), indent=1), mode=0o600)
    for node in nodes:
        user, address = f"system:node:{node.name}", node.addresses.node
        authority.issue(node.name, user, ("system:nodes",), (node.name, address))
