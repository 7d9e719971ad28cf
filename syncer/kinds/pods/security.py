"""The Pod Security Standards, checked on the tenant pod before the host would.

The host's namespace carries the level as well, but its refusal could name host fields only and comes after a
request. The checks are those of k8s.io/pod-security-admission/policy at v1.36, in its order.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kube.objects import Obj, annotations_of
from syncer.core.policy import PodSecurity
from syncer.core.refusal import Problem

ALLOW = "spec.podSecurity"

_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
_SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ]
)
_SE_LINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"))
_PROFILES = frozenset(("RuntimeDefault", "Localhost"))
_RESTRICTED_VOLUMES = frozenset(
    [
        "name",
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_APP_ARMOR_VALUE = re.compile("$|runtime/default$|localhost/")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")

_Finding = tuple[str, str]
_NONE: Mapping[str, Any] = {}


def problems(pod: Obj, level: PodSecurity) -> Iterator[Problem]:
    """What the level forbids of a pod, its containers and init containers."""
    if level == "privileged":
        return
    spec = pod["spec"]
    yield from _worded(_pod(pod, level), level)
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield from container_problems(container, f"spec.{field}[{index}]", spec, level)


def container_problems(container: Obj, path: str, spec: Obj, level: PodSecurity) -> Iterator[Problem]:
    """What the level forbids of a container at `path` of a pod with this spec."""
    if level == "privileged":
        return
    context = container.get("securityContext") or _NONE
    yield from _worded(_ports_and_handlers(container, path), level)
    if context:
        yield from _worded(_context(context, f"{path}.securityContext"), level)
        yield from _worded(_container_context(context, f"{path}.securityContext", spec, level), level)
    if level == "restricted":
        yield from _worded(_restricted(context, f"{path}.securityContext", spec), level)


def _worded(findings: Iterator[_Finding], level: PodSecurity) -> Iterator[Problem]:
    for field, rule in findings:
        yield Problem(field, f"{rule} at Pod Security level {level}", ALLOW)


def _pod(pod: Obj, level: PodSecurity) -> Iterator[_Finding]:
    spec = pod["spec"]
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"spec.{field}", "must not be true"
    for key, value in annotations_of(pod).items():
        if key.startswith(_APP_ARMOR) and not _APP_ARMOR_VALUE.match(value):
            yield f"metadata.annotations[{key}]", "must be runtime/default or localhost/*"
    for index, volume in enumerate(spec.get("volumes") or ()):
        for kind in volume:
            if kind == "hostPath" or (level == "restricted" and kind not in _RESTRICTED_VOLUMES):
                yield f"spec.volumes[{index}].{kind}", f"volumes of type {kind} are forbidden"
    if context := spec.get("securityContext"):
        yield from _context(context, "spec.securityContext")
        yield from _pod_context(context, spec, level)


def _pod_context(context: Mapping[str, Any], spec: Obj, level: PodSecurity) -> Iterator[_Finding]:
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        if sysctl["name"] not in _SYSCTLS:
            yield f"spec.securityContext.sysctls[{index}]", f"{sysctl['name']} is forbidden"
    if level == "restricted" and not _is_relaxed(spec):
        if context.get("runAsNonRoot") is False:
            yield "spec.securityContext.runAsNonRoot", "must not be false"
        if context.get("runAsUser") == 0:
            yield "spec.securityContext.runAsUser", "must not be 0"


def _context(context: Mapping[str, Any], path: str) -> Iterator[_Finding]:
    """What pods and containers have in common, at level baseline."""
    for field in ("appArmorProfile", "seccompProfile"):
        profile = context.get(field)
        if profile and profile.get("type") not in _PROFILES:
            yield f"{path}.{field}.type", "must be RuntimeDefault or Localhost"
    if options := context.get("seLinuxOptions"):
        if options.get("type", "") not in _SE_LINUX_TYPES:
            yield f"{path}.seLinuxOptions.type", f"{options['type']} is forbidden"
        for field in ("user", "role"):
            if options.get(field):
                yield f"{path}.seLinuxOptions.{field}", "must not be set"
    if (context.get("windowsOptions") or _NONE).get("hostProcess"):
        yield f"{path}.windowsOptions.hostProcess", "must not be true"


def _container_context(
    context: Mapping[str, Any], path: str, spec: Obj, level: PodSecurity
) -> Iterator[_Finding]:
    if context.get("privileged"):
        yield f"{path}.privileged", "must not be true"
    if context.get("procMount", "Default") != "Default" and (level == "restricted" or not _is_relaxed(spec)):
        yield f"{path}.procMount", "must be Default"
    allowed = _CAPABILITIES if level == "baseline" or _is_windows(spec) else {"NET_BIND_SERVICE"}
    for name in (context.get("capabilities") or _NONE).get("add") or ():
        if name not in allowed:
            yield f"{path}.capabilities.add", f"{name} must not be added"


def _ports_and_handlers(container: Obj, path: str) -> Iterator[_Finding]:
    for index, port in enumerate(container.get("ports") or ()):
        if port.get("hostPort"):
            yield f"{path}.ports[{index}].hostPort", "must not be set"
    for field in _PROBES:
        if probe := container.get(field):
            yield from _hosts(probe, f"{path}.{field}")
    for field, handler in (container.get("lifecycle") or _NONE).items():
        if field != "stopSignal":
            yield from _hosts(handler, f"{path}.lifecycle.{field}")


def _hosts(handler: Obj, path: str) -> Iterator[_Finding]:
    for kind in ("httpGet", "tcpSocket"):
        if (handler.get(kind) or _NONE).get("host"):
            yield f"{path}.{kind}.host", "must not be set"


def _restricted(context: Mapping[str, Any], path: str, spec: Obj) -> Iterator[_Finding]:
    """What a container has to set, unless the pod sets it for all."""
    pod: Mapping[str, Any] = spec.get("securityContext") or _NONE
    if not _is_windows(spec):
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{path}.allowPrivilegeEscalation", "must be false"
        if "ALL" not in ((context.get("capabilities") or _NONE).get("drop") or ()):
            yield f"{path}.capabilities.drop", "must include ALL"
        if not context.get("seccompProfile") and not pod.get("seccompProfile"):
            yield f"{path}.seccompProfile.type", "must be RuntimeDefault or Localhost, here or for the pod"
    if _is_relaxed(spec):
        return
    if context.get("runAsNonRoot") is False:
        yield f"{path}.runAsNonRoot", "must not be false"
    elif not context.get("runAsNonRoot") and not pod.get("runAsNonRoot"):
        yield f"{path}.runAsNonRoot", "must be true, here or for the pod"
    if context.get("runAsUser") == 0:
        yield f"{path}.runAsUser", "must not be 0"


def _is_relaxed(spec: Obj) -> bool:
    """A pod in a user namespace of its own may be root in it (KEP-127)."""
    return spec.get("hostUsers") is False


def _is_windows(spec: Obj) -> bool:
    return (spec.get("os") or _NONE).get("name") == "windows"
