"""Upstream Kubernetes: kube-apiserver and kube-controller-manager in one pod.

Flags and their meaning: `kube-apiserver --help` and `kube-controller-manager --help` of the version.
"""

from kube.objects import Obj
from vcp import layout
from vcp.distros import pod as parts
from vcp.distros.pod import PKI, ApiPod
from vcp.spec import Spec

_CONTROLLER = "pki-controller-manager"

_KEYS = {
    "pki-api": (
        "server-ca.crt",
        "api-serving.crt",
        "api-serving.key",
        "client-cas.crt",
        *parts.SYNCER_KEYS,
        "request-header-ca.crt",
        "front-proxy.crt",
        "front-proxy.key",
        "etcd-server-ca.crt",
        "etcd-client.crt",
        "etcd-client.key",
        "service-account.key",
    ),
    _CONTROLLER: (
        "server-ca.crt",
        "controller-manager.crt",
        "controller-manager.key",
        "service-account.key",
    ),
}

_KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [
        {
            "name": "tenant",
            "cluster": {
                "server": f"https://127.0.0.1:{layout.API_PORT}",
                "certificate-authority": f"{PKI}/server-ca.crt",
            },
        }
    ],
    "users": [
        {
            "name": "controller-manager",
            "user": {
                "client-certificate": f"{PKI}/controller-manager.crt",
                "client-key": f"{PKI}/controller-manager.key",
            },
        }
    ],
    "contexts": [{"name": "tenant", "context": {"cluster": "tenant", "user": "controller-manager"}}],
    "current-context": "tenant",
}


def keys(spec: Spec) -> dict[str, tuple[str, ...]]:
    """The API server's and the controller manager's Secret."""
    return {**_KEYS, _CONTROLLER: (*_KEYS[_CONTROLLER], *parts.signing_keys(spec))}


def images(spec: Spec) -> dict[str, str]:
    """The images by container name."""
    own = spec.images
    return {
        "api": parts.image(spec, own.api_server, "registry.k8s.io", "kube-apiserver", spec.version),
        "controller-manager": parts.image(
            spec, own.controller_manager, "registry.k8s.io", "kube-controller-manager", spec.version
        ),
    }


def pod(spec: Spec, service_cidr: str, sans: tuple[str, ...]) -> ApiPod:  # noqa: ARG001 (certificates are made)
    """The two containers; they start at the same moment and each waits for what it needs."""
    chosen = images(spec)
    return ApiPod(
        containers=[
            _api(spec, chosen["api"], service_cidr),
            _controllers(spec, chosen["controller-manager"]),
        ],
        volumes=[parts.secret("pki-api"), parts.secret(_CONTROLLER), *parts.shared_volumes()],
        files={"controller-manager.yaml": _KUBECONFIG},
    )


def _api(spec: Spec, image: str, service_cidr: str) -> Obj:
    own = {
        "allow-privileged": "true",  # Pod Security decides, in the tenant and again on the host
        "enable-admission-plugins": "NodeRestriction",
        "etcd-cafile": f"{PKI}/etcd-server-ca.crt",
        "etcd-certfile": f"{PKI}/etcd-client.crt",
        "etcd-keyfile": f"{PKI}/etcd-client.key",
        "etcd-servers": ",".join(layout.etcd_endpoints(spec)),
        "kubelet-certificate-authority": f"{PKI}/server-ca.crt",
        "profiling": "false",
        "proxy-client-cert-file": f"{PKI}/front-proxy.crt",
        "proxy-client-key-file": f"{PKI}/front-proxy.key",
        "requestheader-allowed-names": "system:auth-proxy",
        "requestheader-client-ca-file": f"{PKI}/request-header-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(layout.API_PORT),
        "service-account-key-file": f"{PKI}/service-account.key",
        "service-account-signing-key-file": f"{PKI}/service-account.key",
        "service-cluster-ip-range": service_cidr,
        "tls-cert-file": f"{PKI}/api-serving.crt",
        "tls-private-key-file": f"{PKI}/api-serving.key",
    }
    if spec.replicas > 1:
        own["shutdown-delay-duration"] = "5s"  # serve on until the host's proxies know
    return parts.container(
        "api",
        image,
        spec.resources.api,
        command=["kube-apiserver"],
        args=parts.flags(own, parts.api_flags(spec)),
        env=parts.environment(spec.resources.api),
        ports=[{"name": "https", "containerPort": layout.API_PORT}],
        volumeMounts=[parts.mount("pki-api", PKI), *parts.shared_mounts()],
        **parts.api_probes(),
    )


def _controllers(spec: Spec, image: str) -> Obj:
    kubeconfig = f"{parts.CONFIG}/controller-manager.yaml"
    own = {
        "authentication-kubeconfig": kubeconfig,
        # At a first start the API server has neither the ConfigMap nor the RBAC that this looks for.
        "authentication-tolerate-lookup-failure": "true",
        "authorization-kubeconfig": kubeconfig,
        "kubeconfig": kubeconfig,
        "profiling": "false",
        "root-ca-file": f"{PKI}/server-ca.crt",
        "service-account-private-key-file": f"{PKI}/service-account.key",
        "use-service-account-credentials": "true",
    }
    # No readiness probe: the Service must not lose its endpoint because a controller lags.
    return parts.container(
        "controller-manager",
        image,
        spec.resources.controller_manager,
        command=["kube-controller-manager"],
        args=parts.flags(own, parts.controller_flags(spec)),
        env=parts.environment(spec.resources.controller_manager),
        volumeMounts=[parts.mount(_CONTROLLER, PKI), parts.mount("config", parts.CONFIG)],
        livenessProbe={
            "httpGet": {"scheme": "HTTPS", "port": 10257, "path": "/healthz"},
            "initialDelaySeconds": 20,
            "periodSeconds": 10,
            "timeoutSeconds": 15,
            "failureThreshold": 8,
        },
    )
