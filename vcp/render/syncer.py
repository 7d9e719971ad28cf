"""The syncer: its rights on either side, which follow from its kinds, its settings, its pods."""

from collections.abc import Iterable

import msgspec

from kube.objects import Obj
from syncer import settings
from syncer.core.kind import Kind
from syncer.core.policy import Network
from syncer.core.rights import ENGINE, Rule
from syncer.kinds.registry import registry
from vcp import __version__, layout
from vcp.distros import pod as parts
from vcp.render.manifests import objects, pod_template, spread
from vcp.render.resolving import ClusterIps
from vcp.spec import Spec


def image(spec: Spec) -> str:
    return parts.image(spec, spec.images.syncer, "docker.io/library", "vcp-syncer", __version__)


def rules(taken: Iterable[Rule]) -> list[Obj]:
    """RBAC rules that grant all that is taken, each resource once; resources of one group with the same verbs
    share a rule."""
    verbs: dict[tuple[str, str], set[str]] = {}
    for rule in taken:
        plural = f"{rule.api.plural}/{rule.subresource}" if rule.subresource else rule.api.plural
        verbs.setdefault((rule.api.group, plural), set()).update(rule.verbs)
    shared: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, plural), wanted in sorted(verbs.items()):
        shared.setdefault((group, tuple(sorted(wanted))), []).append(plural)
    return [
        {"apiGroups": [group], "resources": plurals, "verbs": list(wanted)}
        for (group, wanted), plurals in sorted(shared.items(), key=lambda item: (item[0][0], item[1]))
    ]


def on_host(kinds: Iterable[Kind], *, cluster: bool = False) -> list[Obj]:
    """The rules in the workload namespace, or those of the whole cluster."""
    taken = (rule for kind in kinds for rule in kind.rules())
    return rules(rule for rule in taken if rule.side == "host" and rule.cluster is cluster)


def in_tenant(kinds: Iterable[Kind]) -> list[Obj]:
    """The rules in the tenant, in all of its namespaces."""
    taken = (*ENGINE, *(rule for kind in kinds for rule in kind.rules()))
    return rules(rule for rule in taken if rule.side == "tenant")


def rights(spec: Spec) -> list[Obj]:
    """The account, and roles that hold before the first pod runs; cluster-wide ones only if asked for."""
    found = objects(spec, "rights")
    registered = registry(spec.sync)
    found["Role/vcp-syncer"]["rules"] = on_host(registered)
    role, binding = found.pop("ClusterRole/vcp-syncer"), found.pop("ClusterRoleBinding/vcp-syncer")
    if cluster := on_host(registered, cluster=True):
        role["rules"] = cluster
        name = layout.cluster_role(spec.name)
        role["metadata"]["name"] = binding["metadata"]["name"] = binding["roleRef"]["name"] = name
        found |= {"ClusterRole": role, "ClusterRoleBinding": binding}
    return list(found.values())


def syncer(spec: Spec, ips: ClusterIps, host_api: Iterable[str] = ()) -> list[Obj]:
    """What runs; `host_api` are the addresses of the host's API."""
    found = objects(spec, "syncer")
    network = Network(allow=spec.network.allow, deny=(*spec.network.deny, *host_api))
    told = _settings(spec, ips, network)
    found["ConfigMap/syncer"]["data"] = {"settings.json": told}
    deployment = found["Deployment/syncer"]
    deployment["spec"]["replicas"] = spec.syncer.replicas
    pod = pod_template(deployment, spec, "syncer")
    base = parts.container("syncer", image(spec), spec.resources.syncer)
    pod["containers"] = [{**base, **pod["containers"][0]}]
    selector = layout.selector(spec, "syncer")
    found["PodDisruptionBudget/syncer"]["spec"]["selector"] = {"matchLabels": selector}
    if spec.syncer.replicas == 1:
        del found["PodDisruptionBudget/syncer"]
    else:
        pod["topologySpreadConstraints"] = spread(selector)
    return list(found.values())


def _settings(spec: Spec, ips: ClusterIps, network: Network) -> str:
    told = settings.Settings(
        name=spec.name,
        namespace=spec.workload_namespace,
        control_namespace=spec.namespace,
        server=f"https://{layout.api_service(spec)}",
        api_address=ips.get("api", ""),
        dns_address=ips.get("dns", ""),
        metrics_address=ips.get("syncer", "") if spec.sync.metrics else "",
        cluster_domain=spec.cluster_domain,
        # The Secrets to pull images with are in the control plane's namespace: elsewhere it could not be had.
        hosts_image="" if spec.image_pull_secrets else image(spec),
        pod_security=spec.pod_security,
        sync=spec.sync,
        network=network,
        webhook_port=layout.WEBHOOK_PORT,
        probe_port=layout.PROBE_PORT,
        kubelet_port=layout.KUBELET_PORT,
        metrics_port=layout.METRICS_PORT,
    )
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n"
