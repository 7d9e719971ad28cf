"""The tenant's CoreDNS: the names of the tenant's services, and the world's by the node's own resolver.

It stands beside the API server, where the tenant cannot change it, and answers before the first pod asks.
"""

from kube.objects import Obj
from vcp import layout
from vcp.distros import pod as parts
from vcp.render.manifests import objects, pod_template, spread
from vcp.spec import Spec

VERSION = "v1.14.7"
_PKI = "/etc/vcp/pki"

# The plugin has the last word on the tenant's domain and on all addresses: with `fallthrough`, the node's
# resolver, which may be the host's DNS, would answer for the host's services and for other tenants' pods.
# Nothing of this is cached: it is read from memory, and a cached "no" would hide a new Service for seconds.
_COREFILE = """\
{domain}:{port} in-addr.arpa:{port} ip6.arpa:{port} {{
    errors
    health :8080 {{
        lameduck 3s
    }}
    ready :8181
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        endpoint {server}
        tls {pki}/dns.crt {pki}/dns.key {pki}/server-ca.crt
        pods insecure
        ttl 5
    }}
    loadbalance
}}
"""
_HOST = """\
{host}:{port} {{
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""
_WORLD = """\
.:{port} {{
    errors
    cache 30
    forward . /etc/resolv.conf {{
        max_concurrent 1000
    }}
    loadbalance
}}
"""


def image(spec: Spec) -> str:
    return parts.image(spec, spec.images.coredns, "registry.k8s.io", "coredns/coredns", VERSION)


def corefile(spec: Spec, server: str) -> str:
    """`server` is the URL of the tenant's API.

    Of several blocks CoreDNS takes the one with the longest matching domain, so the tenant's may lie within
    the host's."""
    blocks = [_COREFILE, _WORLD]
    if spec.dns.host_domain not in ("", spec.cluster_domain):
        blocks.insert(1, _HOST)
    return "".join(
        block.format(
            domain=spec.cluster_domain,
            host=spec.dns.host_domain,
            port=layout.DNS_PORT,
            server=server,
            pki=_PKI,
        )
        for block in blocks
    )


def dns(spec: Spec, api_address: str) -> list[Obj]:
    """`api_address` is the ClusterIP of the Service `api`, for the pods' own resolver does not know its name;
    empty in a plan that is made before the Service."""
    found = objects(spec, "dns")
    address = f"[{api_address}]" if ":" in api_address else api_address
    server = f"https://{address or layout.api_service(spec)}:443"
    found["ConfigMap/dns"]["data"] = {"Corefile": corefile(spec, server)}
    deployment = found["Deployment/dns"]
    deployment["spec"]["replicas"] = spec.dns.replicas
    pod = pod_template(deployment, spec, "dns")
    base = parts.container("dns", image(spec), spec.resources.dns, env=parts.environment(spec.resources.dns))
    pod["containers"] = [{**base, **pod["containers"][0]}]
    selector = layout.selector(spec, "dns")
    found["PodDisruptionBudget/dns"]["spec"]["selector"] = {"matchLabels": selector}
    if spec.dns.replicas == 1:
        del found["PodDisruptionBudget/dns"]
    else:
        pod["topologySpreadConstraints"] = spread(selector)
    return list(found.values())
