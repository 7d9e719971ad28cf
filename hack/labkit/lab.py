"""One lab by name: where its state is, and the nodes that it has. Plain data; nothing here changes the
machine.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from labkit.network import Addresses
from labkit.steps import LabError

DEFAULT_NAME = "main"


@dataclass(frozen=True)
class Node:
    """A real node: containerd, kubelet, kube-proxy and a firewall in a network namespace of their own."""

    lab: "Lab"
    number: int

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def folder(self) -> Path:
        return self.lab.folder / self.name

    @property
    def namespace(self) -> Path:
        return self.lab.folder / "netns" / self.name

    @property
    def cgroup(self) -> str:
        return f"{self.lab.cgroup}/{self.name}"

    @property
    def addresses(self) -> Addresses:
        return Addresses(self.number)

    @property
    def device(self) -> str:
        return "fabric" if self.number == 1 else "eth0"

    @property
    def store(self) -> Path:
        return self.folder / "containerd"

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"


@dataclass(frozen=True)
class Lab:
    """All paths and names that derive from a lab's name."""

    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", self.name):
            raise LabError(
                f"{self.name!r} is not a name for a lab: lower-case letters, digits and `-`, at most 20."
            )

    @property
    def folder(self) -> Path:
        return state_root() / self.name

    @property
    def namespace(self) -> Path:
        return self.node(1).namespace

    @property
    def cgroup(self) -> str:
        return f"vcp-lab-{self.name}"

    @property
    def system_cgroup(self) -> str:
        return f"{self.cgroup}/system"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def vcp_config(self) -> Path:
        return self.folder / "vcp.yaml"

    @property
    def exists(self) -> bool:
        return self.folder.exists()

    def node(self, number: int) -> Node:
        return Node(self, number)

    def nodes(self) -> list[Node]:
        """The nodes that this lab is to have, by what is on disk; the first one always."""
        numbers = {
            int(path.name.removeprefix("node-")) for path in self.folder.glob("node-*") if path.is_dir()
        }
        return [self.node(number) for number in sorted(numbers | {1})]


def state_root() -> Path:
    return Path(os.environ.get("VCP_LAB_STATE", "/var/lib/vcp-lab"))


def labs() -> list[Lab]:
    return [Lab(path.name) for path in sorted(state_root().glob("*")) if path.is_dir()]
