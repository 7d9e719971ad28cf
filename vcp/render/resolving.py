"""How the parts that a tenant steers find their peers: by names that are fixed in the pod.

The tenant tells their API server what to dial, so it must not ask the host's DNS, which knows the host's
services. What else it looks up, it asks the tenant's own DNS.
"""

from collections.abc import Mapping

from kube.objects import Obj
from vcp import layout
from vcp.spec import Spec

ClusterIps = Mapping[str, str]
"""Those of the control plane's Services, by name; empty before they are made."""


def of_etcd(spec: Spec) -> dict[str, str]:
    """The Service behind each name of etcd."""
    members = layout.etcd_members(spec)
    own = {name: name.split(".")[0] if len(members) > 1 else "etcd" for name in members}
    return {layout.etcd_service(spec): "etcd", **own}


def of_api(spec: Spec) -> dict[str, str]:
    """The Service behind each name that the API server dials by itself."""
    return {**of_etcd(spec), **{f"{name}.{spec.namespace}.svc": name for name in ("syncer", "kubelet")}}


def fix(pod: Obj, names: Mapping[str, str], ips: ClusterIps) -> None:
    """Writes the names into the pod, as far as their addresses are known, and turns the host's DNS off."""
    by_address: dict[str, list[str]] = {}
    for name, service in names.items():
        if service in ips:
            by_address.setdefault(ips[service], []).append(name)
    pod["dnsPolicy"] = "None"
    if "dns" in ips:
        pod["dnsConfig"] = {"nameservers": [ips["dns"]]}
    if by_address:
        pod["hostAliases"] = [{"ip": ip, "hostnames": known} for ip, known in by_address.items()]
