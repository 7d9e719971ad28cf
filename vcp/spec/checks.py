"""What a well-typed spec can still get wrong: names, units, ranges, and combinations that cannot work.

Each check yields `(path, what is wrong and what to do)`.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping

from kube.quantities import quantity
from syncer.core import marks
from syncer.core.policy import Nodes
from vcp.spec import reserved
from vcp.spec.durations import duration
from vcp.spec.model import KNOWN_VERSION, Spec

Problem = tuple[str, str]

OLDEST_MINOR = (
    34  # the first with AuthenticationConfiguration v1, by which probes stay anonymous and nothing else
)
_KNOWN_MINOR = int(KNOWN_VERSION.split(".")[1])
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_VERSION = re.compile(r"v(1)\.(\d+)\.(\d+)(-k3s\d+)?")
_NAME_LENGTH = 63 - len("vcp-") - len("-work")  # a namespace is a DNS label
_PART = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_LABEL_KEY = rf"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?{_PART}"
_REQUIREMENT = re.compile(
    rf"\s*(!?{_LABEL_KEY}|{_LABEL_KEY}\s*(=|==|!=)\s*({_PART})?|{_LABEL_KEY}\s+(in|notin)\s+\([^()]+\))\s*"
)
_HOST_NAMESPACES = {"default", "kube-system", "kube-public", "kube-node-lease"}


def problems(spec: Spec) -> Iterator[Problem]:
    """Everything that is wrong, so that one run of the command shows it all."""
    yield from _names(spec)
    yield from _version(spec)
    yield from _quantities(spec)
    yield from _storage(spec)
    yield from _networks(spec)
    yield from _certificates(spec)
    yield from _life(spec)
    yield from _extra_args(spec)
    yield from _sync(spec)


def _names(spec: Spec) -> Iterator[Problem]:
    if not _LABEL.fullmatch(spec.name) or not spec.name[:1].isalpha():
        yield "name", f"{spec.name!r} is not a DNS label: use a-z, 0-9 and '-', beginning with a letter"
    elif len(spec.name) > _NAME_LENGTH:
        yield (
            "name",
            f"{len(spec.name)} characters; at most {_NAME_LENGTH} leave room for namespaces vcp-NAME-work",
        )
    elif spec.name.endswith("-work") and spec.namespace == f"vcp-{spec.name}":
        # It would be the workload namespace of the tenant whose name lacks the ending.
        yield "name", "may not end in '-work', which marks workload namespaces; set `namespace` or rename it"
    for path, namespace in [("namespace", spec.namespace), ("workloadNamespace", spec.workload_namespace)]:
        if namespace in _HOST_NAMESPACES:
            yield path, f"{namespace!r} belongs to the host cluster; choose one of its own"
        elif namespace not in (f"vcp-{spec.name}", f"vcp-{spec.name}-work") and (
            not _LABEL.fullmatch(namespace) or len(namespace) > 63
        ):
            yield path, f"{namespace!r} is not a DNS label of at most 63 characters"
    for path, domain in [("clusterDomain", spec.cluster_domain), ("dns.hostDomain", spec.dns.host_domain)]:
        empty = path == "dns.hostDomain" and not domain
        if not empty and not all(_LABEL.fullmatch(part) for part in domain.split(".")):
            yield path, f"{domain!r} is not a DNS domain"


def _version(spec: Spec) -> Iterator[Problem]:
    match = _VERSION.fullmatch(spec.version)
    if match is None or (match[4] and spec.distro != "k3s"):
        example = f"{KNOWN_VERSION}-k3s1" if spec.distro == "k3s" else KNOWN_VERSION
        yield "version", f"{spec.version!r} is not a version of {spec.distro}; write for example {example}"
        return
    if int(match[2]) < OLDEST_MINOR:
        yield "version", f"{spec.version} is too old; the oldest supported is v1.{OLDEST_MINOR}.0"
    if int(match[2]) > _KNOWN_MINOR:
        yield "version", f"{spec.version} is newer than this vcp knows ({KNOWN_VERSION}); upgrade vcp first"


def _quantities(spec: Spec) -> Iterator[Problem]:
    maps: dict[str, Mapping[str, str]] = {
        "quota": {key: text for key, text in spec.quota.items() if text},
        "limits.default": spec.limits.default,
        "limits.defaultRequest": spec.limits.default_request,
        "limits.max": spec.limits.max,
    }
    components = spec.resources
    for name, resources in [
        ("api", components.api),
        ("controllerManager", components.controller_manager),
        ("etcd", components.etcd),
        ("syncer", components.syncer),
        ("dns", components.dns),
    ]:
        maps[f"resources.{name}.requests"] = resources.requests
        maps[f"resources.{name}.limits"] = resources.limits
    for path, quantities in maps.items():
        for key, text in quantities.items():
            try:
                if quantity(text) < 0:
                    yield f"{path}.{key}", f"{text} is negative"
            except ValueError as error:
                yield f"{path}.{key}", str(error)


def _storage(spec: Spec) -> Iterator[Problem]:
    try:
        if quantity(spec.storage.size) < quantity("512Mi"):
            yield "storage.size", f"{spec.storage.size} is too small for etcd; at least 512Mi"
    except ValueError as error:
        yield "storage.size", str(error)
    if spec.storage.ephemeral and spec.etcd.replicas > 1:
        # etcd refuses a known member that comes back with an empty disk ("already been bootstrapped").
        yield "storage.ephemeral", "one member only: a lost member could not rejoin; set `etcd.replicas: 1`"
    if spec.storage.ephemeral and spec.storage.class_:
        yield "storage.class", "has no meaning with `storage.ephemeral`; remove one of the two"


def _networks(spec: Spec) -> Iterator[Problem]:
    if spec.service_cidr:
        for cidr in spec.service_cidr.split(","):
            yield from _cidr("serviceCidr", cidr)
    for path, cidrs in [("network.allow", spec.network.allow), ("network.deny", spec.network.deny)]:
        for position, cidr in enumerate(cidrs):
            yield from _cidr(f"{path}[{position}]", cidr)
    for position, san in enumerate(spec.expose.tls_sans):
        if not _is_address(san) and not all(_LABEL.fullmatch(part) for part in san.split(".")):
            yield f"expose.tlsSans[{position}]", f"{san!r} is neither an address nor a lower-case DNS name"
    if spec.image_registry and not re.fullmatch(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*", spec.image_registry):
        yield (
            "imageRegistry",
            f"{spec.image_registry!r} is not a host[:port][/path]; write it without https://",
        )


def _cidr(path: str, text: str) -> Iterator[Problem]:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        yield path, f"{error}; write for example 10.43.0.0/16"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _certificates(spec: Spec) -> Iterator[Problem]:
    lives = {}
    for path, text in [
        ("certificates.leaf", spec.certificates.leaf),
        ("certificates.ca", spec.certificates.ca),
    ]:
        try:
            lives[path] = duration(text)
            if not duration("1h") <= lives[path] <= duration("30y"):
                yield path, f"{text} is out of range: from 1h to 30y"
        except ValueError as error:
            yield path, str(error)
    if len(lives) == 2 and lives["certificates.leaf"] > lives["certificates.ca"]:
        yield "certificates.leaf", "outlives the authority that signs it; make `certificates.ca` longer"


def _life(spec: Spec) -> Iterator[Problem]:
    try:
        if spec.ttl and not duration("1s") <= duration(spec.ttl) <= duration("10y"):
            yield "ttl", f"{spec.ttl} is out of range: from 1s to 10y; leave it empty for a life without end"
    except ValueError as error:
        yield "ttl", str(error)


def _extra_args(spec: Spec) -> Iterator[Problem]:
    for path, flags, taken in [
        ("extraArgs.apiServer", spec.extra_args.api_server, reserved.API_SERVER),
        ("extraArgs.controllerManager", spec.extra_args.controller_manager, reserved.CONTROLLER_MANAGER),
    ]:
        for flag in flags:
            if flag in taken:
                yield f"{path}.{flag}", "is set by vcp and cannot be changed; remove it"
            elif not re.fullmatch(r"[a-z][a-z0-9-]*", flag):
                yield f"{path}.{flag}", "is not a flag; write it without leading dashes, for example `v: '2'`"


def _sync(spec: Spec) -> Iterator[Problem]:
    pods = spec.sync.pods
    for position, volume in enumerate(pods.volumes):
        if wrong := _volume(volume, spec.pod_security):
            yield f"sync.pods.volumes[{position}]", wrong
    for path, names in [
        ("sync.pods.priorityClasses", pods.priority_classes),
        ("sync.pods.runtimeClasses", pods.runtime_classes),
    ]:
        for name, host in names.items():
            if not all(_LABEL.fullmatch(part) for part in host.split(".")):
                yield f"{path}.{name}", f"{host!r} is not a name of a class of the host"
    for position, toleration in enumerate(pods.tolerations):
        yield from _toleration(f"sync.pods.tolerations[{position}]", toleration)
    for position, toleration in enumerate(pods.allowed_tolerations):
        yield from _toleration(f"sync.pods.allowedTolerations[{position}]", toleration)
    yield from _nodes(spec.sync.nodes)
    yield from _annotations("sync.pods", pods.annotations)
    yield from _annotations("sync.services", spec.sync.services.annotations)


def _annotations(path: str, annotations: Iterable[str]) -> Iterator[Problem]:
    for position, annotation in enumerate(annotations):
        if marks.is_reserved(annotation):
            yield f"{path}.annotations[{position}]", f"{annotation!r} is reserved for vcp; remove it"


def _volume(name: str, pod_security: str) -> str:
    """What is wrong with a type of volume that is to be allowed; empty if nothing is."""
    if name in reserved.PLAIN_VOLUMES:
        return f"{name!r} is always allowed; remove it"
    if name not in reserved.HOST_VOLUMES:
        return f"{name!r} is not a type of volume; known are {', '.join(sorted(reserved.HOST_VOLUMES))}"
    if name == "hostPath" and pod_security != "privileged":
        return "the host refuses hostPath below `podSecurity: privileged`; set that, or remove it"
    return ""


def _nodes(nodes: Nodes) -> Iterator[Problem]:
    requirements = re.split(r",(?![^()]*\))", nodes.selector) if nodes.selector else []
    if requirements and nodes.mode != "real":
        yield "sync.nodes.selector", "chooses among real nodes; set `sync.nodes.mode: real`, or remove it"
    elif not all(_REQUIREMENT.fullmatch(text) for text in requirements):
        yield "sync.nodes.selector", f"{nodes.selector!r} is not a label selector; write for example pool=ci"


def _toleration(path: str, toleration: Mapping[str, object]) -> Iterator[Problem]:
    known = {"key", "operator", "value", "effect", "tolerationSeconds"}
    for key in toleration.keys() - known:
        yield f"{path}.{key}", f"unknown key; known are {', '.join(sorted(known))}"
    if not toleration.get("key") and toleration.get("operator") != "Exists":
        yield path, "tolerates nothing: without a `key` it needs `operator: Exists`"
