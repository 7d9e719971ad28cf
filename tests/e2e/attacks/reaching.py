"""Who reaches whom, by traffic: connections opened from inside the network namespaces of pods, nodes and a
machine outside of the cluster.

What a policy refuses looks like a port that nobody listens on. So a target counts only where some node has
reached it: no policy forbids a node to reach its own pods.
"""

import contextlib
import selectors
import socket
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from labkit import network
from labkit.addons import question
from labkit.components import CLUSTER_DOMAIN
from labkit.steps import run

from ..conftest import LabUser

PATIENCE = 2.0  # seconds for all connections of a round, each of which takes milliseconds
_ASKED = question(f"kubernetes.default.svc.{CLUSTER_DOMAIN}")


class Target(NamedTuple):
    """An address and a port; what is asked over UDP is a DNS server."""

    address: str
    port: int
    protocol: str = "TCP"


def reached(asked: Mapping[Path, Collection[Target]]) -> dict[Path, set[Target]]:
    """Those of the targets that take a connection, or answer a query, from inside each network namespace.

    All are asked at once: a socket stays in the namespace that it was made in."""
    found: dict[Path, set[Target]] = {origin: set() for origin in asked}
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as opened:
        for origin, targets in asked.items():
            with network.entered(origin):
                for target in targets:
                    client = opened.enter_context(_client(target))
                    if _begins(client, target):
                        event = selectors.EVENT_WRITE if target.protocol == "TCP" else selectors.EVENT_READ
                        selector.register(client, event, (client, origin, target))
        deadline = time.monotonic() + PATIENCE
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for ready, _ in selector.select(left):
                client, origin, target = ready.data
                selector.unregister(client)
                if _answered(client, target):
                    found[origin].add(target)
    return found


def _client(target: Target) -> socket.socket:
    kind = socket.SOCK_STREAM if target.protocol == "TCP" else socket.SOCK_DGRAM
    return socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)


def _begins(client: socket.socket, target: Target) -> bool:
    """False if there is not even a route."""
    try:
        client.connect((target.address, target.port))
        if target.protocol == "UDP":
            client.send(_ASKED)
    except BlockingIOError:  # under way
        return True
    except OSError:
        return False
    return True


def _answered(client: socket.socket, target: Target) -> bool:
    if target.protocol == "TCP":
        return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    try:
        return bool(client.recv(512))
    except OSError:
        return False


def of_pods(lab: LabUser, addresses: Collection[str]) -> dict[str, Path]:
    """The network namespaces of the pods with these addresses."""
    found: dict[str, Path] = {}
    for node in lab.lab.nodes():
        for path in node.folder.glob("run/io.containerd.grpc.v1.cri/netns/cni-*"):
            if network.is_namespace(path):
                with network.entered(path):
                    own = Path("/proc/thread-self/net/fib_trie").read_text().split()
                found |= {address: path for address in addresses if address in own}
    return found


@contextlib.contextmanager
def listening(namespace: Path, address: str, *ports: int) -> Iterator[None]:
    """Gives a namespace one more address and takes connections there, whoever they come from."""
    with contextlib.ExitStack() as opened:
        with network.entered(namespace):
            run("ip", "address", "replace", f"{address}/32", "dev", "lo")
            for port in ports:
                opened.enter_context(socket.create_server((address, port), backlog=4096))
        yield
    with network.entered(namespace):
        run("ip", "address", "delete", f"{address}/32", "dev", "lo")
