"""What a host Service says: an allow-list of the tenant's fields, and a selector that only finds their pods.

Labels stay in the tenant, and annotations unless the policy lists them: controllers of the host act on them,
some on names and addresses that are not the tenant's to give away.
"""

from kube import apis
from kube.objects import Key, Obj, annotations_of
from syncer.core import marks
from syncer.core.declaration import Declaration, Owned, Refusal
from syncer.core.kind import new_host_object
from syncer.core.scope import Scope

_COPIED = (
    "type",
    "sessionAffinity",
    "sessionAffinityConfig",
    "externalTrafficPolicy",
    "internalTrafficPolicy",
    "ipFamilyPolicy",
    "ipFamilies",
    "publishNotReadyAddresses",
    "allocateLoadBalancerNodePorts",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",  # ranges only narrow who is let in
    "trafficDistribution",
    "externalIPs",
    "externalName",
)
OWNED = (*_COPIED, "ports", "selector")
"""The fields of a host Service's spec that follow the tenant's; those that are not here are the host's."""


DECLARED = Declaration(
    owned=Owned(tenant=("spec",), host=("status",)),
    selectors=("spec.selector",),
    refused={
        "spec.externalIPs": Refusal(
            "would take traffic to addresses of others from the host's nodes", "sync.services.externalIps"
        ),
        "spec.loadBalancerClass": Refusal("is not open to tenants", "sync.services.loadBalancerClasses"),
        "spec.loadBalancerIP": Refusal("is the host's to choose", "sync.services.loadBalancerIps"),
    },
)


def type_of(service: Obj) -> str:
    kind: str = service["spec"].get("type") or "ClusterIP"
    return kind


def is_headless(service: Obj) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")


def host_spec(tenant: Obj, scope: Scope) -> Obj:
    """The spec without what hosts allot: no ClusterIP (but `None`), no node ports. Raises Refused."""
    theirs = DECLARED.to_host(tenant, scope)["spec"]
    spec = {field: theirs[field] for field in _COPIED if field in theirs}
    if ports := theirs.get("ports"):
        spec["ports"] = [
            {field: value for field, value in port.items() if field != "nodePort"} for port in ports
        ]
    if tenant["spec"].get("selector"):  # an empty one selects no pods here
        spec["selector"] = theirs["selector"]
    if is_headless(tenant):
        spec |= {field: theirs[field] for field in ("clusterIP", "clusterIPs") if field in theirs}
    return spec


def allowed_annotations(service: Obj, scope: Scope) -> dict[str, str]:
    """Those of a Service of either side that the policy lists."""
    return marks.allowed(annotations_of(service), scope.sync.services.annotations)


def host_service(tenant: Obj, scope: Scope) -> Obj:
    """The whole host Service, to which the host allots the rest. Raises Refused."""
    host = new_host_object(apis.SERVICES, tenant, scope)
    host["metadata"]["annotations"] |= allowed_annotations(tenant, scope)
    return host | {"spec": host_spec(tenant, scope)}


def host_name(key: Key, scope: Scope) -> str:
    """The name of the host Service of a tenant Service."""
    return scope.host_key(key).name
