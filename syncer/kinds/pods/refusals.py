"""What a tenant pod may not ask for: everything is looked at before anything is translated, so that a tenant
reads all problems at once."""

from collections.abc import Iterator

from kube.objects import Obj
from syncer.core.policy import PodLimits
from syncer.core.refusal import Problem
from syncer.core.scope import Scope
from syncer.kinds.pods import environment, expansion, fields, metadata, references, security, volumes

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_DEFAULT_SCHEDULER = "default-scheduler"


def problems(tenant: Obj, scope: Scope) -> list[Problem]:
    """Everything that keeps a tenant pod from the host."""
    spec = tenant["spec"]
    found = [
        *metadata.problems(tenant),
        *fields.problems(spec, fields.POD_SPEC, "spec"),
        *references.DECLARED.refusals(tenant, scope.sync),
        *_placement(tenant, scope),
        *security.problems(tenant, scope.pod_security),
        *volumes.problems(spec, scope),
        *_too_many(spec, scope.sync.pods.limits),
    ]
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            found += environment.problems(container, f"spec.{field}[{index}]")
            found += expansion.problems(container, f"spec.{field}[{index}]", tenant, scope)
    return found


def container_problems(container: Obj, path: str, tenant: Obj, scope: Scope) -> list[Problem]:
    """Everything that keeps a container from a host pod that is there already."""
    return [
        *fields.problems(container, fields.CONTAINER, path),
        *security.container_problems(container, path, tenant["spec"], scope.pod_security),
        *environment.problems(container, path),
        *expansion.problems(container, path, tenant, scope),
        *_too_many(tenant["spec"], scope.sync.pods.limits),
    ]


def _too_many(spec: Obj, limits: PodLimits) -> Iterator[Problem]:
    """Parts of a pod of which there are more than the policy allows."""
    count = sum(len(spec.get(field) or ()) for field in _CONTAINERS)
    if count > limits.containers:
        yield _more("spec.containers", count, limits.containers, "containers", "containers")
    count = sum(map(volumes.parts, spec.get("volumes") or ()))
    if count > limits.volumes:
        yield _more("spec.volumes", count, limits.volumes, "volumes, sources and files", "volumes")
    for field in _CONTAINERS:
        for index, container in enumerate(spec.get(field) or ()):
            count = len(container.get("env") or ()) + len(container.get("envFrom") or ())
            if count > limits.environment:
                at = f"spec.{field}[{index}].env"
                yield _more(at, count, limits.environment, "variables", "environment")


def _more(field: str, count: int, limit: int, what: str, key: str) -> Problem:
    return Problem(field, f"{count} {what}; at most {limit}", f"sync.pods.limits.{key}")


def is_named_by_tenant(tenant: Obj) -> bool:
    """Whether the tenant chose the node: a binding leaves a condition `PodScheduled` behind."""
    conditions = (tenant.get("status") or {}).get("conditions") or ()
    bound = any(each["type"] == "PodScheduled" and each["status"] == "True" for each in conditions)
    return bool(tenant["spec"].get("nodeName")) and not bound


def _placement(tenant: Obj, scope: Scope) -> Iterator[Problem]:
    spec, policy = tenant["spec"], scope.sync.pods
    shared = spec.get("shareProcessNamespace")
    if shared and not policy.share_process_namespace and scope.pod_security != "privileged":
        reason = "containers that the host adds would be in it too, with their environment"
        yield Problem("spec.shareProcessNamespace", reason, "sync.pods.shareProcessNamespace")
    if is_named_by_tenant(tenant) and not policy.node_names:
        yield Problem("spec.nodeName", "pods may not choose their node by name", "sync.pods.nodeNames")
    scheduler = spec.get("schedulerName") or _DEFAULT_SCHEDULER
    if scheduler != _DEFAULT_SCHEDULER and scheduler not in policy.schedulers:
        yield Problem("spec.schedulerName", f"{scheduler} is not allowed", "sync.pods.schedulers")
