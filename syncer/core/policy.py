"""What a tenant's objects may do on the host, and what the tenant sees of it.

`Sync` is `spec.sync` of a tenant, a part of the syncer's settings, and what plans read: one struct, so a new
key is one field here and reaches all three.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

PodSecurity = Literal["privileged", "baseline", "restricted"]


class PodLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How many parts a pod may have: each costs the host's API server and kubelets."""

    containers: Annotated[
        int, Meta(ge=1, le=1000, description="Containers of all kinds, ephemeral ones included.")
    ] = 64
    volumes: Annotated[
        int, Meta(ge=0, le=10000, description="Volumes, and sources and files listed in them.")
    ] = 256
    environment: Annotated[
        int, Meta(ge=0, le=100000, description="Entries of `env` and `envFrom`, in a container.")
    ] = 1000


class Pods(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What pods may ask of the host, and what is added to them; the level is `spec.podSecurity`."""

    volumes: Annotated[
        tuple[str, ...],
        Meta(description="Volume types allowed besides those that touch nothing of the host, e.g. `nfs`."),
    ] = ()
    priority_classes: Annotated[
        dict[str, str], Meta(description="PriorityClasses by name: the tenant's to the host's; others drop.")
    ] = {}
    runtime_classes: Annotated[
        dict[str, str], Meta(description="RuntimeClasses by name: the tenant's to the host's.")
    ] = {}
    schedulers: Annotated[tuple[str, ...], Meta(description="Host schedulers that pods may name.")] = ()
    node_names: Annotated[bool, Meta(description="Let pods name their host node.")] = False
    node_selector: Annotated[dict[str, str], Meta(description="Added to every pod; wins.")] = {}
    tolerations: Annotated[tuple[dict[str, Any], ...], Meta(description="Added to every pod.")] = ()
    annotations: Annotated[
        tuple[str, ...],
        Meta(description="Annotations that reach the host; `*` stands for any text: `prometheus.io/*`."),
    ] = ()
    labels: Annotated[
        tuple[str, ...],
        Meta(
            description="Labels that host pods bear under their own keys; `*` stands for any text. Others "
            "with a domain, but for Kubernetes' and Helm's, are there under keys that nobody acts on."
        ),
    ] = ()
    allowed_tolerations: Annotated[
        tuple[dict[str, Any], ...],
        Meta(
            description="Tolerations that pods may have besides those of not ready and unreachable nodes: "
            "those that have all fields of one listed here."
        ),
    ] = ()
    share_process_namespace: Annotated[
        bool,
        Meta(
            description="Let the containers of a pod see each other's processes, and so those of containers "
            "that the host adds. Always allowed where `podSecurity` is `privileged`."
        ),
    ] = False
    max_grace_period: Annotated[
        int, Meta(ge=1, description="The most seconds that pods have to end after they are deleted.")
    ] = 3600
    annotations_to_tenant: Annotated[
        tuple[str, ...], Meta(description="Annotations that hosts set on pods and the tenant may see.")
    ] = ()
    limits: PodLimits = PodLimits()


class Nodes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which nodes the tenant sees."""

    mode: Annotated[
        Literal["pseudo", "real"],
        Meta(
            description="`pseudo`: those that run its pods, as far as the pods tell. `real`: the host's; "
            "takes a ClusterRole."
        ),
    ] = "pseudo"
    selector: Annotated[str, Meta(description="Of `real` nodes, as a label selector.")] = ""


class Services(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What Services may ask of the host."""

    annotations: Annotated[
        tuple[str, ...],
        Meta(description="Annotations that reach the host, such as a cloud's for load balancers."),
    ] = ()
    external_ips: Annotated[
        bool, Meta(description="Allow `externalIPs`: they take traffic to any address from the host's nodes.")
    ] = False
    external_names: Annotated[
        bool, Meta(description="Put Services of type ExternalName on the host too, not only in the tenant.")
    ] = False
    load_balancer_classes: Annotated[
        tuple[str, ...], Meta(description="Values of `loadBalancerClass` that Services may name.")
    ] = ()
    load_balancer_ips: Annotated[
        bool, Meta(description="Let Services choose their load balancer's address (`loadBalancerIP`).")
    ] = False


class ServiceAccounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whether the host's pods run as the tenant's accounts, for the workload identity of clouds."""

    enabled: Annotated[
        bool, Meta(description="Put the accounts that pods run as on the host; without rights there.")
    ] = False
    annotations: Annotated[
        tuple[str, ...],
        Meta(description="Annotations that reach the host, such as `eks.amazonaws.com/role-arn`."),
    ] = ()
    tokens: Annotated[
        bool, Meta(description="Let the host mount its own tokens of these accounts into pods.")
    ] = False


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What the tenant may cost the host's API. What goes beyond waits, and the tenant is told."""

    writes_per_second: Annotated[int, Meta(ge=1, description="Writes on the host, in the long run.")] = 200
    write_burst: Annotated[int, Meta(ge=1, description="Writes on the host at once.")] = 4000
    kib_per_second: Annotated[int, Meta(ge=1, description="KiB written on the host, in the long run.")] = 1024
    kib_burst: Annotated[int, Meta(ge=1, description="KiB written on the host at once.")] = 16384
    mirrored_mib: Annotated[
        int, Meta(ge=1, description="MiB of ConfigMaps and Secrets on the host, in all.")
    ] = 256


class Sync(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What of the tenant gets to the host, and what of the host the tenant sees."""

    pods: Pods = Pods()
    nodes: Nodes = Nodes()
    services: Services = Services()
    service_accounts: ServiceAccounts = ServiceAccounts()
    budget: Budget = Budget()
    metrics: Annotated[
        bool,
        Meta(
            description="Serve `metrics.k8s.io` in the tenant, for `kubectl top` and autoscalers; takes the "
            "right to get and list `pods.metrics.k8s.io` on the host."
        ),
    ] = True


def everything() -> Sync:
    """A policy that has every kind: those with a key `enabled` of their own, too."""
    parts = {name: getattr(Sync(), name) for name in Sync.__struct_fields__}
    enabled = {
        name: msgspec.structs.replace(part, enabled=True)
        for name, part in parts.items()
        if hasattr(part, "enabled")
    }
    return msgspec.structs.replace(Sync(), **enabled)


class Network(msgspec.Struct, frozen=True):
    """The CIDRs outside of the host cluster that traffic may go to: `allow` without `deny`. Empty: none."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
