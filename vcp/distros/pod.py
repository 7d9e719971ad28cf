"""The parts of an API pod that all distros share: flags, probes, mounts, memory tuning, images."""

from collections.abc import Mapping
from typing import Any

import msgspec

from kube.objects import Obj
from kube.quantities import quantity
from vcp import layout
from vcp.spec import Spec
from vcp.spec.model import Resources

CONFIG = "/etc/vcp/config"
PKI = "/etc/vcp/pki"
ENCRYPTION = "/etc/vcp/encryption"
ETCD_VERSION = "3.6.8-0"  # the one that kubeadm of the newest known Kubernetes takes

# The host, or the syncer, plays these parts. Names as in cmd/kube-controller-manager/names; the cloud
# controllers (service-lb, node-route, cloud-node-lifecycle) do not start without a cloud provider.
DISABLED_CONTROLLERS = (
    "node-ipam-controller",
    "node-lifecycle-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-expander-controller",
    "ttl-controller",
)
_SIGNING = "certificatesigningrequest-signing-controller"

# kubelets probe without credentials. Anonymous requests are let in for these paths alone; everything else,
# /version included, answers 401. k3s leaves its own --anonymous-auth=false out when it sees this file.
_AUTHENTICATION = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AuthenticationConfiguration",
    "anonymous": {
        "enabled": True,
        "conditions": [{"path": "/livez"}, {"path": "/readyz"}, {"path": "/healthz"}],
    },
}

# RBAC lets them in as well, but an API server writes its first roles a second after it could answer.
_PROBES = {
    "apiVersion": "abac.authorization.kubernetes.io/v1beta1",
    "kind": "Policy",
    "spec": {"group": "system:unauthenticated", "readonly": True, "nonResourcePath": "/readyz"},
}
# The API server shows its certificate for the syncer to the one webhook that stands in `webhook.yaml`.
_ADMISSION = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AdmissionConfiguration",
    "plugins": [
        {
            "name": "MutatingAdmissionWebhook",
            "configuration": {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "WebhookAdmissionConfiguration",
                "kubeConfigFile": f"{CONFIG}/webhook.yaml",
            },
        }
    ],
}
SYNCER_KEYS = ("kubelet-client.crt", "kubelet-client.key")
"""By these the API server shows the syncer who calls; their authority signs nothing else."""
_CERTIFICATE, _KEY = (f"{PKI}/{name}" for name in SYNCER_KEYS)
SIGNERS = ("kube-apiserver-client", "kubelet-client", "kubelet-serving", "legacy-unknown")
"""What a controller manager may sign for, as its flags name it."""
_WRITING_HOOKS = ("rbac/bootstrap-roles", "scheduling/bootstrap-system-priority-classes")


class ApiPod(msgspec.Struct, frozen=True):
    """A distro's share of the Deployment `api`, and the files of its ConfigMap `api` beside `files`."""

    containers: list[Obj]
    volumes: list[Obj]
    init_containers: list[Obj] = []
    files: Mapping[str, Obj] = {}


def flags(*groups: Mapping[str, str]) -> list[str]:
    """`--key=value` in the order of the keys; a later group wins."""
    merged = {key: value for group in groups for key, value in group.items()}
    return [f"--{key}={merged[key]}" for key in sorted(merged)]


def files(spec: Spec) -> dict[str, Obj]:
    """What is in the ConfigMap `api` of every distro."""
    return {
        "authentication.yaml": _AUTHENTICATION,
        "probes.json": _PROBES,
        "admission.yaml": _ADMISSION,
        "webhook.yaml": {
            "apiVersion": "v1",
            "kind": "Config",
            "users": [
                {
                    "name": f"syncer.{spec.namespace}.svc:{layout.WEBHOOK_PORT}",
                    "user": {"client-certificate": _CERTIFICATE, "client-key": _KEY},
                }
            ],
        },
    }


def signing_keys(spec: Spec) -> tuple[str, ...]:
    """What a controller manager signs requests with; nothing unless the spec wants that."""
    return ("csr-ca.crt", "csr-ca.key") if spec.certificates.signing else ()


def api_flags(spec: Spec) -> dict[str, str]:
    """kube-apiserver flags that hold for every distro."""
    shared = {
        "admission-control-config-file": f"{CONFIG}/admission.yaml",
        "authentication-config": f"{CONFIG}/authentication.yaml",
        "authorization-mode": "Node,RBAC,ABAC",
        "authorization-policy-file": f"{CONFIG}/probes.json",
        "client-ca-file": f"{PKI}/client-cas.crt",
        "encryption-provider-config": f"{ENCRYPTION}/encryption.yaml",
        "kubelet-client-certificate": _CERTIFICATE,
        "kubelet-client-key": _KEY,
        "endpoint-reconciler-type": "none",  # the syncer points `default/kubernetes` at the host Service
        # A tenant Node's InternalDNS is the syncer's kubelet endpoint. Its Hostname, which the API server
        # tries first by default, is a host node's name and must never be dialled.
        "kubelet-preferred-address-types": "InternalDNS,InternalIP",
        "service-account-issuer": layout.issuer(spec),
    }
    if spec.replicas > 1:
        # Clients keep one connection: now and then it is moved, so that a restarted pod gets its share.
        shared |= {"goaway-chance": "0.001"}
    return shared | spec.extra_args.api_server


