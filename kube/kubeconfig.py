"""Finds the cluster that the user means: kubeconfig files as kubectl reads them, else the pod we run in.

Plain kubeconfigs (certificates, tokens) are read here; exec plugins and OIDC are left to kubernetes_asyncio,
which costs a second to import and so is imported only for them.
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import yaml

from kube import auth, errors

_Entry = tuple[Mapping[str, Any], Path]  # a named entry's body and the folder that its paths are relative to


@dataclass(frozen=True)
class Kubeconfig:
    """Several files read as one: for each name, the first file that has it wins."""

    files: tuple[Path, ...]
    current_context: str
    contexts: Mapping[str, _Entry]
    clusters: Mapping[str, _Entry]
    users: Mapping[str, _Entry]


def paths(explicit: str = "", environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The files to read, in order of precedence; the first is the one that changes are written to."""
    if explicit:
        return (Path(explicit).expanduser(),)
    listed = environ.get("KUBECONFIG", "")
    if listed:
        return tuple(Path(part).expanduser() for part in listed.split(os.pathsep) if part)
    return (Path.home() / ".kube" / "config",)


def find(explicit: str = "", context: str = "", *, environ: Mapping[str, str] = os.environ) -> auth.Access:
    """By --kubeconfig and --context, $KUBECONFIG, ~/.kube/config or the pod's service account, in this order.

    Raises ConfigError, whose message says what to do.
    """
    files = paths(explicit, environ)
    if explicit and not files[0].is_file():
        raise errors.ConfigError(f"kubeconfig {explicit} does not exist")
    existing = [file for file in files if file.is_file()]
    config = load(existing)
    if not (context or config.current_context):
        if explicit or config.contexts:
            names = ", ".join(sorted(config.contexts)) or "none"
            raise errors.ConfigError(f"no current context in {_joined(existing)}; contexts there: {names}")
        try:
            return auth.in_cluster(environ=environ)
        except errors.ConfigError as error:
            raise errors.ConfigError(f"no cluster is configured: {_joined(files)} does not exist") from error
    return access(config, context, environ=environ)


def load(files: Sequence[Path]) -> Kubeconfig:
    return _merged([(file, _parse(file)) for file in files])


def from_text(text: bytes) -> auth.Access:
    """The access of the current context of a kubeconfig that is in no file, e.g. in a Secret."""
    where = Path("(text)")
    return access(_merged([(where, _decode(text, where))]))


def _merged(documents: Sequence[tuple[Path, Mapping[str, Any]]]) -> Kubeconfig:
    current = ""
    tables: dict[str, dict[str, _Entry]] = {"contexts": {}, "clusters": {}, "users": {}}
    for file, data in documents:
        current = current or data.get("current-context") or ""
        for plural, table in tables.items():
            for entry in data.get(plural) or ():
                table.setdefault(entry["name"], (entry.get(plural[:-1]) or {}, file.parent))
    return Kubeconfig(tuple(file for file, _ in documents), current, **tables)


def access(config: Kubeconfig, context: str = "", *, environ: Mapping[str, str] = os.environ) -> auth.Access:
    """The access of one context, by default the current one."""
    name = context or config.current_context
    chosen = _entry(config.contexts, "context", name, config)[0]
    cluster, cluster_folder = _entry(config.clusters, "cluster", chosen.get("cluster", ""), config)
    user, user_folder = (
        ({}, Path()) if not chosen.get("user") else _entry(config.users, "user", chosen["user"], config)
    )
    server = str(cluster.get("server", "")).rstrip("/")
    if not server:
        raise errors.ConfigError(f"cluster of context {name!r} has no server")
    token_file = user.get("tokenFile")
    return auth.Access(
        server=server,
        namespace=chosen.get("namespace") or "default",
        context=name,
        ca=_source(cluster, "certificate-authority", cluster_folder),
        certificate=_source(user, "client-certificate", user_folder),
        key=_source(user, "client-key", user_folder),
        token=user_folder / token_file if token_file else user.get("token", ""),
        server_name=cluster.get("tls-server-name", ""),
        insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
        proxy=cluster.get("proxy-url") or _proxy(server, environ),
        headers=_impersonation(user),
        plugin=_Plugin(config, name) if "exec" in user or "auth-provider" in user else None,
    )


class _Plugin:
    """Asks kubernetes_asyncio for a token or certificate; it keeps them until they expire."""

    def __init__(self, config: Kubeconfig, context: str) -> None:
        self._files = os.pathsep.join(str(file) for file in config.files)
        self._context = context
        self._loader: Any = None

    async def __call__(self) -> auth.Identity:
        from kubernetes_asyncio.client import Configuration  # noqa: PLC0415  costs a second
        from kubernetes_asyncio.config import ConfigException, kube_config  # noqa: PLC0415

        configuration = Configuration()
        try:
            if self._loader is None:
                self._loader = await kube_config.load_kube_config(self._files, self._context, configuration)
            else:
                await self._loader.load_and_set(configuration)
        except (ConfigException, OSError) as error:
            raise errors.ConfigError(f"credentials of context {self._context!r}: {error}") from error
        token = configuration.api_key.get("BearerToken", "").removeprefix("Bearer ")
        certificate, key = configuration.cert_file, configuration.key_file
        return auth.Identity(token, Path(certificate) if certificate else None, Path(key) if key else None)


def _parse(file: Path) -> Mapping[str, Any]:
    try:
        return _decode(file.read_bytes(), file)
    except OSError as error:
        raise errors.ConfigError(f"cannot read kubeconfig {file}: {error}") from error


def _decode(text: bytes, file: Path) -> Mapping[str, Any]:
    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise errors.ConfigError(f"cannot read kubeconfig {file}: {error}") from error
    if not isinstance(data or {}, dict):
        raise errors.ConfigError(f"{file} is not a kubeconfig")
    return data or {}


def _entry(table: Mapping[str, _Entry], what: str, name: str, config: Kubeconfig) -> _Entry:
    if name not in table:
        known = ", ".join(sorted(table)) or "none"
        raise errors.ConfigError(f"no {what} {name!r} in {_joined(config.files)}; there: {known}")
    return table[name]


def _joined(files: Sequence[Path]) -> str:
    return ", ".join(str(file) for file in files)


def _source(body: Mapping[str, Any], key: str, folder: Path) -> auth.Source | None:
    """Data takes precedence over a path; a relative path is relative to its kubeconfig."""
    data, path = body.get(f"{key}-data"), body.get(key)
    if data:
        try:
            return base64.b64decode(data)
        except (binascii.Error, ValueError) as error:
            raise errors.ConfigError(f"{key}-data is not base64: {error}") from error
    return folder / path if path else None


def _impersonation(user: Mapping[str, Any]) -> dict[str, str]:
    if user.get("as-groups") or user.get("as-user-extra"):
        raise errors.ConfigError("as-groups and as-user-extra of a kubeconfig user are not supported")
    return {"Impersonate-User": user["as"]} if user.get("as") else {}


def _proxy(server: str, environ: Mapping[str, str]) -> str:
    """The proxy that HTTPS_PROXY and NO_PROXY name for this server."""
    url = urlsplit(server)
    if environ is not os.environ or not url.hostname or proxy_bypass(url.hostname):
        return ""
    return getproxies_environment().get(url.scheme, "")
