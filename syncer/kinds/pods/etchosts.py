"""/etc/hosts of pods with a subdomain: `hostname -f` has to name the tenant's namespace.

The kubelet writes that file, and the full name in it is made of the host's namespace and domain; nothing in a
pod's spec says otherwise. So a container of ours, which ends at once, writes the file before any of the
tenant's starts. Where the kubelet would write no name of the namespace, nothing is done.
"""

from typing import Any

from kube.objects import Obj
from syncer.core.scope import Scope
from syncer.kinds.pods.dns import hostname

VOLUME = "vcp-hosts"
_FILE = "/etc/hosts"
_FOLDER = "/vcp-hosts"
_MAX_HOSTNAME = 64  # what the kernel takes; longer ones the API server refuses in hostnameOverride


def full_name(tenant: Obj, scope: Scope) -> str:
    """The pod's name in the DNS of its cluster; empty if it has none (GeneratePodHostNameAndDomain)."""
    spec = tenant["spec"]
    if not spec.get("subdomain") or spec.get("hostNetwork") or spec.get("hostnameOverride"):
        return ""
    name = spec.get("hostname") or hostname(tenant)
    return f"{name}.{spec['subdomain']}.{tenant['metadata']['namespace']}.svc.{scope.cluster_domain}"


def host_names(tenant: Obj, scope: Scope) -> Obj:
    """The fields that name the pod, as far as they differ from the tenant's."""
    spec = tenant["spec"]
    name = full_name(tenant, scope)
    if spec.get("setHostnameAsFQDN") and name and len(name) <= _MAX_HOSTNAME:
        return {"setHostnameAsFQDN": False, "hostnameOverride": name}
    return {}


def write(spec: Obj, tenant: Obj, scope: Scope) -> None:
    """Adds the container, its volume and the mounts to the host pod's `spec`, which is changed in place."""
    name = full_name(tenant, scope)
    if not name or not scope.hosts_image:
        return
    spec["volumes"] = [*spec.get("volumes", ()), {"name": VOLUME, "emptyDir": {}}]
    for field in ("initContainers", "containers"):
        if field in spec:
            spec[field] = [_mounted(container) for container in spec[field]]
    writer = _writer(name, tenant, scope)
    spec["initContainers"] = [writer, *spec.get("initContainers", ())]


def _mounted(container: Obj) -> Obj:
    mounts = container.get("volumeMounts") or ()
    if any(mount["mountPath"] == _FILE for mount in mounts):
        return container
    mount = {"name": VOLUME, "mountPath": _FILE, "subPath": "hosts"}
    return {**container, "volumeMounts": [*mounts, mount]}


def _writer(name: str, tenant: Obj, scope: Scope) -> Obj:
    """It asks for what the first container asks for, so the pod's requests and QoS class stay the same."""
    spec = tenant["spec"]
    aliases = [
        "\t".join((alias["ip"], *alias.get("hostnames", ()))) for alias in spec.get("hostAliases") or ()
    ]
    short = spec.get("hostname") or hostname(tenant)
    container: dict[str, Any] = {
        "name": VOLUME,
        "image": scope.hosts_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "syncer.etchosts", f"{_FOLDER}/hosts", name, short, *aliases],
        "env": [
            {
                "name": "POD_IPS",
                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIPs"}},
            }
        ],
        "volumeMounts": [{"name": VOLUME, "mountPath": _FOLDER}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if resources := spec["containers"][0].get("resources"):
        container["resources"] = resources
    return container
