"""The spec of a tenant: everything that a user can say about it, and nothing that follows from the rest.

Field names are camelCase in files. `docs/spec.md` and the JSON Schema are made from the doc strings and the
`Meta` descriptions.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from syncer.core.policy import Sync
from vcp.spec.tiers import QUOTAS, REQUESTED, Tier

KNOWN_VERSION = "v1.36.3"
"""The newest Kubernetes that this release was tested with, and the default."""

Text = Annotated[str, Meta(min_length=1)]
Quantities = dict[str, str]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What all parts of a spec share: immutable, strict about keys."""


class Images(_Part, frozen=True):
    """Whole image names that replace the default ones; `imageRegistry` does not apply to these."""

    k3s: Annotated[str, Meta(description="Default `rancher/k3s` of the version.")] = ""
    api_server: Annotated[str, Meta(description="Default `registry.k8s.io/kube-apiserver`.")] = ""
    controller_manager: Annotated[
        str, Meta(description="Default `registry.k8s.io/kube-controller-manager`.")
    ] = ""
    etcd: Annotated[str, Meta(description="Default `registry.k8s.io/etcd`.")] = ""
    syncer: Annotated[
        str, Meta(description="Default `vcp-syncer` of this version of vcp, made by the Dockerfile.")
    ] = ""
    coredns: Annotated[str, Meta(description="Default `registry.k8s.io/coredns/coredns`.")] = ""


class Etcd(_Part, frozen=True):
    """The tenant's etcd."""

    replicas: Annotated[
        Literal[1, 3], Meta(description="Members. Three survive the loss of one; the number is final.")
    ] = 1


class Storage(_Part, frozen=True):
    """Where etcd keeps its data."""

    size: Annotated[
        str, Meta(description="Size of each member's volume; etcd may use half of it (at most 8Gi).")
    ] = "5Gi"
    class_: Annotated[str, Meta(description="StorageClass; empty: the host's default class.")] = (
        msgspec.field(default="", name="class")
    )
    ephemeral: Annotated[
        bool, Meta(description="Keep the data in the pod: it is lost with the pod. For throwaway tenants.")
    ] = False


class Expose(_Part, frozen=True):
    """How clients reach the API."""

    type: Annotated[
        Literal["cluster-ip", "node-port", "load-balancer"], Meta(description="The type of the host Service.")
    ] = "cluster-ip"
    tls_sans: Annotated[
        tuple[Text, ...], Meta(description="Further names and addresses in the API's certificate.")
    ] = ()
    annotations: Annotated[
        dict[str, str], Meta(description="Annotations of the host Service, as load balancers want them.")
    ] = {}


class Resources(_Part, frozen=True):
    """Requests and limits of one container."""

    requests: Annotated[Quantities, Meta(description="For example `cpu: 100m`.")] = {}
    limits: Annotated[
        Quantities, Meta(description="A memory limit also sets the soft limit of Go programs below it.")
    ] = {}


class ComponentResources(_Part, frozen=True):
    """Requests and limits of each component; with k3s, `api` is the controller manager, too."""

    api: Resources = Resources(requests={"cpu": "100m", "memory": "256Mi"}, limits={"memory": "2Gi"})
    controller_manager: Resources = Resources(
        requests={"cpu": "20m", "memory": "64Mi"}, limits={"memory": "1Gi"}
    )
    etcd: Resources = Resources(requests={"cpu": "50m", "memory": "64Mi"}, limits={"memory": "1Gi"})
    syncer: Resources = Resources(requests={"cpu": "20m", "memory": "96Mi"}, limits={"memory": "1Gi"})
    dns: Resources = Resources(requests={"cpu": "10m", "memory": "32Mi"}, limits={"memory": "256Mi"})


class Syncer(_Part, frozen=True):
    """What translates between the tenant and the host."""

    replicas: Annotated[
        int, Meta(ge=1, le=3, description="Pods; one of them writes, all serve the tenant's API server.")
    ] = 1


class Dns(_Part, frozen=True):
    """The tenant's CoreDNS."""

    replicas: Annotated[int, Meta(ge=1, le=2, description="Pods.")] = 1
    host_domain: Annotated[
        str,
        Meta(description="The host's DNS domain, in which the tenant finds no name; empty: no such rule."),
    ] = "cluster.local"


class Toleration(_Part, frozen=True):
    """A toleration of the control plane's pods, as in a pod spec."""

    key: str = ""
    operator: Literal["", "Exists", "Equal"] = ""
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: int | None = None


class ExtraArgs(_Part, frozen=True):
    """Further flags, without the leading dashes; those that `vcp` sets itself are refused."""

    api_server: dict[str, str] = {}
    controller_manager: dict[str, str] = {}


class Network(_Part, frozen=True):
    """What workloads may exchange traffic with outside of the host cluster, in both directions."""

    allow: Annotated[tuple[Text, ...], Meta(description="CIDRs outside of the cluster.")] = (
        "0.0.0.0/0",
        "::/0",
    )
    deny: Annotated[
        tuple[Text, ...],
        Meta(
            description="CIDRs cut out of `allow`: private and reserved ranges, where other tenants are, "
            "and prefixes that lead to IPv4 addresses."
        ),
    ] = (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fc00::/7",
        "fe80::/10",
    )


