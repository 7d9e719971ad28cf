"""What one syncer is told: rendered by vcp into a ConfigMap, read once at the start."""

from pathlib import Path
from typing import Literal

import msgspec

from syncer.core.policy import Network, PodSecurity, Sync


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The file `settings.json`; names are camelCase there.

    A setting that has the name of a field of `Scope` becomes that field, without another line of code."""

    name: str
    """The tenant's name."""
    namespace: str
    """The workload namespace on the host."""
    control_namespace: str
    """The control plane's namespace on the host."""
    server: str
    """URL of the tenant's API."""
    pki: str = "/etc/vcp/pki"
    """The folder with {server,client,request-header}-ca.crt, syncer.{crt,key}, syncer-serving.{crt,key}."""
    api_address: str = ""
    dns_address: str = ""
    """The ClusterIPs of the host Services `api` and `dns`."""
    metrics_address: str = ""
    """The ClusterIP of the host Service `syncer`; empty: the tenant has no metrics API."""
    cluster_domain: str = "cluster.local"
    hosts_image: str = ""
    """The syncer's own image, if the workload namespace can pull it: it writes /etc/hosts of some pods."""
    pod_security: PodSecurity = "baseline"
    sync: Sync = Sync()
    network: Network = Network()
    log_level: Literal["DEBUG", "INFO", "WARNING"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    probe_port: int = 8080
    """Plain HTTP for the kubelet's probes and for metrics: /healthz, /readyz, /metrics."""
    kubelet_port: int = 10250
    """Where the tenant's API server asks for logs, exec, attach and port-forward."""
    webhook_port: int = 8443
    """Where the tenant's API server asks for the addresses of new Services."""
    metrics_port: int = 4443
    """Where the tenant's API server asks for what pods and nodes use."""
    workers: int = 32
    """How many keys are worked on at once."""


class SettingsError(Exception):
    """The settings cannot be used; the message says where and why."""


def load(path: Path) -> Settings:
    """Raises SettingsError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except OSError as error:
        raise SettingsError(f"cannot read the settings {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise SettingsError(f"{path}: {error}") from error
