"""Which REST endpoint an object lives at: group, version, plural and scope of every kind that vcp touches.

Discovery would cost two requests per start; the kinds are few and their versions are stable.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class ApiResource(NamedTuple):
    """A kind as the API server serves it; the words are those of its discovery documents."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path; without a namespace a namespaced kind is addressed across all of them."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


CONFIG_MAPS = ApiResource("", "v1", "configmaps", "ConfigMap")
ENDPOINTS = ApiResource("", "v1", "endpoints", "Endpoints")
EVENTS = ApiResource("", "v1", "events", "Event")
LIMIT_RANGES = ApiResource("", "v1", "limitranges", "LimitRange")
NAMESPACES = ApiResource("", "v1", "namespaces", "Namespace", namespaced=False)
NODES = ApiResource("", "v1", "nodes", "Node", namespaced=False)
PERSISTENT_VOLUME_CLAIMS = ApiResource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PERSISTENT_VOLUMES = ApiResource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
PODS = ApiResource("", "v1", "pods", "Pod")
RESOURCE_QUOTAS = ApiResource("", "v1", "resourcequotas", "ResourceQuota")
SECRETS = ApiResource("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = ApiResource("", "v1", "serviceaccounts", "ServiceAccount")
SERVICES = ApiResource("", "v1", "services", "Service")
CONTROLLER_REVISIONS = ApiResource("apps", "v1", "controllerrevisions", "ControllerRevision")
DEPLOYMENTS = ApiResource("apps", "v1", "deployments", "Deployment")
REPLICA_SETS = ApiResource("apps", "v1", "replicasets", "ReplicaSet")
STATEFUL_SETS = ApiResource("apps", "v1", "statefulsets", "StatefulSet")
SELF_SUBJECT_ACCESS_REVIEWS = ApiResource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
SUBJECT_ACCESS_REVIEWS = ApiResource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
FLOW_SCHEMAS = ApiResource(
    "flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema", namespaced=False
)
LEASES = ApiResource("coordination.k8s.io", "v1", "leases", "Lease")
API_SERVICES = ApiResource("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)
ENDPOINT_SLICES = ApiResource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
NODE_METRICS = ApiResource("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", namespaced=False)
POD_METRICS = ApiResource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics")
NETWORK_POLICIES = ApiResource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
SERVICE_CIDRS = ApiResource("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", namespaced=False)
POD_DISRUPTION_BUDGETS = ApiResource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
CLUSTER_ROLE_BINDINGS = ApiResource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
CLUSTER_ROLES = ApiResource(
    "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False
)
ROLE_BINDINGS = ApiResource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
ROLES = ApiResource("rbac.authorization.k8s.io", "v1", "roles", "Role")
STORAGE_CLASSES = ApiResource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
MUTATING_WEBHOOKS = ApiResource(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
)

_BY_KIND = {
    (resource.api_version, resource.kind): resource
    for resource in tuple(globals().values())
    if isinstance(resource, ApiResource)
}


def resource_of(obj: Mapping[str, Any]) -> ApiResource:
    """The endpoint of a manifest, by its apiVersion and kind. Raises KeyError for a kind not listed here."""
    return _BY_KIND[obj["apiVersion"], obj["kind"]]