class Limits(_Part, frozen=True):
    """The LimitRange of the workload namespace, per container; there is none if all are empty and `tier` is
    `none`."""

    default: Quantities = {}
    default_request: Quantities = {}
    max: Quantities = {}


class Certificates(_Part, frozen=True):
    """Lifetimes; a certificate is renewed when a third of its life is left."""

    leaf: Annotated[str, Meta(description="Life of server and client certificates.")] = "1y"
    ca: Annotated[str, Meta(description="Life of the tenant's certificate authorities.")] = "10y"
    signing: Annotated[
        bool,
        Meta(
            description="Sign CertificateSigningRequests that the tenant approves. Such a certificate may "
            "name any user and group, and outlives the rights of the administrator who approved it."
        ),
    ] = False


class Spec(_Part, frozen=True):
    """A tenant cluster. Only `name` is required."""

    name: Annotated[str, Meta(description="The tenant's name: a DNS label.")]
    namespace: Annotated[str, Meta(description="Of the control plane; default `vcp-NAME`.")] = ""
    workload_namespace: Annotated[
        str, Meta(description="Of the tenant's pods; default `vcp-NAME-work`; may be the same.")
    ] = ""
    distro: Annotated[
        Literal["k3s", "k8s"], Meta(description="What runs as API server and controller manager.")
    ] = "k3s"
    version: Annotated[str, Meta(description="The Kubernetes version.")] = KNOWN_VERSION
    images: Images = Images()
    image_registry: Annotated[
        str, Meta(description="Replaces the registry of the default images: host, port, path.")
    ] = ""
    image_pull_secrets: Annotated[
        tuple[Text, ...], Meta(description="Names of Secrets in the control plane's namespace.")
    ] = ()
    replicas: Annotated[int, Meta(ge=1, le=3, description="API server pods.")] = 1
    etcd: Etcd = Etcd()
    storage: Storage = Storage()
    syncer: Syncer = Syncer()
    sync: Sync = Sync()
    dns: Dns = Dns()
    expose: Expose = Expose()
    service_cidr: Annotated[
        str,
        Meta(description="The host's service CIDR, if it cannot be found out; ClusterIPs are the host's."),
    ] = ""
    cluster_domain: Annotated[str, Meta(description="The tenant's DNS domain.")] = "cluster.local"
    resources: ComponentResources = ComponentResources()
    node_selector: Annotated[dict[str, str], Meta(description="Of the control plane's pods.")] = {}
    tolerations: tuple[Toleration, ...] = ()
    extra_args: ExtraArgs = ExtraArgs()
    pod_security: Annotated[
        Literal["privileged", "baseline", "restricted"],
        Meta(description="The Pod Security level of the tenant's pods."),
    ] = "baseline"
    network: Network = Network()
    tier: Annotated[
        Tier,
        Meta(
            description="How much of the host the tenant may take: a ResourceQuota of the workload "
            "namespace, and requests for containers without any. Node ports and load balancers are given "
            "by `quota` alone."
        ),
    ] = "medium"
    quota: Annotated[
        Quantities,
        Meta(
            description="Entries of that ResourceQuota's `hard` in place of the tier's; an empty text lifts "
            "one."
        ),
    ] = {}
    limits: Limits = Limits()
    certificates: Certificates = Certificates()
    encrypt_secrets: Annotated[bool, Meta(description="Encrypt the tenant's Secrets in its etcd.")] = True
    ttl: Annotated[
        str,
        Meta(description="Life of the tenant, after which `vcp reap` deletes it; empty: forever."),
    ] = ""
    protected: Annotated[bool, Meta(description="`vcp delete` and `vcp reap` refuse the tenant.")] = False

    def __post_init__(self) -> None:
        # Derived defaults are filled in at once, so no reader of a spec has to know how they are derived.
        if not self.namespace:
            msgspec.structs.force_setattr(self, "namespace", f"vcp-{self.name}")
        if not self.workload_namespace:
            msgspec.structs.force_setattr(self, "workload_namespace", f"vcp-{self.name}-work")

    @property
    def hard(self) -> Quantities:
        """The `hard` of the workload namespace's ResourceQuota; empty: there is none."""
        return {key: text for key, text in {**QUOTAS[self.tier], **self.quota}.items() if text}

    @property
    def requested(self) -> Quantities:
        """What a container asks for that does not say so itself."""
        return {**(REQUESTED if self.tier != "none" else {}), **self.limits.default_request}

    @property
    def minor(self) -> int:
        """The minor of the Kubernetes version; only valid on a checked spec."""
        return int(self.version.split(".")[1])

    def to_mapping(self) -> dict[str, Any]:
        """Plain data with the names that files use, defaults included."""
        mapping: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return mapping
