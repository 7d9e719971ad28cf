"""The names, ports and addresses that host objects agree on, all derived from the spec."""

from syncer.kinds.services import builtin
from vcp.spec import Spec

API_PORT = 6443  # the container's; the Service listens on 443
ETCD_CLIENT_PORT = 2379
ETCD_PEER_PORT = 2380
ETCD_METRICS_PORT = 2381  # plain HTTP, for the kubelet's probes only
KUBELET_PORT = 10250
WEBHOOK_PORT = 8443
METRICS_PORT = builtin.METRICS_PORT  # where the tenant's API server finds the metrics API
PROBE_PORT = 8080  # plain HTTP, for the kubelet's probes of the syncer and for metrics
DNS_PORT = 1053  # the container's, which is not root; the Service listens on 53

# The prefix vcp.dev/ is refused on tenant objects, so no synced pod can pass for a part of the control plane,
# not even where both share a namespace. Selectors and policies use these, never app.kubernetes.io/*.
TENANT = "vcp.dev/tenant"
COMPONENT = "vcp.dev/component"
MADE = "vcp.dev/made-namespace"  # on namespaces that vcp created, and may therefore delete
CONTROL = "vcp.dev/control-namespace"  # where the record is of the tenant that this is of
PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
FIELD_MANAGER = "vcp"

RECORD = "control-plane"  # the Secret that holds the spec as applied, under spec.json
KUBECONFIG = "kubeconfig"
ENCRYPTION = "encryption"
ANCHOR = "vcp-anchor"


def labels(spec: Spec, component: str) -> dict[str, str]:
    """What every host object of this tenant carries."""
    return {
        "app.kubernetes.io/name": component,
        "app.kubernetes.io/component": component,
        PART_OF: "vcp",
        MANAGED_BY: "vcp",
        TENANT: spec.name,
    }


def selector(spec: Spec, component: str) -> dict[str, str]:
    """Selects one component's pods, and no synced pod."""
    return {TENANT: spec.name, COMPONENT: component}


def etcd_members(spec: Spec) -> list[str]:
    """The members' DNS names, in the short form that resolves whatever the host's cluster domain is."""
    return [f"etcd-{index}.etcd-peers.{spec.namespace}.svc" for index in range(spec.etcd.replicas)]


def etcd_service(spec: Spec) -> str:
    return f"etcd.{spec.namespace}.svc"


def etcd_endpoints(spec: Spec) -> list[str]:
    """Where the API server finds etcd. Of three members every one is listed, so that the client fails over by
    itself."""
    hosts = etcd_members(spec) if spec.etcd.replicas > 1 else [etcd_service(spec)]
    return [f"https://{host}:{ETCD_CLIENT_PORT}" for host in hosts]


def etcd_sans(spec: Spec) -> tuple[str, ...]:
    return ("127.0.0.1", "localhost", etcd_service(spec), *etcd_members(spec))


def api_sans(spec: Spec, addresses: tuple[str, ...]) -> tuple[str, ...]:
    """The names and addresses by which the API is reached: from outside, from the host, from tenant pods."""
    tenant = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    host = [f"api.{spec.namespace}", f"api.{spec.namespace}.svc", f"api.{spec.namespace}.svc.cluster.local"]
    names = [
        *tenant,
        f"kubernetes.default.svc.{spec.cluster_domain}",
        *host,
        "localhost",
        "127.0.0.1",
        "::1",
        *addresses,
        *spec.expose.tls_sans,
    ]
    return tuple(dict.fromkeys(names))


def api_service(spec: Spec) -> str:
    return f"api.{spec.namespace}.svc"


def cluster_role(tenant: str) -> str:
    """The ClusterRole and ClusterRoleBinding of a tenant that sees real nodes."""
    return f"vcp-{tenant}-syncer"


def syncer_sans(spec: Spec) -> tuple[str, ...]:
    """The kubelet endpoint, which every tenant Node names as its address, the webhook, and the metrics API by
    the name of its Service in the tenant."""
    own = (f"{service}.{spec.namespace}.svc" for service in ("kubelet", "syncer"))
    return (*own, f"{builtin.METRICS.name}.{builtin.METRICS.namespace}.svc")


def issuer(spec: Spec) -> str:
    return f"https://kubernetes.default.svc.{spec.cluster_domain}"
