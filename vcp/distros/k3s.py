"""k3s: API server and controller manager in one process of one image.

Why each of these is as it is: docs/decisions/0021-what-k3s-does-at-start.md.
"""

from kube.objects import Obj
from vcp import layout
from vcp.distros import pod as parts
from vcp.distros.pod import PKI, ApiPod
from vcp.spec import Spec

_TLS = (
    "server-ca.crt",
    "server-ca.key",
    "client-ca.crt",
    "client-ca.key",
    "request-header-ca.crt",
    "request-header-ca.key",
    "service-account.key",
)
_DATASTORE = ("etcd-server-ca.crt", "etcd-client.crt", "etcd-client.key", "token")
# k3s would have the API server believe client-ca alone, and show the syncer a certificate of that.
_CLIENTS = ("client-cas.crt", *parts.SYNCER_KEYS)

_DATA = "/data"
_SEED = "/seed"  # laid out as the data directory is, so that one `cp` fills it
_KUBECONFIG = f"{_DATA}/admin.kubeconfig"
_DRAIN_SECONDS = 5  # how long a replica serves on after the host has begun to take it out of the Service

# Each start of the container is a first start: k3s finds the authorities of the Secret and nothing of its own
# from an earlier run, which it would compare with the datastore and might refuse as newer. An attempt that
# ends before k3s has written its kubeconfig, because etcd does not answer, is repeated here for a while, as
# kube-apiserver dials on for 20 s; otherwise an outage of etcd would end in the kubelet's back-off.
_START = f"""\
trap 'ended=1; kill -TERM "$server" 2>/dev/null' TERM INT
ended= attempt=0 code=0
rm -f {_KUBECONFIG}
until [ "$ended" ] || [ -e {_KUBECONFIG} ] || [ "$attempt" -ge 20 ]; do
  [ "$attempt" = 0 ] || sleep 1
  attempt=$((attempt + 1))
  rm -rf {_DATA}/server
  cp -RL {_SEED}/. {_DATA}/
  k3s "$@" &
  server=$!
  wait "$server"
  code=$?
  while kill -0 "$server" 2>/dev/null; do
    wait "$server"
    code=$?
  done
done
exit "$code"
"""


def keys(spec: Spec) -> dict[str, tuple[str, ...]]:
    """The one process's Secret."""
    return {"pki-api": (*_TLS, *_mounted(spec))}


def _mounted(spec: Spec) -> tuple[str, ...]:
    """What is read from the Secret itself, where the rest is copied first."""
    return (*_DATASTORE, *_CLIENTS, *parts.signing_keys(spec))


def images(spec: Spec) -> dict[str, str]:
    """The images by container name."""
    tag = spec.version if "-k3s" in spec.version else f"{spec.version}-k3s1"
    return {
        "record": parts.etcd_image(spec),
        "api": parts.image(spec, spec.images.k3s, "docker.io", "rancher/k3s", tag),
    }


def pod(spec: Spec, service_cidr: str, sans: tuple[str, ...]) -> ApiPod:
    """The init container that waits for etcd and clears what k3s has recorded there, and the server."""
    chosen = images(spec)
    names = {name: name.replace("service-account.key", "service.key") for name in _TLS}
    # k3s writes over these files what the datastore holds of them, and so must own copies that it may write.
    seed = parts.secret("pki-api", names, mode=0o640)
    return ApiPod(
        init_containers=[_record(spec, chosen["record"])],
        containers=[_server(spec, chosen["api"], service_cidr, sans)],
        volumes=[
            {**seed, "name": "seed"},
            parts.secret("pki-api", {name: name for name in _mounted(spec)}),
            {"name": "data", "emptyDir": {}},
            {"name": "node", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            *parts.shared_volumes(),
        ],
    )


def _record(spec: Spec, image: str) -> Obj:
    """Waits for etcd, and makes the Secret the only source of the authorities.

    k3s records them in the datastore at its first start and prefers that record to its files ever after, so
    that a renewed authority would have no effect. A fresh pod removes the record; k3s writes a new one.
    """
    return parts.container(
        "record",
        image,
        spec.resources.api,
        command=["etcdctl"],
        args=[
            f"--endpoints={','.join(layout.etcd_endpoints(spec))}",
            f"--cacert={PKI}/etcd-server-ca.crt",
            f"--cert={PKI}/etcd-client.crt",
            f"--key={PKI}/etcd-client.key",
            # It repeats the request until then, where a shorter time would end in the kubelet's back-off.
            "--command-timeout=30m",
            "del",
            "--prefix",
            "/bootstrap/",
        ],
        volumeMounts=[parts.mount("pki-api", PKI)],
    )


def _server(spec: Spec, image: str, service_cidr: str, sans: tuple[str, ...]) -> Obj:
    # The listener closes at the signal, and --shutdown-delay-duration acts on the API server behind it.
    drain: Obj = (
        {"lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_SECONDS}}}} if spec.replicas > 1 else {}
    )
    return parts.container(
        "api",
        image,
        spec.resources.api,
        command=["sh", "-c", _START, "k3s"],
        args=_arguments(spec, service_cidr, sans),
        env=[
            *parts.environment(spec.resources.api),
            {"name": "HOME", "value": _DATA},  # without root, k3s looks for a home
        ],
        ports=[{"name": "https", "containerPort": layout.API_PORT}],
        volumeMounts=[
            parts.mount("data", _DATA, read_only=False),
            # Without an agent, too, k3s writes a node's password here before it starts the API server.
            parts.mount("node", "/etc/rancher", read_only=False),
            parts.mount("tmp", "/tmp", read_only=False),  # noqa: S108 (a volume of the pod's own)
            parts.mount("pki-api", PKI),
            parts.mount("seed", f"{_SEED}/server/tls"),
            *parts.shared_mounts(),
        ],
        **drain,
        **parts.api_probes(),
    )


def _arguments(spec: Spec, service_cidr: str, sans: tuple[str, ...]) -> list[str]:
    return [
        "server",
        f"--data-dir={_DATA}",
        f"--write-kubeconfig={_KUBECONFIG}",
        "--disable-agent",
        "--disable-scheduler",
        "--disable-cloud-controller",
        "--disable-kube-proxy",
        "--disable-network-policy",
        "--disable-helm-controller",
        "--disable=coredns,servicelb,traefik,local-storage,metrics-server",
        "--flannel-backend=none",
        "--egress-selector-mode=disabled",
        f"--https-listen-port={layout.API_PORT}",
        f"--service-cidr={service_cidr}",
        f"--cluster-domain={spec.cluster_domain}",
        f"--datastore-endpoint={','.join(layout.etcd_endpoints(spec))}",
        f"--datastore-cafile={PKI}/etcd-server-ca.crt",
        f"--datastore-certfile={PKI}/etcd-client.crt",
        f"--datastore-keyfile={PKI}/etcd-client.key",
        # Encrypts the record in the datastore: it must never change.
        f"--token-file={PKI}/token",
        *(f"--tls-san={san}" for san in sans),
        *(f"--kube-apiserver-arg={flag[2:]}" for flag in parts.flags(parts.api_flags(spec))),
        *(f"--kube-controller-manager-arg={flag[2:]}" for flag in parts.flags(parts.controller_flags(spec))),
    ]
