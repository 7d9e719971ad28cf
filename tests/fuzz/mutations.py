"""Objects that are nearly right: what a user, a controller or a hostile API server makes of a good one."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

Path = tuple[Any, ...]
Draw = Callable[..., Any]


def deep(levels: int) -> Any:
    """Objects and lists within each other."""
    value: Any = "x"
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


TEXTS: tuple[str, ...] = (
    *("", " ", "\0", "a\nb", "\u2028", "\u0131", "e\u0301", "\U0001f4a9", "\ufffe", "\u202eabc", "%", "$(A)"),
    *("..", "../../x", "/", "a/b/c", "-", ".", "0", "-1", "1e9", "None", "null", "true", "*", "{}", "[]"),
    *("vcp.dev/tenant", "vcp.dev/", "x.vcp.dev/y", "vcp-tenant-a-work", "kube-system", "tenant-a"),
    *(
        "metadata.labels",
        "metadata.labels['']",
        "metadata.annotations['a']",
        "limits.cpu",
        "2026-01-01T00:00:00Z",
    ),
    *("None", "ExternalName", "ClusterFirst", "9" * 5000, "x" * 300, "inf", "nan"),
)
NUMBERS: tuple[Any, ...] = (0, 1, -1, 2**31, -(2**31), 2**53, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308)
ODD: tuple[Any, ...] = (
    *(None, True, False, {}, [], [None], [[]], [{}], {"": None}, {"name": None}, [""], ["a", "a"], deep(60)),
    *(*NUMBERS, *TEXTS),
)

# Fields that an API server writes even if they are empty, as far as plans rely on them.
_ALWAYS = frozenset(
    [
        *("apiVersion", "kind", "metadata", "name", "namespace", "uid", "resourceVersion"),
        *("creationTimestamp", "spec", "status", "containers", "key", "operator", "type", "fieldPath"),
        *("path", "port", "containerPort", "topologyKey", "podAffinityTerm", "preference", "resource"),
        *("address", "addressType", "involvedObject", "ip"),
    ]
)
_IDENTITY = frozenset({"kind", "apiVersion", "uid", "resourceVersion"})
_KEY = frozenset({("metadata", "name"), ("metadata", "namespace")})


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value in an object, its own excepted."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in parts:
        yield (*path, name)
        yield from places(inner, (*path, name))


def at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


@st.composite
def mutated(
    draw: Draw, given: Any, odd: Sequence[Any] = ODD, fields: Mapping[str, Any] | None = None, most: int = 3
) -> Any:
    """A copy of a JSON value with one to `most` changes at random places.

    Odd values replace others, and `fields` are added to objects. Values also change places, which gives wrong
    types of the right words."""
    whole = {"": copy.deepcopy(given)}
    for _ in range(draw(st.integers(1, most))):
        _changed(draw, whole, odd, fields or {})
    return whole[""]


def _changed(draw: Draw, whole: Any, odd: Sequence[Any], fields: Mapping[str, Any]) -> None:
    found = list(places(whole))
    path = draw(st.sampled_from(found))
    holder, name = at(whole, path[:-1]), path[-1]
    value = holder[name]
    way = draw(st.sampled_from(_ways(path, value)))
    if way == "drop":
        del holder[name]
    elif way == "odd":
        holder[name] = copy.deepcopy(draw(st.sampled_from(odd)))
    elif way == "other":
        holder[name] = copy.deepcopy(at(whole, draw(st.sampled_from(found))))
    elif way == "add":
        field = draw(st.sampled_from([*fields, "unknown", "", "metadata", "name"]))
        value[field] = copy.deepcopy(fields[field] if field in fields else draw(st.sampled_from(odd)))
    elif way == "repeat":
        holder[name] = value * draw(st.sampled_from([2, 3, 300]))
    else:
        holder[name] = [value]


def _ways(path: Path, value: Any) -> list[str]:
    """How a value can be changed; each as often as it is worth."""
    ways = ["odd", "other"]
    if len(path) > 1:
        ways += ["drop", "drop"]
    if isinstance(value, dict):
        ways += ["add", "add", "wrap"]
    if isinstance(value, list):
        ways += ["repeat", "wrap"]
    return ways


@st.composite
def retyped(draw: Draw, given: Any, most: int = 4) -> Any:
    """A copy of an object whose values differ at one to `most` places but have the types that they had: what
    decodes at an API server that knows the kind."""
    whole = {"": copy.deepcopy(given)}
    for _ in range(draw(st.integers(1, most))):
        path = draw(st.sampled_from([path for path in places(whole) if len(path) > 1]))
        holder, name = at(whole, path[:-1]), path[-1]
        if name in _IDENTITY or path[1:] in _KEY:
            continue
        if name not in _ALWAYS and draw(st.integers(0, 3)) == 0:
            del holder[name]
        else:
            holder[name] = _like(draw, name, holder[name])
    return whole[""]


def lacking(given: Any) -> Iterator[Any]:
    """The object without each of the fields that an API server may leave out, one at a time."""
    for path in places(given):
        if path[-1] not in _ALWAYS and isinstance(path[-1], str):
            whole = copy.deepcopy(given)
            del at(whole, path[:-1])[path[-1]]
            yield whole


def _like(draw: Draw, name: Any, value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return draw(st.sampled_from([0, 1, -1, 65536, 2**31 - 1, -(2**31), 2**63 - 1]))
    if isinstance(value, str):
        return draw(st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
    if isinstance(value, list):
        none = [] if name in {"containers", "initContainers"} else [None, []]
        return draw(st.sampled_from([*none, value * 2, value[::-1], value[:1]]))
    if isinstance(value, dict) and isinstance(name, str) and not _ALWAYS & {name, *value}:
        return {}
    return value
