"""What keeps tenants apart on the host: namespaces, quota, and the policies of docs/decisions/0012."""

import ipaddress
from collections.abc import Collection, Iterable

from kube.objects import Obj
from vcp import layout
from vcp.render.encoding import secret_data
from vcp.render.manifests import objects
from vcp.spec import Spec, dump

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_SERVICE_PORT = 443  # of the Service `default/kubernetes`, which API servers make with this port


def namespaces(spec: Spec, foreign: Collection[str]) -> list[Obj]:
    """The two namespaces, or the one, and the record of the spec.

    A namespace in `foreign` existed before and is not vcp's: it stays as it is.
    """
    found = objects(spec, "namespaces")
    control, work, record = found.values()
    control["metadata"]["name"] = spec.namespace
    work["metadata"]["name"] = spec.workload_namespace
    work["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = spec.pod_security
    record["data"] = secret_data({"spec.json": dump(spec).encode()})
    result = [work] if spec.namespace == spec.workload_namespace else [control, work]
    for namespace in result:
        namespace["metadata"]["labels"] |= {layout.MADE: "true", layout.CONTROL: spec.namespace}
    return [*(each for each in result if each["metadata"]["name"] not in foreign), record]


def isolation(
    spec: Spec, host_api: Collection[str], service_cidr: str, host_api_ports: Collection[int] = ()
) -> list[Obj]:
    """All that has to stand before the first process of the tenant runs."""
    found = objects(spec, "isolation")
    quota, limits = found["ResourceQuota/vcp-quota"], found["LimitRange/vcp-limits"]
    found["ConfigMap/vcp-anchor"]["metadata"]["labels"][layout.CONTROL] = spec.namespace
    quota["spec"]["hard"] = spec.hard
    wanted = {
        "default": spec.limits.default,
        "defaultRequest": spec.requested,
        "max": spec.limits.max,
    }
    filled = {kind: dict(quantities) for kind, quantities in wanted.items() if quantities}
    limits["spec"]["limits"] = [{"type": "Container", **filled}]
    if not spec.hard:
        del found["ResourceQuota/vcp-quota"]
    if not filled:
        del found["LimitRange/vcp-limits"]
    for key, obj in found.items():
        if key.startswith("NetworkPolicy/"):
            _of_tenant(obj, spec)
    _world(found["NetworkPolicy/vcp-workloads"], spec, host_api)
    if host_api:
        _host_api(found["NetworkPolicy/vcp-syncer"], host_api, host_api_ports, service_cidr)
    return list(found.values())


def _host_api(policy: Obj, addresses: Collection[str], ports: Collection[int], service_cidr: str) -> None:
    """Narrows the syncer's way out to where the host's API answers: at the same addresses are kubelets, etcd
    and whatever else runs on those nodes.

    Whether a policy sees an address before or after it is rewritten is left to the network plugin, so the
    ClusterIP of that API, the first of the range, is in too."""
    ranges = [ipaddress.ip_network(text) for text in service_cidr.split(",") if text]
    known = [
        _tcp(map(ipaddress.ip_network, addresses), ports),
        _tcp((ipaddress.ip_network(each[1]) for each in ranges), [_SERVICE_PORT]),
    ]
    rules = policy["spec"]["egress"]
    place = next(i for i, rule in enumerate(rules) if any("ipBlock" in peer for peer in rule["to"]))
    rules[place : place + 1] = [rule for rule in known if rule["to"]]


def _tcp(networks: Iterable[_Network], ports: Collection[int]) -> Obj:
    """A rule for these ports, or for all where they are not known."""
    return {
        "to": [{"ipBlock": {"cidr": str(network)}} for network in networks],
        "ports": [{"protocol": "TCP", "port": port} for port in ports] or [{"protocol": "TCP"}],
    }


def _of_tenant(policy: Obj, spec: Spec) -> None:
    """Narrows each pod selector to this tenant: the namespaces may hold pods that are not vcp's."""

    def narrow(selector: Obj) -> None:
        selector["matchLabels"] = {**selector.get("matchLabels", {}), layout.TENANT: spec.name}

    body = policy["spec"]
    narrow(body["podSelector"])
    for rule in [*body.get("ingress", []), *body.get("egress", [])]:
        for peer in [*rule.get("from", []), *rule.get("to", [])]:
            if "podSelector" in peer and "k8s-app" not in peer["podSelector"].get("matchLabels", {}):
                narrow(peer["podSelector"])


def _world(policy: Obj, spec: Spec, host_api: Iterable[str]) -> None:
    """Replaces the address blocks by those of the spec. An emptied rule goes: it would allow everything."""
    blocks = [{"ipBlock": block} for block in address_blocks(spec.network.allow, spec.network.deny, host_api)]
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        rules = []
        for rule in policy["spec"][direction]:
            if any("ipBlock" in peer for peer in rule[peers]):
                rule[peers] = blocks
            if rule[peers]:
                rules.append(rule)
        policy["spec"][direction] = rules


def address_blocks(allow: Iterable[str], deny: Iterable[str], host_api: Iterable[str]) -> list[Obj]:
    """`ipBlock`s for `allow` without `deny` and the addresses of the host's API.

    An exception has to lie within its block; an allowed block within a denied one is the more specific,
    and stays.
    """
    excepted = [ipaddress.ip_network(text) for text in (*deny, *host_api)]
    blocks = []
    for text in allow:
        block = ipaddress.ip_network(text)
        inside = sorted(
            {
                str(network)
                for network in excepted
                if network.version == block.version and network != block and network.subnet_of(block)  # type: ignore[arg-type]  # the versions are equal
            }
        )
        blocks.append({"cidr": str(block), **({"except": inside} if inside else {})})
    return blocks
