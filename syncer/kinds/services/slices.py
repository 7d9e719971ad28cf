"""EndpointSlices that a tenant writes for a Service without selector: what of them may stand on the host.

The host's nodes send traffic where a slice points, whoever it comes from and past the policies that bind the
tenant's pods. So addresses inside the cluster must be those of the tenant's own pods.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from functools import lru_cache

from kube import apis
from kube.objects import Key, Obj, is_deleting, key_of, labels_of, uid_of
from syncer.core.kind import new_host_object
from syncer.core.policy import Network
from syncer.core.refusal import Problem
from syncer.core.scope import Scope
from syncer.kinds.services import builtin
from syncer.kinds.services.spec import host_name, type_of

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Range = ipaddress.IPv4Network | ipaddress.IPv6Network
_EMBEDDING = [
    ipaddress.ip_network(prefix)
    for prefix in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")  # RFC 6052, 8215, 4291, 2765
]
_PORT = ("name", "port", "protocol", "appProtocol")


def service_key(endpoint_slice: Obj) -> Key | None:
    name = labels_of(endpoint_slice).get(builtin.SERVICE_NAME)
    return Key(endpoint_slice["metadata"]["namespace"], name) if name else None


def is_wanted(tenant: Obj, scope: Scope) -> bool:
    """Whether the slice belongs to a Service on the host that has no selector. Names (`FQDN`) are for no
    proxy."""
    key = service_key(tenant)
    if key is None or key in builtin.KEYS or tenant.get("addressType") == "FQDN":
        return False
    service = scope.tenant.get(apis.SERVICES, key)
    if service is None or is_deleting(service):
        return False
    return not service["spec"].get("selector") and type_of(service) != "ExternalName"


def host_slice(tenant: Obj, scope: Scope) -> tuple[Obj, list[Problem]]:
    """The host's slice of a wanted one, and what was left out of it for a reason."""
    host = new_host_object(apis.ENDPOINT_SLICES, tenant, scope)
    service = service_key(tenant)
    host["metadata"]["labels"] |= {
        builtin.SERVICE_NAME: host_name(service, scope) if service else "",
        builtin.MANAGED_BY: builtin.SYNCER,
    }
    endpoints: list[Obj] = []
    problems: list[Problem] = []
    for index, endpoint in enumerate(tenant.get("endpoints") or ()):
        found = list(_problems(endpoint, f"endpoints[{index}]", scope))
        problems += found
        if not found:
            endpoints.append(_host_endpoint(endpoint, tenant, scope))
    ports = [{field: port[field] for field in _PORT if field in port} for port in tenant.get("ports") or ()]
    content = {"addressType": tenant["addressType"], "endpoints": endpoints, "ports": ports}
    return host | content, problems


def _problems(endpoint: Obj, path: str, scope: Scope) -> Iterator[Problem]:
    for index, text in enumerate(endpoint.get("addresses") or ()):
        at = f"{path}.addresses[{index}]"
        try:
            meant = _meant(text)
        except ValueError:
            yield Problem(at, f"{text} is not an IP address")
            continue
        if any(map(_is_special, meant)):
            reason = "is a loopback, link-local, unspecified, multicast or reserved address"
            yield Problem(at, f"{text} {reason}")
        elif not all(_is_outside(one, scope.network) for one in meant) and _pod(text, scope) is None:
            yield Problem(at, f"{text} is none of the tenant's own pods", "network.allow and network.deny")


def _meant(text: str) -> list[_Address]:
    """The address, and the IPv4 addresses that translators and tunnels on the way would take out of it. One
    that is only another form of an IPv4 address is that alone. Raises ValueError."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    found: list[_Address] = [address]
    if any(address in one for one in _EMBEDDING):
        found.append(low)
    found += [address.sixtofour] if address.sixtofour else []
    found += [address.teredo[1]] if address.teredo else []  # of the client
    return found


def _is_special(address: _Address) -> bool:
    """What no Service may lead to. Whatever IPv6 has reserved holds the translators' prefixes, too, which are
    judged by what is in them."""
    reserved = address.version == 4 and address.is_reserved
    special = (address.is_loopback, address.is_link_local, address.is_unspecified, address.is_multicast)
    return reserved or any(special)


@lru_cache(maxsize=64)
def _ranges(cidrs: tuple[str, ...]) -> Sequence[_Range]:
    return [ipaddress.ip_network(cidr, strict=False) for cidr in cidrs]


def _is_outside(address: _Address, network: Network) -> bool:
    """Whether the tenant's pods may talk to it as to the world outside of the host cluster: as in their
    network policy, an allowed block loses what is denied within it."""
    denied = [one for one in _ranges(network.deny) if address in one]
    return any(
        address in block and not any(_is_within(one, block) for one in denied)
        for block in _ranges(network.allow)
    )


def _is_within(inner: _Range, outer: _Range) -> bool:
    return (
        inner.version == outer.version
        and inner.prefixlen > outer.prefixlen
        and inner.network_address in outer
    )


def _pod(address: str, scope: Scope) -> Obj | None:
    """The host pod of this tenant with this address."""
    return next(iter(scope.host.indexed(apis.PODS, "address", address)), None)


def _host_endpoint(endpoint: Obj, tenant: Obj, scope: Scope) -> Obj:
    """Addresses, conditions and host name; node and pod are those of the host pod, if it is one."""
    kept: Obj = {
        field: endpoint[field] for field in ("addresses", "conditions", "hostname") if field in endpoint
    }
    addresses = endpoint.get("addresses") or [""]
    if (pod := _pod(addresses[0], scope)) is None:
        return kept
    if node := pod["spec"].get("nodeName"):
        kept["nodeName"] = node
    target = endpoint.get("targetRef") or {}
    named = Key(target.get("namespace") or tenant["metadata"]["namespace"], target.get("name", ""))
    if target.get("kind") == "Pod" and scope.host_key(named) == key_of(pod):
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        kept["targetRef"] = {"kind": "Pod", "namespace": namespace, "name": name, "uid": uid_of(pod)}
    return kept
