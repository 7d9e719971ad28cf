"""k3s: API server and controller manager in one process of one image.

`k3s server` makes its leafs itself, from the CAs that it finds in `<data-dir>/server/tls`, and writes beside
them; so an init container copies the Secret into an emptyDir. The etcd CAs that it also looks for there are
for an embedded etcd: it gets none, since ours is its datastore, and nobody trusts what it makes instead.
"""

from vcp import layout
from vcp.distros import pod as parts
from vcp.distros.pod import PKI, ApiPod, Obj
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

KEYS = {"pki-api": (*_TLS, *_DATASTORE)}

_DATA = "/data"
_SEED = (
    "/seed"  # laid out as the data directory is, so that one `cp` of it is the whole of the init container
)


def images(spec: Spec) -> dict[str, str]:
    """The images by container name."""
    tag = spec.version if "-k3s" in spec.version else f"{spec.version}-k3s1"
    chosen = parts.image(spec, spec.images.k3s, "docker.io", "rancher/k3s", tag)
    return {"seed": chosen, "api": chosen}


def pod(spec: Spec, service_cidr: str, sans: tuple[str, ...]) -> ApiPod:
    """The init container that lays out the data directory, and the server."""
    chosen = images(spec)
    names = {name: name.replace("service-account.key", "service.key") for name in _TLS}
    return ApiPod(
        init_containers=[
            parts.container(
                "seed",
                chosen["seed"],
                spec.resources.api,
                # -L: a Secret's files are links.
                command=["cp", "-RL", f"{_SEED}/.", f"{_DATA}/"],
                volumeMounts=[
                    parts.mount("seed", f"{_SEED}/server/tls"),
                    parts.mount("data", _DATA, read_only=False),
                ],
            )
        ],
        containers=[_server(spec, chosen["api"], service_cidr, sans)],
        volumes=[
            {**parts.secret("pki-api", names), "name": "seed"},
            parts.secret("pki-api", {name: name for name in _DATASTORE}),
            {"name": "data", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            *parts.shared_volumes(),
        ],
    )


def _server(spec: Spec, image: str, service_cidr: str, sans: tuple[str, ...]) -> Obj:
    return parts.container(
        "api",
        image,
        spec.resources.api,
        command=["k3s"],
        args=_arguments(spec, service_cidr, sans),
        env=[
            *parts.environment(spec.resources.api),
            {"name": "HOME", "value": _DATA},  # without root, k3s looks for a home
        ],
        ports=[{"name": "https", "containerPort": layout.API_PORT}],
        volumeMounts=[
            parts.mount("data", _DATA, read_only=False),
            parts.mount("tmp", "/tmp", read_only=False),  # noqa: S108 (a volume of the pod's own)
            parts.mount("pki-api", PKI),
            *parts.shared_mounts(),
        ],
        **parts.api_probes(),
    )


def _arguments(spec: Spec, service_cidr: str, sans: tuple[str, ...]) -> list[str]:
    return [
        "server",
        f"--data-dir={_DATA}",
        f"--write-kubeconfig={_DATA}/admin.kubeconfig",
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
        # k3s keeps its bootstrap data in the datastore, encrypted with the token: it must never change.
        f"--token-file={PKI}/token",
        *(f"--tls-san={san}" for san in sans),
        *(f"--kube-apiserver-arg={flag[2:]}" for flag in parts.flags(parts.api_flags(spec))),
        *(f"--kube-controller-manager-arg={flag[2:]}" for flag in parts.flags(parts.controller_flags(spec))),
    ]