def controller_flags(spec: Spec) -> dict[str, str]:
    """kube-controller-manager flags that hold for every distro."""
    disabled = [*DISABLED_CONTROLLERS, *(() if spec.certificates.signing else (_SIGNING,))]
    shared = {
        "controllers": ",".join(["*", *(f"-{name}" for name in sorted(disabled))]),
        # The defaults (20, 30) make a new namespace's first service account wait for seconds.
        "kube-api-burst": "200",
        "kube-api-qps": "100",
        # Always on: it also makes a controller manager wait for its API server instead of exiting after 10 s.
        # It retries twice as often as by default, for the first namespaces wait for it.
        "leader-elect": "true",
        "leader-elect-retry-period": "1s",
    }
    for signer in SIGNERS if spec.certificates.signing else ():
        shared[f"cluster-signing-{signer}-cert-file"] = f"{PKI}/csr-ca.crt"
        shared[f"cluster-signing-{signer}-key-file"] = f"{PKI}/csr-ca.key"
    return shared | spec.extra_args.controller_manager


def api_probes() -> Obj:
    """The same for every distro, on the API port. Why so: docs/decisions/0010-waiting-for-etcd.md."""

    def get(path: str, **timing: int) -> Obj:
        return {"httpGet": {"scheme": "HTTPS", "port": layout.API_PORT, "path": path}, **timing}

    # What these write a second after the first start is there at every later one; `create` waits for it.
    ready = "/readyz?" + "&".join(f"exclude=poststarthook/{hook}" for hook in _WRITING_HOOKS)
    return {
        # Readiness is asked for at once after start-up succeeded; asking for less here costs a period.
        "startupProbe": get(ready, periodSeconds=1, timeoutSeconds=5, failureThreshold=180),
        # An API server that has lost etcd is not helped by a restart.
        "livenessProbe": get("/livez?exclude=etcd", periodSeconds=10, timeoutSeconds=15, failureThreshold=8),
        "readinessProbe": get(ready, periodSeconds=2, timeoutSeconds=15, failureThreshold=3),
    }


def environment(resources: Resources) -> list[Obj]:
    """Tuning of Go's collector: idle tenants are many, and small heaps cost little processor time."""
    tuned = {"GOGC": "75"}
    if "memory" in resources.limits:
        # Nine tenths of the limit: the collector works harder before the kernel kills.
        tuned["GOMEMLIMIT"] = str(int(quantity(resources.limits["memory"]) * 9 / 10))
    return [{"name": name, "value": value} for name, value in tuned.items()]


def container(name: str, image: str, resources: Resources, **fields: Any) -> Obj:
    """A container under the rules that hold for all: no root, no writes to its image, no capabilities."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "resources": _resources(resources),
        **fields,
    }


def _resources(resources: Resources) -> Obj:
    wanted = {"requests": resources.requests, "limits": resources.limits}
    return {kind: dict(quantities) for kind, quantities in wanted.items() if quantities}


def image(spec: Spec, own: str, registry: str, name: str, tag: str) -> str:
    """The image named in the spec, or the default one, from the registry that the spec sets."""
    return own or f"{spec.image_registry or registry}/{name}:{tag}"


def etcd_image(spec: Spec) -> str:
    """etcd's image, which holds `etcdctl` as well."""
    return image(spec, spec.images.etcd, "registry.k8s.io", "etcd", ETCD_VERSION)


def mount(name: str, path: str, *, read_only: bool = True) -> Obj:
    return {"name": name, "mountPath": path, **({"readOnly": True} if read_only else {})}


def secret(name: str, files: Mapping[str, str] | None = None, mode: int = 0o440) -> Obj:
    """A volume of one Secret; `files` renames keys to paths. The group may read, being the pod's fsGroup."""
    source: Obj = {"secretName": name, "defaultMode": mode}
    if files is not None:
        source["items"] = [{"key": key, "path": path} for key, path in files.items()]
    return {"name": name, "secret": source}


def shared_volumes() -> list[Obj]:
    """The ConfigMap `api` and the encryption configuration, which every distro's API server reads."""
    return [{"name": "config", "configMap": {"name": "api"}}, secret(layout.ENCRYPTION)]


def shared_mounts() -> list[Obj]:
    return [mount("config", CONFIG), mount(layout.ENCRYPTION, ENCRYPTION)]
