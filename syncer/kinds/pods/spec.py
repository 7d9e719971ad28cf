"""A tenant pod as the host runs it.

Nothing of a tenant pod is changed in place: what is edited is copied, the rest is shared with the tenant's
object.
"""

from typing import Any

from kube import apis
from kube.objects import Obj
from syncer.core.kind import new_host_object
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.kinds.pods import (
    affinity,
    dns,
    environment,
    etchosts,
    metadata,
    placement,
    references,
    refusals,
    servicelinks,
    volumes,
)

SERVICE_ACCOUNT = "vcp-workload"

# Fields that say nothing to the host: aliases, what admission or the tenant's control plane has computed
# (priority, overhead: the host's admission computes its own and refuses others), and what is added later.
_DROPPED = frozenset(
    [
        "serviceAccount",
        "nodeName",
        "schedulerName",
        "schedulingGates",
        "priority",
        "priorityClassName",
        "preemptionPolicy",
        "overhead",
        "ephemeralContainers",
    ]
)


def host_pod(tenant: Obj, scope: Scope) -> Obj:
    """The body that creates the host pod. Raises Refused, naming every problem."""
    if found := refusals.problems(tenant, scope):
        raise Refused(*found)
    host = new_host_object(apis.PODS, tenant, scope)
    host["metadata"]["labels"] = metadata.host_labels(tenant, scope)
    host["metadata"]["annotations"] = metadata.host_annotations(tenant, scope)
    host["spec"] = _host_spec(tenant, scope, host["metadata"]["name"])
    return host


def host_container(container: Obj, tenant: Obj, scope: Scope) -> Obj:
    """One container of the tenant pod, such as an ephemeral one added later. Raises Refused."""
    path = _path(container, tenant)
    if found := refusals.container_problems(container, path, tenant, scope):
        raise Refused(*found)
    host = _host_container(container, tenant)
    (renamed,) = references.translated({"ephemeralContainers": [host]}, tenant, scope)["ephemeralContainers"]
    return _told(renamed, servicelinks.source(tenant, scope))


def _host_spec(tenant: Obj, scope: Scope, name: str) -> Obj:
    given = tenant["spec"]
    spec: dict[str, Any] = {field: value for field, value in given.items() if field not in _DROPPED}
    lists = [field for field in ("initContainers", "containers") if given.get(field)]
    spec |= {field: [_host_container(each, tenant) for each in given[field]] for field in lists}
    spec = references.translated(spec, tenant, scope)
    services = servicelinks.source(tenant, scope)
    spec |= {field: [_told(each, services) for each in spec[field]] for field in lists}
    accounts = scope.sync.service_accounts
    if not accounts.enabled or not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = SERVICE_ACCOUNT
    spec["automountServiceAccountToken"] = accounts.enabled and accounts.tokens
    spec["enableServiceLinks"] = False
    if spec.get("volumes"):
        spec["volumes"] = [volumes.host_volume(each, tenant, scope, name) for each in spec["volumes"]]
    spec.update(dns.host_dns(tenant, scope))
    if not given.get("hostname") and not given.get("hostnameOverride") and not given.get("hostNetwork"):
        spec["hostname"] = dns.hostname(tenant)
    spec.update(etchosts.host_names(tenant, scope))
    etchosts.write(spec, tenant, scope)
    spec.update(_host_scheduling(tenant, scope))
    return spec


def _host_scheduling(tenant: Obj, scope: Scope) -> Obj:
    """Where the pod may run, and what the tenant's spec forces upon it."""
    given, policy = tenant["spec"], scope.sync.pods
    changes: Obj = {}
    if given.get("affinity"):
        changes["affinity"] = affinity.host_affinity(given["affinity"], tenant, scope)
    if given.get("topologySpreadConstraints"):
        constraints = given["topologySpreadConstraints"]
        changes["topologySpreadConstraints"] = affinity.host_spread(constraints, tenant, scope)
    if policy.node_selector:
        changes["nodeSelector"] = {**(given.get("nodeSelector") or {}), **policy.node_selector}
    own = placement.tolerations(given, policy)
    if own or given.get("tolerations"):
        changes["tolerations"] = own
    grace = given.get("terminationGracePeriodSeconds")
    if grace is not None and grace > policy.max_grace_period:
        changes["terminationGracePeriodSeconds"] = policy.max_grace_period
    if given.get("runtimeClassName"):
        changes["runtimeClassName"] = policy.runtime_classes[given["runtimeClassName"]]
    if priority := policy.priority_classes.get(given.get("priorityClassName") or ""):
        changes["priorityClassName"] = priority
    if given.get("schedulerName") in policy.schedulers:
        changes["schedulerName"] = given["schedulerName"]
    if refusals.is_named_by_tenant(tenant):
        changes["nodeName"] = given["nodeName"]
    return changes


def _host_container(container: Obj, tenant: Obj) -> Obj:
    host = dict(container)
    if env := environment.host_env(container, tenant):
        host["env"] = env
    return host


def _told(host_container: Obj, services: list[Obj]) -> Obj:
    """What services there are comes first, so that all else counts more."""
    if not services:
        return host_container
    return {**host_container, "envFrom": [*services, *(host_container.get("envFrom") or ())]}


def _path(container: Obj, tenant: Obj) -> str:
    for field in ("ephemeralContainers", "initContainers", "containers"):
        for index, each in enumerate(tenant["spec"].get(field) or ()):
            if each["name"] == container["name"]:
                return f"spec.{field}[{index}]"
    return f"spec.ephemeralContainers[{container['name']}]"
