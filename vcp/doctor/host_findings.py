"""What the facts about a host mean for tenants on it. Pure."""

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from vcp.doctor.finding import Finding
from vcp.spec import Spec
from vcp.spec.model import KNOWN_VERSION

OLDEST = 34  # the minor that README promises to work on
_SLOW, _TOO_SLOW = 0.1, 1.0  # seconds for one request, the median of some
_SLOW_NAMES = 1.0  # seconds for one name


class Seen(msgspec.Struct, frozen=True):
    """What the probes saw; None where nobody looked. `failed` says why the pods did not run."""

    failed: str = ""
    pod_security: bool | None = None
    service: bool | None = None  # a Service led to its pod
    pod: bool | None = None  # a pod reached another one
    dns: tuple[str, ...] = ()  # the addresses of the Service, by its name
    dns_seconds: float = 0.0
    ingress: bool | None = None  # whether the policies for what comes in, and what goes out, were obeyed
    egress: bool | None = None


def version(text: str) -> Finding:
    """`text` is the gitVersion of the host's API server."""
    found = re.match(r"v?1\.(\d+)", text)
    if not found:
        action = "look whether --context names a Kubernetes API"
        return Finding(
            "version", "broken", f"the host's version {text!r} is unreadable", "it is not Kubernetes", action
        )
    if int(found[1]) < OLDEST:
        meaning = "pods and Services of tenants use fields that this host does not know"
        return Finding(
            "version", "broken", f"the host runs {text}", meaning, f"upgrade it to 1.{OLDEST} or newer"
        )
    if int(found[1]) > int(KNOWN_VERSION.split(".")[1]):
        meaning = f"this release of vcp was tested with hosts up to {KNOWN_VERSION}"
        action = "look for a newer release of vcp; report what does not work"
        return Finding("version", "warning", f"the host runs {text}", meaning, action)
    return Finding("version", "ok", f"the host runs {text}")


def latency(seconds: Sequence[float]) -> Finding:
    """Of some small requests, one after the other."""
    middle, most = statistics.median(seconds), max(seconds)
    found = f"the host's API answers in {middle * 1000:.0f} ms, at most {most * 1000:.0f} ms"
    if middle < _SLOW:
        return Finding("latency", "ok", found)
    meaning = (
        "a create sends some 200 requests from here, and a pod of a tenant waits for several of the syncer's"
    )
    action = "run vcp nearer to the host, or find out what keeps its API server or etcd busy"
    return Finding("latency", "broken" if middle > _TOO_SLOW else "warning", found, meaning, action)


def permissions(lacking: Sequence[str]) -> Finding:
    """`lacking` are lines such as `create secrets in namespace vcp-a`."""
    if not lacking:
        return Finding("permissions", "ok", "you may create and delete tenants")
    return Finding(
        "permissions",
        "broken",
        f"you may not: {'; '.join(lacking)}",
        "`vcp create` refuses before it changes anything",
        "ask an administrator of the host for these rights; `vcp rbac` prints them",
    )


def storage(classes: Mapping[str, bool] | None, spec: Spec) -> Finding:
    """`classes` maps each StorageClass to whether it is a default one; None if they may not be listed."""
    check, wanted = "storage", spec.storage.class_
    if classes is None:
        meaning = "only `vcp create` will show whether etcd gets its volumes"
        action = "ask for permission to list storageclasses, or keep no data: --ephemeral"
        return Finding(check, "warning", "you may not list StorageClasses", meaning, action)
    defaults = sorted(name for name, default in classes.items() if default)
    known = ", ".join(sorted(classes)) or "none"
    meaning = "the volume of a tenant's etcd would wait forever, so `vcp create` refuses"
    if wanted and wanted not in classes:
        action = f"name one of these in `storage.class`: {known}; or keep no data: --ephemeral"
        return Finding(
            check, "broken", f"there is no StorageClass {wanted!r}, which your spec names", meaning, action
        )
    if not wanted and not defaults:
        action = f"mark one as default, or name one in `storage.class` (there: {known}), or pass --ephemeral"
        return Finding(check, "warning", "there is no default StorageClass", meaning, action)
    return Finding(check, "ok", f"tenants get volumes of StorageClass {wanted or ', '.join(defaults)}")


