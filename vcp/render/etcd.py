"""etcd: one member or three, with certificates for clients and peers.

The number of members is final (vcp.spec.immutable_violations): a member that is merely started with a longer
`--initial-cluster` refuses to start or forms a cluster of its own; it has to join by `member add` first.
"""

from kube.objects import Obj
from kube.quantities import quantity
from vcp import layout
from vcp.distros import pod as parts
from vcp.render import resolving
from vcp.render.manifests import objects, pod_template, spread
from vcp.spec import Spec

_PKI = "/etc/vcp/pki"
_LARGEST = 8 * 1024**3  # what etcd suggests as the largest database


def etcd(spec: Spec, ips: resolving.ClusterIps) -> list[Obj]:
    found = objects(spec, "etcd")
    selector = layout.selector(spec, "etcd")
    found["Service/etcd-peers"]["spec"]["selector"] = selector
    found["PodDisruptionBudget/etcd"]["spec"]["selector"] = {"matchLabels": selector}
    members = found["StatefulSet/etcd"]
    members["spec"]["replicas"] = spec.etcd.replicas
    pod = pod_template(members, spec, "etcd")
    base = parts.container(
        "etcd", parts.etcd_image(spec), spec.resources.etcd, args=parts.flags(_flags(spec))
    )
    manifest = pod["containers"][0]
    manifest["env"] += parts.environment(spec.resources.etcd)
    pod["containers"] = [{**base, **manifest}]
    resolving.fix(pod, resolving.of_etcd(spec), ips)
    if spec.storage.ephemeral:
        pod["volumes"].append({"name": "data", "emptyDir": {"sizeLimit": spec.storage.size}})
    else:
        members["spec"]["volumeClaimTemplates"] = [_claim(spec)]
    if spec.etcd.replicas == 1:
        del found["PodDisruptionBudget/etcd"]
    else:
        pod["topologySpreadConstraints"] = spread(selector)
    return list(found.values())


def _claim(spec: Spec) -> Obj:
    body: Obj = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": spec.storage.size}},
    }
    if spec.storage.class_:
        body["storageClassName"] = spec.storage.class_
    return {"metadata": {"name": "data", "labels": layout.labels(spec, "etcd")}, "spec": body}


def _flags(spec: Spec) -> dict[str, str]:
    names = [member.split(".")[0] for member in layout.etcd_members(spec)]
    peers = [f"https://{member}:{layout.ETCD_PEER_PORT}" for member in layout.etcd_members(spec)]
    own = f"$(POD_NAME).etcd-peers.{spec.namespace}.svc"
    flags = {
        "advertise-client-urls": f"https://{own}:{layout.ETCD_CLIENT_PORT}",
        # The API server compacts every five minutes; this is for when it does not.
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "30m",
        "cert-file": f"{_PKI}/etcd-server.crt",
        "client-cert-auth": "true",
        "data-dir": "/var/lib/etcd/data",
        "enable-grpc-gateway": "false",
        "initial-advertise-peer-urls": f"https://{own}:{layout.ETCD_PEER_PORT}",
        "initial-cluster": ",".join(f"{name}={url}" for name, url in zip(names, peers, strict=True)),
        "initial-cluster-state": "new",  # ignored once there is data
        "initial-cluster-token": f"{spec.namespace}.{spec.name}",
        "key-file": f"{_PKI}/etcd-server.key",
        "listen-client-urls": f"https://0.0.0.0:{layout.ETCD_CLIENT_PORT}",
        "listen-metrics-urls": f"http://0.0.0.0:{layout.ETCD_METRICS_PORT}",
        "listen-peer-urls": f"https://0.0.0.0:{layout.ETCD_PEER_PORT}",
        "name": "$(POD_NAME)",
        "peer-cert-file": f"{_PKI}/etcd-peer.crt",
        "peer-client-cert-auth": "true",
        "peer-key-file": f"{_PKI}/etcd-peer.key",
        # The peer CA signs members only; comparing names with addresses would add nothing but a need for DNS.
        "peer-skip-client-san-verification": "true",
        "peer-trusted-ca-file": f"{_PKI}/etcd-peer-ca.crt",
        # Half of the volume: the rest is for the log, snapshots, and the copy that defragmenting makes.
        "quota-backend-bytes": str(min(int(quantity(spec.storage.size) / 2), _LARGEST)),
        "trusted-ca-file": f"{_PKI}/etcd-server-ca.crt",
    }
    if spec.etcd.replicas == 1:
        # Nobody else votes: the default election timeout would only delay the first answer by a second.
        flags |= {"heartbeat-interval": "50", "election-timeout": "250"}
    if spec.storage.ephemeral:
        flags["unsafe-no-fsync"] = (
            "true"  # the data dies with the pod anyway; only a crash of the node shows it
        )
    return flags
