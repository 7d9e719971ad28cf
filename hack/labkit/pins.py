"""What the lab is made of. The versions of binaries are in the go.mod files under `sources/`; this table
says how each binary is built from them, and its fingerprint is the key of every cache.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

SOURCES = Path(__file__).parent / "sources"
DEBIAN_SUITE = "bookworm"


class Source(NamedTuple):
    """One Go module under `sources/` and the binaries that it yields."""

    name: str
    binaries: dict[str, str]  # file name -> package
    tags: str = ""
    cgo: bool = False
    documents: Mapping[str, tuple[str, ...]] = MappingProxyType(
        {}
    )  # file -> module, YAML files in it to join


SOURCES_TABLE = (
    Source("runc", {"runc": "github.com/opencontainers/runc"}, tags="seccomp", cgo=True),
    Source(
        "cni",
        {
            name: f"github.com/containernetworking/plugins/plugins/{path}"
            for name, path in (
                ("bridge", "main/bridge"),
                ("loopback", "main/loopback"),
                ("host-local", "ipam/host-local"),
                ("portmap", "meta/portmap"),
            )
        },
    ),
    Source(
        "etcd",
        {name: f"go.etcd.io/etcd/{path}/v3" for name, path in (
            ("etcd", "server"), ("etcdctl", "etcdctl"), ("etcdutl", "etcdutl"))},
    ),
    Source(
        "containerd",
        {
            name: f"github.com/containerd/containerd/v2/cmd/{name}"
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        },
    ),
    Source("coredns", {"coredns": "."}),
    Source("crane", {"crane": "github.com/google/go-containerregistry/cmd/crane"}),
    Source("kube-router", {"kube-router": "."}),
    Source(
        "kube",
        {
            "kube": ".",
            "agnhost": "k8s.io/kubernetes/test/images/agnhost",
            "kwok": "sigs.k8s.io/kwok/cmd/kwok",
            "volumes": "./volumes",
            "metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server",
        },
        tags="providerless",
        documents={
            "kwok-stages.yaml": (
                "sigs.k8s.io/kwok",
                "kustomize/stage/node/fast/node-initialize.yaml",
                "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
                "kustomize/stage/pod/fast/pod-ready.yaml",
                "kustomize/stage/pod/fast/pod-complete.yaml",
                "kustomize/stage/pod/fast/pod-delete.yaml",
            )
        },
    ),
)  # fmt: skip

# The names under which the one kube binary is called.
KUBE_COMPONENTS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)


def version(source: str, module: str) -> str:
    """The pinned version of a module, for example `v1.36.3`."""
    text = (SOURCES / source / "go.mod").read_text()
    match = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", text, re.MULTILINE)
    if match is None:
        raise LookupError(f"{module} is not required by sources/{source}/go.mod")
    return match[1]


KUBERNETES = version("kube", "k8s.io/kubernetes")
ETCD = version("etcd", "go.etcd.io/etcd/server/v3")
COREDNS = version("coredns", "github.com/coredns/coredns")
CRANE = version("crane", "github.com/google/go-containerregistry")
KWOK = version("kube", "sigs.k8s.io/kwok")
METRICS_SERVER = version("kube", "sigs.k8s.io/metrics-server")


def fingerprint(*parts: str | bytes | Path) -> str:
    """The first 16 hex digits of a sha256 over texts and the names and contents of files."""
    digest = hashlib.sha256()
    for part in parts:
        name = part.name.encode() if isinstance(part, Path) else b""
        content = (
            part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        )
        digest.update(b"%d,%d," % (len(name), len(content)) + name + content)
    return digest.hexdigest()[:16]
