"""The user's defaults: $VCP_CONFIG or ~/.config/vcp/config.yaml, under the spec file and the flags.

context: staging            # the global options
namespace: vcp-tenants
timeout: 5m                 # of create and delete
spec: {distro: k8s}         # defaults of every new tenant's spec
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from vcp.errors import UsageError
from vcp.spec.durations import duration


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    context: str = ""
    kubeconfig: str = ""
    namespace: str = ""
    output: str = ""
    timeout: str = ""
    spec: dict[str, Any] = {}


def path(environ: Mapping[str, str] = os.environ) -> Path:
    if named := environ.get("VCP_CONFIG"):
        return Path(named).expanduser()
    home = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "vcp" / "config.yaml"


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """The user's defaults; none if there is no such file. Raises UsageError that names file and key."""
    file = path(environ)
    if not file.is_file():
        if environ.get("VCP_CONFIG"):
            raise UsageError(f"$VCP_CONFIG names {file}, which does not exist")
        return Config()
    try:
        data = yaml.safe_load(file.read_text()) or {}
        unknown = set(data) - set(Config.__struct_fields__) if isinstance(data, dict) else set()
        if unknown:
            key = min(map(str, unknown))
            raise UsageError(f"{file}: unknown key {key!r}", hint=nearest(key, Config.__struct_fields__))
        return msgspec.convert(data, Config)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise UsageError(f"{file}: {error}") from error


def nearest(key: str, known: Iterable[str]) -> str:
    """A hint: the key that was probably meant, else all of them."""
    known = list(known)
    if close := difflib.get_close_matches(key, known, n=1):
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(known)}"


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings merged key by key, later layers over earlier ones; lists and scalars are replaced whole."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            merged[key] = layered(old, value) if both else value  # type: ignore[arg-type]
    return merged


def seconds(text: str) -> float:
    """A duration that the user has given. Raises UsageError where `duration` finds none."""
    try:
        return duration(text).total_seconds()
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        raise UsageError(message, hint=hint) from error