def service_cidr(text: str) -> Finding:
    if text:
        return Finding("service CIDR", "ok", f"ClusterIPs are of {text}")
    return Finding(
        "service CIDR",
        "broken",
        "the host does not tell its service CIDR",
        "a tenant's ClusterIPs are the host's, so `vcp create` refuses without it",
        "pass --service-cidr; `kubectl cluster-info dump` may show it as service-cluster-ip-range",
    )


def metrics(problem: str | None) -> Finding:
    """`problem` is why the metrics API does not answer; empty where there is none, None where it answers."""
    if problem is None:
        return Finding("metrics API", "ok", "the host serves resource metrics")
    return Finding(
        "metrics API",
        "warning",
        f"the metrics API does not answer: {problem}" if problem else "the host has no metrics API",
        "`kubectl top` and autoscaling by CPU have nothing to go by; vcp itself does not use it",
        "install metrics-server on the host if you want these",
    )


def probes(seen: Seen) -> Iterator[Finding]:
    if seen.pod_security is not None:
        yield _pod_security(enforced=seen.pod_security)
    if seen.failed:
        yield Finding(
            "pods",
            "broken",
            seen.failed,
            "the pods of a control plane would not run either; the others of these checks could not be made",
            "look at the reason: mostly the image (`images.syncer`, `imageRegistry`) or no node with room",
        )
        return
    yield _pods(seen)
    yield _dns(seen)
    yield _policies(seen)


def _pod_security(*, enforced: bool) -> Finding:
    check = "Pod Security"
    if enforced:
        return Finding(check, "ok", "the host refuses privileged pods where a namespace forbids them")
    return Finding(
        check,
        "broken",
        "the host admits a privileged pod where the namespace is `restricted`",
        "the second line of defence is missing: the syncer alone keeps a tenant's pods off the nodes",
        "enable the admission plugin PodSecurity on the host's API server",
    )


def _pods(seen: Seen) -> Finding:
    if seen.service and seen.pod:
        return Finding("pods", "ok", "pods start, and reach each other and Services")
    what = "reach each other" if not seen.pod else "reach a Service by its ClusterIP"
    return Finding(
        "pods",
        "broken",
        f"pods start, but do not {what}",
        "the parts of a control plane find each other by Services, so a tenant would never be ready",
        "look at the host's network plugin and kube-proxy, and at policies that hold in all namespaces",
    )


def _dns(seen: Seen) -> Finding:
    meaning = "the parts of a control plane find each other by name, so a tenant would never be ready"
    action = (
        "look at the pods of the host's DNS, mostly `kubectl -n kube-system get pods -l k8s-app=kube-dns`"
    )
    if not seen.dns:
        return Finding("DNS", "broken", "a pod cannot resolve the name of a Service", meaning, action)
    if seen.dns_seconds > _SLOW_NAMES:
        found = f"a pod waited {seen.dns_seconds:.1f} s for the name of a Service"
        return Finding("DNS", "warning", found, "control planes start that much later", action)
    return Finding("DNS", "ok", f"a pod resolves names, in {seen.dns_seconds * 1000:.0f} ms")


def _policies(seen: Seen) -> Finding:
    check = "NetworkPolicies"
    if seen.ingress is None or seen.egress is None:
        return Finding(
            check,
            "warning",
            "not checked: pods do not reach each other at all",
            "nothing is known about the isolation of tenants in the network",
            "run the command again when the network works",
        )
    if seen.ingress and seen.egress:
        return Finding(check, "ok", "the host enforces them, in both directions")
    which = {(True, False): "enforces them for ingress only", (False, True): "enforces them for egress only"}
    return Finding(
        check,
        "warning",
        f"the host accepts them, but {which.get((seen.ingress, seen.egress), 'does not enforce them')}",
        "pods of a tenant may reach those of others, control planes and addresses that `network.deny` names",
        "use a network plugin that enforces them, or give tenants only to people who trust each other",
    )
