"""What a tenant with all rights in their cluster can do to make its API server open a connection.

Each way takes addresses and ports, and returns for each what the API server says of its attempt.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..conftest import eventually
from ..objects import pod
from ..workloads.conftest import Place
from .reaching import Target

Said = Mapping[Target, str]
Way = Callable[[Place, Sequence[Target]], Said]

# Of a connection that never came about; `not allowed` is said of addresses that no API server proxies to.
UNREACHED = (
    *("connection refused", "i/o timeout", "deadline exceeded", "no route to host", "not allowed"),
    "Client.Timeout exceeded",
)
# Of a connection to a server that speaks no TLS.
REACHED = ("HTTP response to HTTPS client", "does not look like a TLS handshake")


def name_of(target: Target) -> str:
    return f"to-{target.address.replace('.', '-')}-{target.port}"


def by_service(place: Place, targets: Sequence[Target]) -> Said:
    """Services without selector, whose Endpoints are the targets. The API server asks of Endpoints that they
    name a pod with that address, so the tenant has pods that say so."""
    _pretend(place, targets)
    objects: list[dict[str, Any]] = []
    for target in targets:
        meta = {"name": name_of(target)}
        port = {"name": "it", "port": target.port}
        claimed = {"kind": "Pod", "namespace": place.namespace, "name": name_of(target)}
        subset = {"addresses": [{"ip": target.address, "targetRef": claimed}], "ports": [port]}
        objects += [
            {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [port]}},
            {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [subset]},
        ]
    place.apply(*objects)
    return _raw(place, targets, lambda one: f"services/https:{name_of(one)}:it")


def by_pod(place: Place, targets: Sequence[Target]) -> Said:
    """Pods that never run, and say in their status that they are at the target."""
    _pretend(place, targets)
    return _raw(place, targets, lambda one: f"pods/https:{name_of(one)}:{one.port}")


def by_node(place: Place, targets: Sequence[Target]) -> Said:
    """Nodes of the tenant's own, with kubelets at the targets."""
    nodes = []
    for one in targets:
        status = {
            "addresses": [{"type": "InternalIP", "address": one.address}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": one.port}},
        }
        nodes.append(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name_of(one)}, "status": status}
        )
    place.apply(*nodes)
    return _raw(place, targets, lambda one: f"nodes/https:{name_of(one)}:{one.port}", scope="")


def by_webhook(place: Place, targets: Sequence[Target]) -> Said:
    """Webhooks at URLs, each for the ConfigMap that has its name."""
    hooks = [
        {
            "name": f"{name_of(one)}.example.org",
            "clientConfig": {"url": f"https://{one.address}:{one.port}/"},
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "timeoutSeconds": 3,
            "objectSelector": {"matchLabels": {"for": name_of(one)}},
            "rules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["configmaps"],
                }
            ],
        }
        for one in targets
    ]
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": place.namespace},
        "webhooks": hooks,
    }
    place.apply(configuration)

    def asked(one: Target) -> str:
        labels = f'{{"metadata": {{"name": "{name_of(one)}", "labels": {{"for": "{name_of(one)}"}}}}'
        text = f'{labels}, "apiVersion": "v1", "kind": "ConfigMap"}}'

        def answer() -> str:
            """Empty until the API server knows of the webhook."""
            return place.kubectl("create", "--dry-run=server", "-f", "-", stdin=text, check=False).stderr

        said: str = eventually(f"the webhook at {one}", answer)
        return said

    try:
        return _each(targets, asked)
    finally:
        place.kubectl("delete", "validatingwebhookconfiguration", place.namespace)


def by_aggregation(place: Place, targets: Sequence[Target]) -> Said:
    """APIs that are served, it is said, by Services with an external name."""
    objects: list[dict[str, Any]] = []
    for one in targets:
        service = {"name": f"named-{name_of(one)}", "namespace": place.namespace, "port": one.port}
        group = f"{name_of(one)}.example.org"
        objects += [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": service["name"]},
                "spec": {"type": "ExternalName", "externalName": one.address},
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"v1.{group}", "labels": {"for": place.namespace}},
                "spec": {
                    "group": group,
                    "version": "v1",
                    "service": service,
                    "insecureSkipTLSVerify": True,
                    "groupPriorityMinimum": 1000,
                    "versionPriority": 15,
                },
            },
        ]
    place.apply(*objects)

    def answer(one: Target) -> str:
        """Empty until it was tried."""
        found = place.get("apiservice", f"v1.{name_of(one)}.example.org").get("status", {})
        tried = [each["message"] for each in found.get("conditions", ()) if "Get " in each.get("message", "")]
        return "".join(tried)

    try:
        return {
            one: eventually(f"an attempt at {one}", lambda one=one: answer(one), seconds=90)
            for one in targets
        }
    finally:
        place.kubectl("delete", "apiservices", "-l", f"for={place.namespace}")


WAYS: tuple[Way, ...] = (by_service, by_pod, by_node, by_webhook, by_aggregation)


def is_unreached(said: str) -> bool:
    return any(words in said for words in UNREACHED)


def is_reached(said: str) -> bool:
    return any(words in said for words in REACHED)


def _pretend(place: Place, targets: Sequence[Target]) -> None:
    place.apply(*(pod(name_of(one), schedulingGates=[{"name": "never.example/open"}]) for one in targets))
    for one in targets:
        patch = f'{{"status": {{"podIP": "{one.address}", "podIPs": [{{"ip": "{one.address}"}}]}}}}'
        place.kubectl("patch", "pod", name_of(one), "--subresource=status", "-p", patch)


def _raw(
    place: Place, targets: Sequence[Target], path: Callable[[Target], str], scope: str | None = None
) -> Said:
    """What a request through the API server's proxy is answered."""
    root = f"namespaces/{place.namespace}/" if scope is None else scope

    def answer(one: Target) -> str:
        """Empty while the Endpoints have not come to the API server's mind."""
        found = place.kubectl("get", "--raw", f"/api/v1/{root}{path(one)}/proxy/", check=False)
        return "" if "no endpoints available" in found.stderr else f"{found.stdout}{found.stderr}"

    return _each(targets, lambda one: eventually(f"an attempt at {one}", lambda: answer(one)))


def _each(targets: Sequence[Target], asked: Callable[[Target], str]) -> Said:
    with ThreadPoolExecutor(max_workers=4) as pool:
        return dict(zip(targets, pool.map(asked, targets), strict=True))
