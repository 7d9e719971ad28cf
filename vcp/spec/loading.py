"""From a file and `--set` options to a checked Spec; every message says where in the file and what to do."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import yaml
from msgspec import inspect

from vcp.errors import UsageError
from vcp.spec.checks import problems
from vcp.spec.model import Spec

_SHAPE = inspect.type_info(Spec)


def load(source: str | Mapping[str, Any], overrides: Iterable[tuple[str, Any]] = ()) -> Spec:
    """The spec in YAML or JSON text, or in a mapping, with `("storage.size", "10Gi")` overrides laid over it.

    A text value of an override is read as YAML, so `3` is a number and `[a, b]` a list. Raises UsageError.
    """
    mapping = _parse(source) if isinstance(source, str) else source
    data: Any = _copy(mapping)
    for path, value in overrides:
        _override(data, path, value)
    data = _as_texts(data, _SHAPE)
    wrong = list(_unknown_keys(data, _SHAPE, ""))
    if wrong:
        raise _error(wrong)
    try:
        spec = msgspec.convert(data, Spec)
    except msgspec.ValidationError as error:
        raise _error([_readable(str(error))]) from None
    wrong = [f"{path}: {text}" for path, text in problems(spec)]
    if wrong:
        raise _error(wrong)
    return spec


def dump(spec: Spec) -> str:
    """JSON that `load` reads back to an equal spec: complete, so no later default changes it."""
    return msgspec.json.encode(spec, order="deterministic").decode()


def _parse(text: str) -> Mapping[str, Any]:
    try:
        # JSON by itself: YAML's parser is slow and refuses characters that JSON may hold.
        data = msgspec.json.decode(text)
    except msgspec.DecodeError:
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"the spec is not YAML: {error}") from error
    if not isinstance(data, Mapping):
        raise UsageError("the spec is not a mapping", hint="write `key: value` lines, at least `name: NAME`")
    return data


def _copy(value: Any) -> Any:
    """Plain dicts and lists of their own: overrides never write into the caller's mapping."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list | tuple) else value


def _override(data: dict[str, Any], path: str, value: Any) -> None:
    """Sets `a.b`; a key that has dots itself is quoted: `nodeSelector."kubernetes.io/os"`."""
    keys = [quoted or plain for quoted, plain in re.findall(r'"([^"]+)"|([^."]+)', path)]
    if not keys:
        raise UsageError("--set without a path", hint="write --set storage.size=10Gi")
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {path}: the value is not YAML: {error}") from error
    for position, key in enumerate(keys[:-1]):
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise UsageError(f"--set {path}: {'.'.join(keys[: position + 1])} is not a mapping")
    data[keys[-1]] = value


def _as_texts(data: Any, shape: inspect.Type) -> Any:
    """Numbers and booleans as text in mappings of texts, so that `pods: 50` and `v: 2` need no quotes."""
    if isinstance(shape, inspect.Metadata):
        shape = shape.type
    if not isinstance(data, dict):
        return data
    if isinstance(shape, inspect.StructType):
        known = {field.encode_name: field.type for field in shape.fields}
        return {key: _as_texts(value, known[key]) if key in known else value for key, value in data.items()}
    if isinstance(shape, inspect.DictType) and isinstance(shape.value_type, inspect.StrType):
        return {key: _as_text(value) for key, value in data.items()}
    return data


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _unknown_keys(data: Any, shape: inspect.Type, path: str) -> Iterator[str]:
    """Keys that no struct has, each with the nearest one that exists."""
    if isinstance(shape, inspect.Metadata):
        shape = shape.type
    if isinstance(shape, inspect.VarTupleType) and isinstance(data, list):
        for position, item in enumerate(data):
            yield from _unknown_keys(item, shape.item_type, f"{path}[{position}]")
    if not isinstance(shape, inspect.StructType) or not isinstance(data, dict):
        return
    known = {field.encode_name: field.type for field in shape.fields}
    for key, value in data.items():
        where = f"{path}.{key}" if path else str(key)
        if key in known:
            yield from _unknown_keys(value, known[key], where)
            continue
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        yield f"{where}: unknown key; {advice}"


def _readable(message: str) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.etcd.replicas`" with the path in front."""
    match = re.fullmatch(r"(.*?)(?: - at `\$\.?(.*)`)?", message)
    text, path = (match[1], match[2]) if match else (message, "")
    text = text[:1].lower() + text[1:]
    return f"{path}: {text}" if path else text


def _error(wrong: list[str]) -> UsageError:
    message = (
        f"the spec is wrong: {wrong[0]}" if len(wrong) == 1 else "\n  - ".join(["the spec is wrong:", *wrong])
    )
    return UsageError(message, hint="docs/spec.md describes every key")
