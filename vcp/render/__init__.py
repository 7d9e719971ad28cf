"""From a spec, key material and what the host says to every object of a tenant: ordered, idempotent steps.

There are two halves, because certificates and pods name the ClusterIPs that the host gives to Services:
`render_access`, then the host is read, then `render`, which holds the first half again. Each object is
applied server-side by the field manager `vcp`; a create that stopped is resumed by applying all steps again.
"""

from collections.abc import Iterable, Mapping

import msgspec

from kube.objects import Obj
from syncer.kinds.registry import registry
from vcp import kubeconfig, layout, pki
from vcp.render import api, dns, etcd, isolation, syncer
from vcp.render.encoding import redact, secret_files
from vcp.render.manifests import objects
from vcp.spec import Spec

__all__ = [
    "Facts",
    "Obj",
    "Step",
    "pki_request",
    "publication",
    "redact",
    "render",
    "render_access",
    "secret_files",
    "services",
    "syncer_image",
    "tenant_objects",
]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be read from the host."""

    service_cidr: str
    """The tenant's ClusterIPs are the host's. Two, separated by a comma, on a dual-stack host."""
    cluster_ips: Mapping[str, str] = {}
    """Of the control plane's Services, by name; known once they exist."""
    api_addresses: tuple[str, ...] = ()
    """Addresses and names of its load balancer, or of the nodes for a node port."""
    host_api_addresses: tuple[str, ...] = ()
    """Where the host's own API answers, outside of what spec.network.deny covers."""
    host_api_ports: tuple[int, ...] = ()
    """Its ports there; without any, all are taken for it."""
    foreign_namespaces: frozenset[str] = frozenset()
    """Those of the tenant's namespaces that existed before and do not carry vcp's mark."""
    host_version: str = ""


class Step(msgspec.Struct, frozen=True):
    """Objects that may be applied at once; a step begins when the one before has been applied."""

    name: str
    objects: tuple[Obj, ...]


def render_access(spec: Spec, facts: Facts) -> tuple[Step, ...]:
    """Everything that can be made before the API's address is known: nothing of it runs."""
    bounds = isolation.isolation(spec, facts.host_api_addresses, facts.service_cidr, facts.host_api_ports)
    return (
        Step("namespaces", tuple(isolation.namespaces(spec, facts.foreign_namespaces))),
        Step("foundation", (*bounds, *syncer.rights(spec), *api.services(spec))),
    )


def services(spec: Spec) -> list[Obj]:
    """Those of the control plane, of which `Facts.cluster_ips` tells the addresses."""
    return api.services(spec)


def pki_request(spec: Spec, facts: Facts) -> pki.PkiRequest:
    """What `vcp.pki.renew` has to make for `render`."""
    return pki.request(spec, _addresses(facts))


def render(spec: Spec, material: pki.Material, facts: Facts) -> tuple[Step, ...]:
    """All steps, those of `render_access` included."""
    sans = layout.api_sans(spec, _addresses(facts))
    secrets = api.secrets(spec, material)
    ips = facts.cluster_ips
    members = etcd.etcd(spec, ips)
    servers = api.api(spec, facts.service_cidr, sans, ips)
    syncers = syncer.syncer(spec, ips, facts.host_api_addresses)
    resolvers = dns.dns(spec, ips.get("api", ""))
    running = [*members, *servers, *syncers, *resolvers]
    api.follow(running, [*secrets, *running])
    return (
        *render_access(spec, facts),
        Step("secrets", tuple(secrets)),
        Step("etcd and API", (*members, *servers)),
        Step("syncer and DNS", (*syncers, *resolvers)),
    )


def publication(spec: Spec, material: pki.Material, server: str) -> Step:
    """The admin's kubeconfig, for after the isolation has been verified to stand."""
    files = material.files
    entry = kubeconfig.admin(
        spec.name, server, files["server-ca.crt"], files["admin.crt"], files["admin.key"]
    )
    return Step("kubeconfig", (api.kubeconfig_secret(spec, entry.text()),))


def tenant_objects(spec: Spec) -> tuple[Obj, ...]:
    """What is applied inside the tenant cluster once its API answers."""
    found = objects(spec, "tenant")
    found["ClusterRole/vcp:syncer"]["rules"] = syncer.in_tenant(registry(spec.sync))
    for obj in found.values():
        own = {key: value for key, value in obj["metadata"]["labels"].items() if key.startswith("rbac.")}
        obj["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "vcp", **own}
    if not spec.sync.metrics:
        del found["ClusterRole/vcp:metrics-reader"]
    return tuple(found.values())


def syncer_image(spec: Spec) -> str:
    """The image of the syncer, in which there is a `vcp` of the same version, too."""
    return syncer.image(spec)


def flatten(steps: Iterable[Step]) -> list[Obj]:
    """The objects of all steps, in order."""
    return [obj for step in steps for obj in step.objects]


def _addresses(facts: Facts) -> tuple[str, ...]:
    own = facts.cluster_ips.get("api")
    return (*([own] if own else []), *facts.api_addresses)
