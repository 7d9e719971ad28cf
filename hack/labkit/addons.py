"""What runs inside the lab's cluster from the start: DNS, storage and metrics, from the manifests folder."""

import re
import socket
from pathlib import Path

from labkit import images, network
from labkit.components import CLUSTER_DOMAIN
from labkit.lab import Lab

MANIFESTS = Path(__file__).parent / "manifests"


def manifests(lab: Lab) -> str:
    """All manifests as one YAML stream, with the lab's images, addresses and paths in place of ${NAMES}."""
    values = {
        "COREDNS_IMAGE": images.COREDNS,
        "METRICS_SERVER_IMAGE": images.METRICS_SERVER,
        "DNS_ADDRESS": network.DNS_ADDRESS,
        "VOLUMES_IMAGE": images.VOLUMES,
        "VOLUMES": str(lab.folder / "volumes"),
    }
    text = "\n---\n".join(path.read_text() for path in sorted(MANIFESTS.glob("*.yaml")))
    return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], text)


def dns_answers(lab: Lab) -> bool:
    """Whether the cluster's DNS resolves the API server's name, asked from the first node."""
    with network.entered(lab.namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        try:
            client.sendto(question(f"kubernetes.default.svc.{CLUSTER_DOMAIN}"), (network.DNS_ADDRESS, 53))
            answer = client.recv(512)
        except OSError:
            return False
    return answer[3] & 0x0F == 0 and int.from_bytes(answer[6:8], "big") > 0


def question(name: str) -> bytes:
    """A query for one A record, RFC 1035 section 4: header, name, type A, class IN."""
    header = bytes.fromhex("1234 0100 0001 0000 0000 0000")
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return header + labels + bytes.fromhex("00 0001 0001")
