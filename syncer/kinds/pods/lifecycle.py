"""How a pod comes and goes on both sides: refused, bound, deleted, vanished.

The host pod is what runs; the tenant pod is what is asked for. So the tenant pod is bound after the host's
and goes after the host's, and each deletion is passed on with its grace.
"""

from typing import Any

from kube import apis
from kube.objects import Key, Obj, annotations_of, is_deleting, key_of, uid_of
from syncer.core import marks
from syncer.core.actions import RENEW, Absent, Action, Create, Delete, Ensure, Patch, Tokens, Wait
from syncer.core.scope import Scope
from syncer.kinds.pods.status import is_finished
from syncer.kinds.pods.tokens import secret_name, token_requests


def grace_of(pod: Obj, most: int | None = None) -> int | None:
    """The seconds that a pod being deleted has, `most` at most; the API server lets them only become
    fewer."""
    grace: int | None = pod["metadata"].get("deletionGracePeriodSeconds")
    return min(grace, most) if grace is not None and most is not None else grace


def was_on_host(tenant: Obj) -> bool:
    """Whether the tenant pod was bound by us, or its status tells of a kubelet: then its host pod existed.

    A pod that the tenant created with `spec.nodeName` has neither until its host pod is there.
    """
    if not tenant["spec"].get("nodeName"):
        return False
    status = tenant.get("status", {})
    return "startTime" in status or any(
        condition["type"] == "PodScheduled" and condition["status"] == "True"
        for condition in status.get("conditions") or ()
    )


def bind(tenant: Obj, host: Obj, scope: Scope) -> list[Action]:
    """After the host's scheduler bound the host pod. The Node first: a pod on a node that does not exist is
    an orphan, which the tenant's pod garbage collection kills. What else changes about a Node that is there
    waits for its own turn: it is made of all its pods, which would be much work for each."""
    node = host["spec"].get("nodeName")
    if not node or tenant["spec"].get("nodeName"):
        return []
    namespace, name = key_of(tenant)
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"namespace": namespace, "name": name, "uid": uid_of(tenant)},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    key = Key("", node)
    ensured = [] if scope.tenant.get(apis.NODES, key) else [Ensure(apis.NODES.plural, key)]
    return [*ensured, Create("tenant", apis.PODS, binding, subresource="binding")]


def end_host(host: Obj, grace: int | None) -> list[Action]:
    """Delete the host pod with this grace, unless it is going at least as soon."""
    current = grace_of(host)
    if is_deleting(host) and (grace is None or current is None or current <= grace):
        return []
    return [Delete("host", apis.PODS, key_of(host), uid_of(host), grace)]


def end_tenant(tenant: Obj, scope: Scope) -> list[Action]:
    """The host pod is gone for good: the tenant pod goes at once, whatever grace it had.

    One with finalizers stays and has to be seen as ended: a Job with a pod failure policy waits for a final
    phase, as the pod garbage collection of a real cluster sets it for pods of lost nodes (KEP-3329).

    Without any, a pod that has no seconds left is one that an API server has begun to delete and was kept
    from: it gives up between both of its writes when its client does. So it is asked again.
    """
    actions: list[Action] = []
    held = bool(tenant["metadata"].get("finalizers"))
    if held and not is_finished(tenant):
        status: dict[str, Any] = {"phase": "Failed"}
        if not is_deleting(tenant):
            message = "The pod is gone from the cluster that ran it"
            condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletedByHost"}
            status["conditions"] = [condition | {"message": message}]
        actions.append(_status(tenant, status))
    if not (held and is_deleting(tenant) and grace_of(tenant) == 0):
        actions.append(Delete("tenant", apis.PODS, key_of(tenant), uid_of(tenant), 0))
    if is_deleting(tenant):  # it would go anyway
        return actions
    return [Absent("host", apis.PODS, scope.host_key(key_of(tenant))), *actions]


def unschedulable(tenant: Obj, message: str, now_rfc3339: str, reason: str = "HostRefused") -> Patch | None:
    """The condition that tells why there is no host pod, as a scheduler would; None if the pod says so.

    `message` is in the tenant's words (`messages.Wording`). A pod that is bound, ended or being deleted is
    past scheduling, so it gets none.
    """
    if tenant["spec"].get("nodeName") or is_deleting(tenant) or is_finished(tenant):
        return None
    conditions = tenant.get("status", {}).get("conditions") or ()
    current: Obj = next((one for one in conditions if one["type"] == "PodScheduled"), {})
    wanted = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    if wanted.items() <= current.items():
        return None
    if current.get("status") != "False":
        wanted["lastTransitionTime"] = now_rfc3339
    return _status(tenant, {"conditions": [wanted]})


def _status(tenant: Obj, status: dict[str, Any]) -> Patch:
    return Patch("tenant", apis.PODS, key_of(tenant), uid_of(tenant), {"status": status}, "status")


def tokens(tenant: Obj, host_name: str, scope: Scope) -> list[Action]:
    """The Secret with the tokens that the pod's volumes ask for: made, made anew, or looked at again in time.

    A Secret of an earlier pod of this name holds tokens that died with that pod, so it goes first.
    """
    key = Key(scope.namespace, secret_name(host_name))
    secret = scope.host.get(apis.SECRETS, key)
    owned = secret is not None and marks.is_owned(secret, tenant)
    if secret is not None and owned and (remaining := _renewal(secret) - scope.now) > 0:
        return [Wait(remaining)]  # a settled pod asks no further
    requests = token_requests(tenant)
    if not requests:
        return []
    actions: list[Action] = []
    current = ""
    if secret is not None and owned:
        current = uid_of(secret)
    elif secret is not None:
        actions.append(Delete("host", apis.SECRETS, key, uid_of(secret)))
    account = tenant["spec"].get("serviceAccountName") or "default"
    return [*actions, Tokens(_secret(tenant, key, scope), current, tenant, account, requests)]


def _renewal(secret: Obj) -> float:
    """Seconds since the epoch; 0, so at once, if the annotation is lost or no number."""
    try:
        return float(annotations_of(secret).get(RENEW, "0"))
    except ValueError:
        return 0.0


def _secret(tenant: Obj, key: Key, scope: Scope) -> Obj:
    pod = key_of(tenant)
    metadata: Obj = {
        "namespace": key.namespace,
        "name": key.name,
        "labels": marks.labels(scope.name, pod),
        "annotations": {**marks.annotations(pod, uid_of(tenant)), marks.RESOURCE: apis.PODS.plural},
    }
    if owner := scope.owner():
        metadata["ownerReferences"] = owner
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"}


def drop_tokens(pod: Key, scope: Scope) -> list[Action]:
    """Neither side has the pod any more, so nobody mounts the Secret."""
    host = scope.host_key(pod)
    key = Key(host.namespace, secret_name(host.name))
    secret = scope.host.get(apis.SECRETS, key)
    if secret is None or is_deleting(secret):
        return []
    return [Delete("host", apis.SECRETS, key, uid_of(secret))]
