"""The Pod Security level of namespaces that an administrator has made for a tenant.

`vcp` changes nothing about such a namespace: a user who may write its labels could take the level away again.
"""

from collections.abc import Mapping

from kube.objects import Obj, labels_of
from vcp.errors import RefusedError
from vcp.spec import Spec

LABEL = "pod-security.kubernetes.io/enforce"
_STRICTNESS = ("privileged", "baseline", "restricted")


def wanted(spec: Spec) -> Mapping[str, str]:
    """The least strict level that each namespace of the tenant may have."""
    return {spec.namespace: "restricted", spec.workload_namespace: spec.pod_security}


def check(namespace: Obj, level: str) -> None:
    """Raises RefusedError, with what an administrator has to run, if the namespace enforces less."""
    name, found = namespace["metadata"]["name"], labels_of(namespace).get(LABEL, "privileged")
    if found in _STRICTNESS and _STRICTNESS.index(found) >= _STRICTNESS.index(level):
        return
    raise RefusedError(
        f"namespace {name} enforces the Pod Security level {found!r}, and the tenant needs {level!r}",
        hint=f"let an administrator run: kubectl label --overwrite namespace {name} {LABEL}={level}",
    )
