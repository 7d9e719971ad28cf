"""All that translation may know besides the two objects: who the tenant is, and what else is there."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from kube.apis import ApiResource
from kube.objects import Key, Obj
from syncer.core import marks, names
from syncer.core.policy import Network, PodSecurity, Sync


class Reader(Protocol):
    """One cluster as the stores know it; read-only."""

    def get(self, api: ApiResource, key: Key) -> Obj | None: ...

    def indexed(self, api: ApiResource, index: str, value: Hashable) -> Sequence[Obj]:
        """The objects of a kind that a named index of its resource files under `value`."""
        ...

    def named(self, key: Key) -> Iterable[Obj]:
        """The objects of any kind that have this namespace and name."""
        ...


class Nothing:
    """A cluster without objects."""

    def get(self, api: ApiResource, key: Key) -> Obj | None:
        return None

    def indexed(self, api: ApiResource, index: str, value: Hashable) -> Sequence[Obj]:
        return ()

    def named(self, key: Key) -> Iterable[Obj]:
        return ()


@dataclass(frozen=True)
class Scope:
    """`tenant` and `host` read the stores; `now` is in seconds since the epoch, at the start of the plan."""

    name: str
    """The tenant's name."""
    namespace: str
    """The workload namespace on the host."""
    control_namespace: str
    """The control plane's namespace on the host."""
    anchor: str = ""
    """The uid of the ConfigMap `vcp-anchor`, which owns every host object."""
    api_address: str = ""
    """The ClusterIP of the tenant's API, on port 443."""
    dns_address: str = ""
    """The ClusterIP of the tenant's DNS."""
    cluster_domain: str = "cluster.local"
    hosts_image: str = ""
    """The image that writes /etc/hosts of pods with a subdomain; empty: it is left to the kubelet."""
    pod_security: PodSecurity = "baseline"
    sync: Sync = field(default_factory=Sync)
    network: Network = field(default_factory=Network)
    webhook_ca: str = ""
    """The authority of the webhook's certificate, PEM in base64; without it no webhook is registered."""
    metrics_address: str = ""
    """The ClusterIP of the syncer's Service; empty: there is no metrics API, and a registered one goes."""
    tenant: Reader = field(default_factory=Nothing)
    host: Reader = field(default_factory=Nothing)
    now: float = 0.0

    def host_key(self, key: Key) -> Key:
        """Where the host objects of a tenant key are. All of them keep the name that one of them was given
        before hashes had 80 bits: what runs cannot be renamed, nor can what it mounts."""
        name, earlier = names.host_names(self.name, key.namespace, key.name)
        kept = Key(self.namespace, earlier)
        if any(marks.key_of(obj) == key for obj in self.host.named(kept)):
            return kept
        return Key(self.namespace, name)

    def reading(self, tenant: Reader, host: Reader) -> "Scope":
        return replace(self, tenant=tenant, host=host)

    @property
    def kubelet(self) -> str:
        """The host name of every tenant node's kubelet endpoint."""
        return f"kubelet.{self.control_namespace}.svc"

    def owner(self) -> list[Mapping[str, str]]:
        """The ownerReferences of every host object; none before the anchor is known, as in tests."""
        anchor = {"apiVersion": "v1", "kind": "ConfigMap", "name": "vcp-anchor", "uid": self.anchor}
        return [anchor] if self.anchor else []
