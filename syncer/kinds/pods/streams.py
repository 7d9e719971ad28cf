"""What a kubelet is asked about a running pod, in the words of the host's API: logs, exec and the like.

A tenant's API server asks as the kubelet's own API has it (pkg/kubelet/server), the host's API is asked by
subresources of pods. Only parameters that are known go through.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlencode

from kube import apis
from kube.objects import Key, Obj, labels_of, uid_of
from syncer.core import marks

_COMPONENT = "vcp.dev/component"  # on the pods of control planes, and on no synced pod
_LISTS = ("containers", "initContainers", "ephemeralContainers")
_STREAMED = {"input": "stdin", "output": "stdout", "error": "stderr", "tty": "tty"}
_LOGGED = (
    "follow",
    "previous",
    "timestamps",
    "sinceSeconds",
    "sinceTime",
    "tailLines",
    "limitBytes",
    "stream",
)

_NAME = re.compile("[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""A DNS subdomain (RFC 1123), which all names here are: anything else might lead to another path."""

Query = Mapping[str, Sequence[str]]


def _of_log(query: Query) -> dict[str, Sequence[str]]:
    """`stream=All` is the default, and an error to servers without the feature PodLogsQuerySplitStreams."""
    known = {name: query[name] for name in _LOGGED if name in query}
    return {name: values for name, values in known.items() if (name, values) != ("stream", ["All"])}


def _of_attach(query: Query) -> dict[str, Sequence[str]]:
    asked = {name for name in _STREAMED if query.get(name, ["0"])[0] not in ("", "0", "false")}
    return {theirs: ["true"] for name, theirs in _STREAMED.items() if name in asked}


def _of_exec(query: Query) -> dict[str, Sequence[str]]:
    return {"command": query.get("command", []), **_of_attach(query)}


def _of_portforward(query: Query) -> dict[str, Sequence[str]]:
    """WebSockets name the ports here, SPDY in each of its streams."""
    return {"ports": [port for value in query.get("port", []) for port in value.split(",")]}


class _Kind(NamedTuple):
    subresource: str
    methods: tuple[str, ...]
    verbs: tuple[str, ...]
    """What the host's RBAC asks for: `get` for a GET and `create` for a POST; since Kubernetes 1.35, `create`
    also for the GET of a WebSocket."""
    query: Callable[[Query], dict[str, Sequence[str]]]


_GET = ("GET",)
_UPGRADED = ("GET", "POST")
_CONNECT = ("create", "get")
_KINDS = {
    "containerLogs": _Kind("log", _GET, ("get",), _of_log),
    "exec": _Kind("exec", _UPGRADED, _CONNECT, _of_exec),
    "attach": _Kind("attach", _UPGRADED, _CONNECT, _of_attach),
    "portForward": _Kind("portforward", _UPGRADED, _CONNECT, _of_portforward),
}

RIGHTS = {kind.subresource: kind.verbs for kind in _KINDS.values()}
"""Subresource of pods -> verbs that the syncer needs on the host for the kubelet endpoint."""


@dataclass(frozen=True)
class StreamRequest:
    """One request; `uid` and `container` are empty where none is named."""

    subresource: str
    methods: tuple[str, ...]
    pod: Key
    container: str = ""
    uid: str = ""
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def is_upgraded(self) -> bool:
        return self.subresource != "log"

    def target(self, host: Key) -> str:
        """The path and query by which the host's API is asked about its pod."""
        query = {**self.query, **({"container": [self.container]} if self.container else {})}
        path = apis.PODS.path(host.namespace, host.name, self.subresource)
        return f"{path}?{urlencode(query, doseq=True)}" if query else path


def parse(target: str) -> StreamRequest | None:
    """What a request's path and query ask for; None for whatever else a kubelet may serve."""
    path, _, query = target.partition("?")
    root, name, *parts = path.split("/") if path.count("/") > 1 else ("/", "")
    kind = _KINDS.get(name)
    values = [unquote(part) for part in parts]
    if root or kind is None or not all(_NAME.fullmatch(value) for value in values):
        return None
    names = _names(kind.subresource, values)
    if names is None:
        return None
    namespace, pod, uid, container = names
    asked = kind.query(parse_qs(query, keep_blank_values=True))
    return StreamRequest(kind.subresource, kind.methods, Key(namespace, pod), container, uid, asked)


def _names(subresource: str, values: list[str]) -> tuple[str, str, str, str] | None:
    """Namespace, pod, uid and container: /ns/pod[/uid][/container]."""
    has_container = subresource != "portforward"
    if len(values) == 2 + has_container:
        values.insert(2, "")
    elif len(values) != 3 + has_container or subresource == "log":
        return None
    namespace, pod, uid, container = values if has_container else [*values, ""]
    return namespace, pod, uid, container


def missing(request: StreamRequest, tenant: Obj | None, host: Obj | None) -> str:
    """Why there is nothing to speak to, in a kubelet's words; empty if there is.

    The host pod has to be the tenant pod's own, by its uid. The container has to be of the same kind on both
    sides: what was injected on the host is not the tenant's, by whatever name they ask for it.
    """
    name = request.pod.name
    if tenant is None or (request.uid and request.uid != uid_of(tenant)):
        return f'pod "{name}" does not exist'
    if host is None or not marks.is_owned(host, tenant) or _COMPONENT in labels_of(host):
        return f'pod "{name}" does not exist on its node'
    if request.container and not _is_on_both(request.container, tenant["spec"], host["spec"]):
        return f'container "{request.container}" not found in pod "{name}"'
    return ""


def _is_on_both(container: str, tenant: Mapping[str, Any], host: Mapping[str, Any]) -> bool:
    def named(spec: Mapping[str, Any], kind: str) -> bool:
        return any(one["name"] == container for one in spec.get(kind) or ())

    return any(named(tenant, kind) and named(host, kind) for kind in _LISTS)
