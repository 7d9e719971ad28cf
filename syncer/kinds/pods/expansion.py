"""How large the texts of a container become when the host's kubelet expands `$(NAME)` in them.

Variables that refer to each other can double at each step, so a small pod may stand for gigabytes in the
kubelet's memory. Sizes are computed and nothing is expanded. The rules are the kubelet's
(pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables; third_party/forked/golang/expansion): values are
expanded in the order of `env`, against what stands before; commands, arguments and `subPathExpr` against all
of it; the commands of exec probes against the values as they are written.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from kube import apis
from kube.apis import ApiResource
from kube.objects import Obj
from syncer.core.refusal import Problem
from syncer.core.scope import Scope
from syncer.kinds.pods import downward, environment

LONGEST = 128 * 1024
"""Bytes of one text: an exec takes no longer argument or variable (MAX_ARG_STRLEN of Linux)."""
ALL = 2 * 1024 * 1024
"""Bytes of all texts of a container: no exec takes more (ARG_MAX under the usual stack limit)."""
REFERENCES = 128
"""Uses of values that may grow to a whole ConfigMap or Secret after the pod was made, in one container."""

_SATURATED = 2**40  # sizes beyond are all the same, and stay small numbers
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
_OF_THE_HOST = 256  # addresses and names of nodes: what the host's kubelet fills in
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_STORED = {"configMapKeyRef": apis.CONFIG_MAPS, "secretKeyRef": apis.SECRETS}
_KEY = re.compile(r"[-._a-zA-Z0-9]+")


class Size(NamedTuple):
    """`bytes` as far as known now, and how often a value that others can change later is part of it."""

    bytes: int
    growing: int = 0

    def __add__(self, other: "Size") -> "Size":  # type: ignore[override]
        return Size(min(self.bytes + other.bytes, _SATURATED), min(self.growing + other.growing, _SATURATED))


_NOTHING = Size(0)
Sizes = Mapping[str, Size]


def problems(container: Obj, path: str, tenant: Obj, scope: Scope) -> Iterator[Problem]:
    """What of a tenant's container is too large once expanded."""
    if b"$(" not in msgspec.json.encode(container):
        return  # nothing grows: the object itself is bounded
    total = _NOTHING
    for place, size in _expanded(container, tenant, scope):
        if size.bytes >= LONGEST:
            found = f"more than {_SATURATED}" if size.bytes == _SATURATED else str(size.bytes)
            reason = f"expands to {found} bytes; at most {LONGEST - 1} are possible"
            yield Problem(f"{path}.{place}", reason)
        total += size
    if total.bytes > ALL:
        yield Problem(path, f"variables, command and arguments expand to {total.bytes} bytes; at most {ALL}")
    if total.growing > REFERENCES:
        reason = f"uses values of ConfigMaps and Secrets {total.growing} times in $(…); at most {REFERENCES}"
        yield Problem(path, reason)


def size(text: str, known: Sizes, prefixes: tuple[str, ...] = ()) -> Size:
    """The size of a text once expanded. A name that is not known stays as it is written; while one of the
    prefixes of `envFrom` begins it, that may change."""
    written = Size(len(text.encode()))
    if "$" not in text or written.bytes >= LONGEST:
        return written
    whole, end = _NOTHING, 0
    for match in _REFERENCE.finditer(text):
        whole += Size(len(text[end : match.start()].encode()))
        name, end = match[1], match.end()
        if name is None:
            whole += Size(1)
        elif name in known:
            whole += known[name]
        else:
            whole += Size(len(match[0].encode()), int(_may_appear(name, prefixes)))
    return whole + Size(len(text[end:].encode()))


def _may_appear(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a key of a ConfigMap or Secret could make the name a variable."""
    return any(name.startswith(one) and _KEY.fullmatch(name[len(one) :]) for one in prefixes)


def _expanded(container: Obj, tenant: Obj, scope: Scope) -> Iterator[tuple[str, Size]]:
    """The place and the size of each text."""
    known = _given(container, tenant, scope)
    prefixes = tuple({source.get("prefix") or "" for source in container.get("envFrom") or ()})
    written: dict[str, Size] = {}
    for index, variable in enumerate(container.get("env") or ()):
        name, text = variable["name"], variable.get("value") or ""
        source = variable.get("valueFrom") if not text else None
        known[name] = _taken(source, tenant, scope) if source else size(text, known, prefixes)
        written[name] = Size(len(text.encode())) if "fieldRef" not in (source or ()) else known[name]
        yield f"env[{index}]", known[name] + Size(len(name.encode()) + 1)
    for field in ("command", "args"):
        for index, text in enumerate(container.get(field) or ()):
            yield f"{field}[{index}]", size(text, known, prefixes)
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if text := mount.get("subPathExpr"):
            yield f"volumeMounts[{index}].subPathExpr", size(text, known, prefixes)
    for probe in _PROBES:
        for index, text in enumerate(_command(container.get(probe))):
            yield f"{probe}.exec.command[{index}]", size(text, written)


def _command(probe: Obj | None) -> list[str]:
    command: list[str] = ((probe or {}).get("exec") or {}).get("command") or []
    return command


def _given(container: Obj, tenant: Obj, scope: Scope) -> dict[str, Size]:
    """The variables of services and of `envFrom`, which stand before `env`."""
    services = environment.service_variables(tenant, scope)
    known = {name: Size(len(text.encode())) for name, text in services.items()}
    for name, api, text in environment.stored(container, tenant, scope):
        known[name] = Size(_length(api, text), 1)
    return known


def _taken(source: Obj, tenant: Obj, scope: Scope) -> Size:
    """What a `valueFrom` gives, as far as it is known."""
    for field, api in _STORED.items():
        if reference := source.get(field):
            data = environment.data_of(api, reference, tenant, scope)
            text = data.get(reference.get("key", ""), "")
            return Size(_length(api, text), 1)
    if reference := source.get("fieldRef"):
        value = downward.literal(reference["fieldPath"], tenant)
        return Size(_OF_THE_HOST if value is None else len(value.encode()))
    return Size(_OF_THE_HOST)


def _length(api: ApiResource, text: str) -> int:
    """Bytes of a value; a Secret's stands in base64."""
    return len(text) * 3 // 4 - text[-2:].count("=") if api is apis.SECRETS else len(text.encode())
