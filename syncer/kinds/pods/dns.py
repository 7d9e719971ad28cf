"""Names inside a pod: its resolver's configuration and its own host name, as on a cluster of the tenant."""

from collections.abc import Iterable

from kube.objects import Obj
from syncer.core.scope import Scope

_MAX_NAMESERVERS = 3  # what the API server accepts, and where the kubelet cuts
_MAX_SEARCHES = 32
_MAX_SEARCH_LENGTH = 2048
_MAX_HOSTNAME = 63


def host_dns(tenant: Obj, scope: Scope) -> Obj:
    """`dnsPolicy` and `dnsConfig` of the host pod, as far as they differ from the tenant's.

    ClusterFirst means the tenant's DNS, so it is spelled out. On the host network it means the node's
    resolver; ClusterFirstWithHostNet says otherwise (pkg/kubelet/network/dns.getPodDNSType).
    """
    spec = tenant["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        return {}
    if policy not in ("ClusterFirst", "ClusterFirstWithHostNet") or not scope.dns_address:
        return {}
    domain = scope.cluster_domain
    own: Obj = spec.get("dnsConfig") or {}
    searches = (f"{tenant['metadata']['namespace']}.svc.{domain}", f"svc.{domain}", domain)
    config = {
        "nameservers": _unique((scope.dns_address, *(own.get("nameservers") or ())))[:_MAX_NAMESERVERS],
        "searches": _within_limits(_unique((*searches, *(own.get("searches") or ())))),
        "options": _options(own.get("options") or ()),
    }
    return {"dnsPolicy": "None", "dnsConfig": config}


def hostname(tenant: Obj) -> str:
    """The kubelet's default (GeneratePodHostNameAndDomain), for the tenant pod's name.

    The kubelet leaves dots in a pod's name, but as a field the host name is one DNS label.
    """
    name: str = tenant["metadata"]["name"]
    return name.replace(".", "-")[:_MAX_HOSTNAME].rstrip("-")


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _within_limits(searches: list[str]) -> list[str]:
    searches = searches[:_MAX_SEARCHES]
    while len(" ".join(searches)) > _MAX_SEARCH_LENGTH:
        searches.pop()
    return searches


def _options(own: Iterable[Obj]) -> list[Obj]:
    """The tenant's options over the kubelet's own, of which the last of a name counts."""
    options = {"ndots": {"name": "ndots", "value": "5"}}
    for option in own:
        options[option["name"]] = option
    return list(options.values())
