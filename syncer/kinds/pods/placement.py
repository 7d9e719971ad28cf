"""Which of the host's taints a pod tolerates.

A taint keeps pods off nodes that are not meant for them: control planes, or the pools of other tenants. So a
toleration of the tenant's reaches the host only if it is harmless or the policy lists it.
"""

from kube.objects import Obj
from syncer.core.policy import Pods

_HARMLESS = frozenset(("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"))
"""What admission adds to every pod: how long it stays on a node that is lost."""


def tolerations(spec: Obj, policy: Pods) -> list[Obj]:
    """Those of a tenant pod's spec that may reach the host, then those that the policy adds."""
    own = [each for each in spec.get("tolerations") or () if _may(each, policy)]
    return [*own, *(each for each in policy.tolerations if each not in own)]


def _may(toleration: Obj, policy: Pods) -> bool:
    if toleration.get("key") in _HARMLESS:
        return toleration.get("effect") == "NoExecute"
    return any(_has(toleration, listed) for listed in policy.allowed_tolerations)


def _has(toleration: Obj, listed: Obj) -> bool:
    """Whether it has all fields that are listed; without an operator it asks for an equal value."""
    whole = {"operator": "Equal", **toleration}
    return all(whole.get(field) == value for field, value in listed.items())
