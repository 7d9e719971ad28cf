"""Compares a tenant with the host: every object that belongs there has its twin, and nothing is left over."""

from kube.objects import Key, Obj, key_of
from syncer.core.names import host_name
from syncer.kinds.pods.references import references

from ..tenants.conftest import Tenant

_FINISHED = {"Succeeded", "Failed"}


def differences(tenant: Tenant) -> list[str]:
    """What does not agree, in words; empty when both sides do."""
    pods = {key_of(pod): pod for pod in tenant.get("pods", "-A")["items"]}
    hosts = _on_host(tenant, "pods")
    return [
        *_pods(pods, hosts),
        *_tokens(tenant, pods),
        *(text for plural in ("configmaps", "secrets") for text in _mounted(tenant, plural, pods)),
    ]


def _on_host(tenant: Tenant, plural: str) -> list[Obj]:
    selector = f"vcp.dev/tenant={tenant.name},vcp.dev/namespace"
    items: list[Obj] = tenant.vcp.lab.get("-n", tenant.work, plural, "-l", selector)["items"]
    return items


def _marked(host: Obj) -> Key:
    return Key(
        host["metadata"]["labels"]["vcp.dev/namespace"], host["metadata"]["annotations"]["vcp.dev/name"]
    )


def _pods(pods: dict[Key, Obj], hosts: list[Obj]) -> list[str]:
    twins = {_marked(host): host for host in hosts}
    found = [f"host pod of {key} twice" for key in twins if sum(_marked(h) == key for h in hosts) > 1]
    found += [f"host pod of {key} is left over" for key in twins if key not in pods]
    for key, pod in pods.items():
        host = twins.get(key)
        if host is None:
            if pod["status"].get("phase") not in _FINISHED and not _is_refused(pod):
                found.append(f"pod {key} is not on the host")
            continue
        if host["metadata"]["annotations"]["vcp.dev/uid"] != pod["metadata"]["uid"]:
            found.append(f"host pod of {key} is of an earlier uid")
        for field in ("phase", "podIP", "hostIP"):
            here, there = pod["status"].get(field), host["status"].get(field)
            if here != there:
                found.append(f"pod {key}: {field} is {here}, on the host {there}")
        if _ready(pod) != _ready(host):
            found.append(f"pod {key}: Ready differs")
        if _images(pod) != _images(host):
            found.append(f"pod {key}: images differ")
        labels = pod["metadata"].get("labels", {})
        if not labels.items() <= host["metadata"]["labels"].items():
            found.append(f"pod {key}: labels differ")
    return found


def _is_refused(pod: Obj) -> bool:
    return any(one.get("reason") == "Refused" for one in pod["status"].get("conditions") or ())


def _ready(pod: Obj) -> str:
    conditions = pod["status"].get("conditions") or ()
    return next((one["status"] for one in conditions if one["type"] == "Ready"), "")


def _images(pod: Obj) -> dict[str, str]:
    return {container["name"]: container["image"] for container in pod["spec"]["containers"]}


def _tokens(tenant: Tenant, pods: dict[Key, Obj]) -> list[str]:
    """Every pod's token Secret is of its uid; none is left without a pod."""
    uids = {pod["metadata"]["uid"]: key for key, pod in pods.items()}
    secrets = [one for one in _on_host(tenant, "secrets") if _is_token(one)]
    return [
        f"token Secret of {_marked(one)} is left over"
        for one in secrets
        if one["metadata"]["annotations"]["vcp.dev/uid"] not in uids
    ]


def _is_of_another_kind(host: Obj) -> bool:
    """Whether it is a Secret of tokens, or a ConfigMap that tells pods of services."""
    return "vcp.dev/resource" in host["metadata"]["annotations"]


def _is_token(secret: Obj) -> bool:
    return secret["metadata"]["annotations"].get("vcp.dev/resource") == "pods"


def _mounted(tenant: Tenant, plural: str, pods: dict[Key, Obj]) -> list[str]:
    wanted = {key for pod in pods.values() for kind, key in references(pod) if kind == plural}
    there = {key_of(obj): obj for obj in tenant.get(plural, "-A")["items"]}
    hosts = {_marked(one): one for one in _on_host(tenant, plural) if not _is_of_another_kind(one)}
    found = [f"{plural} {key} is left over on the host" for key in hosts if key not in wanted & set(there)]
    for key in wanted & set(there):
        host = hosts.get(key)
        if host is None:
            found.append(f"{plural} {key} is missing on the host")
        elif host.get("data") != there[key].get("data"):
            found.append(f"{plural} {key}: data differ")
        elif host["metadata"]["name"] != host_name(tenant.name, *key):
            found.append(f"{plural} {key}: another name")
    return found
