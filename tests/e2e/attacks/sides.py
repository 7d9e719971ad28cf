"""Two tenants beside each other, and what they share a host with: where each part runs, and its ports."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from labkit import network
from labkit.steps import run

from ..conftest import LabUser
from ..objects import deployment, service, web
from ..tenants import outposts
from ..tenants.conftest import Tenant, Vcp, new_name
from ..workloads.conftest import Place
from .reaching import Target, listening, of_pods

METADATA = "169.254.169.254"  # where clouds keep what only a node may know
WORLD = "203.0.113.1"  # RFC 5737: nobody's address, and in no range that a tenant is denied
PARTS = ("api", "etcd", "syncer", "dns")

# What each part listens on, by what it is for: the part, ports of its pods, and of a Service if it has one.
LISTENS: dict[str, tuple[str, tuple[int, ...], tuple[str, int] | None]] = {
    "pods and Services": ("pods", (8080,), ("web", 80)),
    "API server": ("api", (6443,), ("api", 443)),
    "controller manager": ("api", (10257,), None),
    "DNS": ("dns", (1053,), ("dns", 53)),
    "DNS, its probes": ("dns", (8080, 8181), None),
    "etcd": ("etcd", (2379,), ("etcd", 2379)),
    "etcd, for members": ("etcd", (2380,), None),
    "etcd, its metrics": ("etcd", (2381,), None),
    "syncer": ("syncer", (10250, 8443, 4443), ("syncer", 8443)),
    "syncer, its metrics": ("syncer", (8080,), None),
}

Origins = Mapping[str, Mapping[str, Path]]  # part -> address -> network namespace
Rows = Mapping[
    str, Mapping[Target, str]
]  # what it is -> target -> the address that it has as an origin, or ""


class Side(NamedTuple):
    """A tenant, or the host: from where it can ask, and what can be asked."""

    origins: Origins
    rows: Rows


@pytest.fixture(scope="module")
def two(lab: LabUser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Place]]:
    """Two tenants; in each a pod on every node, and a Service in front of them."""
    made: list[Place] = []
    vcp = Vcp(lab, tmp_path_factory.mktemp("reach"))
    tenants = [Tenant(vcp, new_name()) for _ in range(2)]
    try:
        for tenant in tenants:
            vcp.run("create", tenant.name, "--distro", "k8s", "--ephemeral")
            place = Place(tenant, "reach")
            place.apply(deployment(spread("web"), replicas=len(lab.lab.nodes())), service("web"))
            made.append(place)
        for place in made:
            place.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        yield made[0], made[1]
    finally:
        for tenant in tenants:
            vcp.run("delete", tenant.name, "--yes", "--ignore-not-found", "--no-wait")


def spread(name: str) -> dict[str, Any]:
    """A web server of which each node has one."""
    apart = {"labelSelector": {"matchLabels": {"app": name}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    return web(name, affinity=affinity)


@pytest.fixture(scope="module")
def host(lab: LabUser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """Pods of the host that no policy binds, its nodes with a metadata service each, and the world."""
    namespace = f"e2e-{secrets.token_hex(4)}"
    lab.kubectl("create", "namespace", namespace)
    nodes = {node.addresses.node: node for node in lab.lab.nodes()}
    lab.apply(deployment(spread("web"), replicas=len(nodes)), namespace=namespace)
    lab.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    pods = addresses(lab.get("-n", namespace, "pods")["items"])
    world = tmp_path_factory.mktemp("reach") / "world"
    with ExitStack() as held:
        held.enter_context(outposts.outpost(lab, world, WORLD))
        held.enter_context(listening(world, WORLD, 53, 80))
        with network.entered(world):
            run("ip", "route", "add", network.FABRIC_CIDR, "dev", "eth0")
        for address, node in nodes.items():
            held.enter_context(listening(node.namespace, METADATA, 53, 80))
            with network.entered(node.namespace):
                run("ip", "route", "replace", f"{WORLD}/32", "dev", node.device)
            with network.entered(world):
                run("ip", "route", "add", node.addresses.pods, "via", address)
        api = lab.lab.node(1).addresses.node
        dns = addresses(lab.get("-n", "kube-system", "pods", "-l", "k8s-app=kube-dns")["items"])
        rows: Rows = {
            "API": {Target(api, 6443): api, Target(network.API_ADDRESS, 443): ""},
            "DNS": {Target(network.DNS_ADDRESS, 53, "UDP"): "", Target(network.DNS_ADDRESS, 53): ""}
            | {Target(one, 53, "UDP"): one for one in dns},
            "pods": {Target(one, 8080): one for one in pods},
            "kubelets": {Target(one, 10250): one for one in nodes},
            "link-local addresses": {Target(METADATA, port): "" for port in (80, 53)},
            "the world": {Target(WORLD, port): WORLD for port in (80, 53)},
        }
        origins = {"host": of_pods(lab, pods), "node": {one: node.namespace for one, node in nodes.items()}}
        yield Side({**origins, "world": {WORLD: world}}, rows)
        for node in nodes.values():
            with network.entered(node.namespace):
                run("ip", "route", "delete", f"{WORLD}/32")
    lab.kubectl("delete", "namespace", namespace, "--wait=false")


def addresses(pods: Iterable[dict[str, Any]]) -> list[str]:
    return [pod["status"]["podIP"] for pod in pods]


def side(place: Place) -> Side:
    """A tenant as it is now."""
    lab, tenant = place.lab, place.tenant
    pods = {part: addresses(tenant.host_pods(part)) for part in PARTS}
    pods["pods"] = addresses(place.on_host().values())
    services = {name: service_address(lab, tenant, name) for name in ("api", "dns", "etcd", "syncer")}
    services["web"] = place.get("service", "web")["spec"]["clusterIP"]
    rows: dict[str, dict[Target, str]] = {}
    for row, (part, ports, front) in LISTENS.items():
        protocols = ("TCP", "UDP") if row == "DNS" else ("TCP",)
        rows[row] = {
            Target(one, port, protocol): one for one in pods[part] for port in ports for protocol in protocols
        }
        if front:
            own = pods[part][0] if len(pods[part]) == 1 else ""
            rows[row] |= {Target(services[front[0]], front[1], protocol): own for protocol in protocols}
    return Side({part: of_pods(lab, found) for part, found in pods.items()}, rows)


def service_address(lab: LabUser, tenant: Tenant, name: str) -> str:
    found: str = lab.get("-n", tenant.namespace, "service", name)["spec"]["clusterIP"]
    return found
