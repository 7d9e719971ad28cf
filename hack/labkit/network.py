"""Network namespaces: each lab's nodes live in namespaces of their own, joined by a bridge, with no way out.

A namespace is held by a bind mount below the lab's folder, so that unmounting the folder removes it; nothing
is created in the machine's own network namespace. Addresses may repeat between labs.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from labkit.steps import LabError, run

POD_CIDR = "10.42.0.0/16"
SERVICE_CIDR = "10.43.0.0/16"
API_ADDRESS = "10.43.0.1"
DNS_ADDRESS = "10.43.0.10"
FABRIC_CIDR = "172.30.0.0/24"  # of the nodes
FABRIC = "fabric"  # the bridge in the first node's namespace that every node hangs on
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

# Set in each node's namespace: forward between pods, and let kube-proxy and the firewall see what crosses the
# bridge: without that, no policy would bind pods of one node among themselves.
SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",
    "net/ipv4/conf/all/route_localnet": "1",
    "net/ipv4/ping_group_range": "0 2147483647",
}


class Addresses(NamedTuple):
    """What the n-th node (from 1) is called on the fabric and which pods are its own."""

    number: int

    @property
    def node(self) -> str:
        return f"172.30.0.{9 + self.number}"

    @property
    def pods(self) -> str:
        return f"10.42.{self.number}.0/24"


@contextmanager
def entered(namespace: Path) -> Iterator[None]:
    """Runs the calling thread, and whatever processes it starts, inside a network namespace."""
    with Path("/proc/thread-self/ns/net").open("rb") as home, namespace.open("rb") as there:
        _setns(there.fileno(), namespace)
        try:
            yield
        finally:
            _setns(home.fileno(), namespace)


def _setns(descriptor: int, namespace: Path) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise LabError(f"cannot enter {namespace}: {os.strerror(ctypes.get_errno())}; the lab needs root.")


def ensure(namespace: Path) -> None:
    """Makes a namespace with its sysctls and its loopback device up; one that exists stays as it is."""
    if not is_namespace(namespace):
        namespace.parent.mkdir(parents=True, exist_ok=True)
        namespace.touch()
        run("unshare", f"--net={namespace}", "true")
    with entered(namespace):
        run("ip", "link", "set", "lo", "up")
        for name, value in SYSCTLS.items():
            path = Path("/proc/sys") / name
            if not path.exists():
                raise LabError(
                    f"the kernel offers no {name}; load the module br_netfilter: modprobe br_netfilter"
                )
            path.write_text(value)


def is_namespace(path: Path) -> bool:
    """Whether a file is the bind mount of a namespace (`Path.is_mount` only knows folders)."""
    return path.exists() and path.stat().st_dev != path.parent.stat().st_dev


def ensure_fabric(first: Path) -> None:
    """Gives the first node its end of the fabric: a bridge with a carrier of its own, since a bridge without
    a port is down.
    """
    address = Addresses(1)
    with entered(first):
        if not _has_link(FABRIC):
            run("ip", "link", "add", FABRIC, "type", "bridge")
            run("ip", "link", "add", "carrier0", "type", "veth", "peer", "name", "carrier1")
            run("ip", "link", "set", "carrier1", "master", FABRIC)
            run("ip", "link", "set", "carrier0", "arp", "off")  # or it would answer for the bridge's address
        for device in (FABRIC, "carrier0", "carrier1"):
            run("ip", "link", "set", device, "up")
        run("ip", "address", "replace", f"{address.node}/24", "dev", FABRIC)
        _route_services(FABRIC)


def ensure_link(first: Path, namespace: Path, address: Addresses) -> None:
    """Hangs a further node on the fabric by a cable whose two ends are inside the lab."""
    port = f"node{address.number}"
    with entered(first):
        if not _has_link(port):
            with namespace.open("rb") as there:
                name = f"/proc/{os.getpid()}/fd/{there.fileno()}"
                run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "link", "set", port, "master", FABRIC)
        run("ip", "link", "set", port, "up")
    with entered(namespace):
        run("ip", "address", "replace", f"{address.node}/24", "dev", "eth0")
        run("ip", "link", "set", "eth0", "up")
        _route_services("eth0")


def route_pods(namespace: Path, device: str, others: list[Addresses]) -> None:
    """Routes the pods of the other nodes through those nodes, and forgets nodes that are gone."""
    with entered(namespace):
        wanted = {other.pods: other.node for other in others}
        for line in run("ip", "-4", "route", "show", "dev", device).splitlines():
            words = line.split()
            if words[0].startswith("10.42.") and words[0] not in wanted:
                run("ip", "route", "del", words[0], "dev", device)
        for pods, node in wanted.items():
            run("ip", "route", "replace", pods, "via", node, "dev", device)


def enforces(namespace: Path) -> bool:
    """Whether kube-router has written all rules of a node once: the one that accepts what the policies have
    let through comes with the first whole set."""
    with entered(namespace):
        shown = subprocess.run(
            ["iptables", "-w", "-S", "KUBE-ROUTER-FORWARD"], capture_output=True, text=True, check=False
        )
    return "-j ACCEPT" in shown.stdout


def unlink(first: Path, address: Addresses) -> None:
    with entered(first):
        if _has_link(f"node{address.number}"):
            run("ip", "link", "del", f"node{address.number}")


def _route_services(device: str) -> None:
    # A ClusterIP needs a route before kube-proxy rewrites it; everything else fails at once instead of timing
    # out.
    run("ip", "route", "replace", SERVICE_CIDR, "dev", device)
    run("ip", "route", "replace", "unreachable", "default", "metric", "1000")


def _has_link(name: str) -> bool:
    lines = Path("/proc/thread-self/net/dev").read_text().splitlines()
    return name in {line.partition(":")[0].strip() for line in lines}
