"""What a tenant pod may not ask for: everything is looked at before anything is translated, so that a tenant
reads all problems at once."""

from collections.abc import Iterator

from kube.objects import Obj
from syncer.core.refusal import Problem
from syncer.core.scope import Scope
from syncer.kinds.pods import environment, fields, metadata, security, volumes

_UNSUPPORTED = {
    "resourceClaims": "claims of dynamic resources are not synced to the host",
    "schedulingGroup": "pod groups are not synced to the host",
    "workloadRef": "workloads are not synced to the host",
}
_DEFAULT_SCHEDULER = "default-scheduler"


def problems(tenant: Obj, scope: Scope) -> list[Problem]:
    """Everything that keeps a tenant pod from the host."""
    spec = tenant["spec"]
    found = [
        *metadata.problems(tenant),
        *fields.problems(spec, fields.POD_SPEC, "spec"),
        *_placement(tenant, scope),
        *security.problems(tenant, scope.pod_security),
        *volumes.problems(spec, scope),
    ]
    if "claims" in (spec.get("resources") or ()):
        found.append(Problem("spec.resources.claims", _UNSUPPORTED["resourceClaims"]))
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            found += _container(container, f"spec.{field}[{index}]")
    return found


def container_problems(container: Obj, path: str, tenant: Obj, scope: Scope) -> list[Problem]:
    """Everything that keeps a container from a host pod that is there already."""
    return [
        *fields.problems(container, fields.CONTAINER, path),
        *security.container_problems(container, path, tenant["spec"], scope.pod_security),
        *_container(container, path),
    ]


def is_named_by_tenant(tenant: Obj) -> bool:
    """Whether the tenant chose the node: a binding leaves a condition `PodScheduled` behind."""
    conditions = (tenant.get("status") or {}).get("conditions") or ()
    bound = any(each["type"] == "PodScheduled" and each["status"] == "True" for each in conditions)
    return bool(tenant["spec"].get("nodeName")) and not bound


def _placement(tenant: Obj, scope: Scope) -> Iterator[Problem]:
    spec, policy = tenant["spec"], scope.sync.pods
    if is_named_by_tenant(tenant) and not policy.node_names:
        yield Problem("spec.nodeName", "pods may not choose their node by name", "spec.sync.pods.nodeNames")
    scheduler = spec.get("schedulerName") or _DEFAULT_SCHEDULER
    if scheduler != _DEFAULT_SCHEDULER and scheduler not in policy.schedulers:
        yield Problem("spec.schedulerName", f"{scheduler} is not allowed", "spec.sync.pods.schedulers")
    runtime = spec.get("runtimeClassName")
    if runtime and runtime not in policy.runtime_classes:
        allow = "spec.sync.pods.runtimeClasses"
        yield Problem("spec.runtimeClassName", f"{runtime} is not mapped to a class of the host", allow)
    for field, reason in _UNSUPPORTED.items():
        if spec.get(field):
            yield Problem(f"spec.{field}", reason)


def _container(container: Obj, path: str) -> Iterator[Problem]:
    if (container.get("resources") or {}).get("claims"):
        yield Problem(f"{path}.resources.claims", _UNSUPPORTED["resourceClaims"])
    yield from environment.problems(container, path)
