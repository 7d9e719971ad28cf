"""Kubeconfigs: the tenant's own, and its entry in somebody's file. Text in, text out."""

import base64
import io
import re
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from vcp.errors import RefusedError, UsageError

_AUTHORITY, _SERVER_NAME = "certificate-authority-data", "tls-server-name"
_USER = ("client-certificate-data", "client-key-data")
_KNOWN = {"server", _AUTHORITY, _SERVER_NAME, *_USER}
_LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}


class Entry(msgspec.Struct, frozen=True):
    """A cluster, a user and a context, all of one name."""

    name: str
    cluster: dict[str, Any]
    user: dict[str, Any]

    @property
    def context(self) -> dict[str, Any]:
        return {"cluster": self.name, "user": self.name}

    def at(self, server: str, server_name: str = "") -> "Entry":
        """The same cluster at another address; `server_name` is what its certificate says instead of that."""
        cluster = {key: value for key, value in self.cluster.items() if key != "tls-server-name"}
        cluster["server"] = server
        if server_name:
            cluster["tls-server-name"] = server_name
        return msgspec.structs.replace(self, cluster=cluster)

    def text(self) -> str:
        """A kubeconfig of its own."""
        return merge("", self)


def admin(
    tenant: str, server: str, ca: bytes, certificate: bytes, key: bytes, *, server_name: str = ""
) -> Entry:
    """The entry `vcp-TENANT`: PEM goes in, base64 comes out.

    `server_name` is what the API's certificate is checked against if it does not name the server's address.
    """
    cluster = {"server": server, "certificate-authority-data": _base64(ca)}
    if server_name:
        cluster["tls-server-name"] = server_name
    user = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
    return Entry(name=f"vcp-{tenant}", cluster=cluster, user=user)


def published(text: bytes, tenant: str) -> Entry:
    """The entry `vcp-TENANT` of the kubeconfig that stands on the host, made anew from what vcp writes: an
    address, an authority and a client certificate. Raises RefusedError if there is anything else in it.

    A user who may write that Secret could have a program run on the reader's machine by `exec`, or send their
    requests elsewhere by `proxy-url`."""
    try:
        stored = yaml.safe_load(text)
        (cluster,), (user,) = stored["clusters"], stored["users"]
        cluster, user = dict(cluster["cluster"]), dict(user["user"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise _foreign("is not one that vcp has written") from error
    if others := sorted({*cluster, *user} - _KNOWN):
        raise _foreign(f"holds {', '.join(map(str, others))}")
    try:
        encoded = (cluster[_AUTHORITY], *(user[field] for field in _USER))
        pems = [base64.b64decode(text, validate=True) for text in encoded]
        name = _name(cluster.get(_SERVER_NAME, ""))
        return admin(tenant, _address(cluster["server"]), *pems, server_name=name)
    except (KeyError, TypeError, ValueError) as error:
        raise _foreign(f"lacks a field or has a wrong one: {error}") from error


def _foreign(what: str) -> RefusedError:
    return RefusedError(
        f"the published kubeconfig {what}: it was not written by vcp",
        hint="see who can write Secrets in the control plane's namespace; `vcp create` writes it anew",
    )


def _address(server: Any) -> str:
    """Raises ValueError if it is not the address of an API server, and nothing else."""
    parts = urlsplit(server)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("server")
    if not all(33 <= ord(sign) < 127 for sign in server):
        raise ValueError("server")
    return str(server)


def _name(text: Any) -> str:
    """Raises ValueError if it is not a DNS name."""
    if text and not re.fullmatch(r"[A-Za-z0-9.-]+", text):
        raise ValueError(_SERVER_NAME)
    return str(text)


def merge(text: str, entry: Entry, *, switch: bool = True) -> str:
    """The kubeconfig `text` with the entry in it, replaced if it was there, made current if `switch`.

    Other entries, their order and all comments stay. Raises UsageError if `text` is not a kubeconfig.
    """
    config = _parse(text)
    for section, key in _LISTS.items():
        value = {"clusters": entry.cluster, "users": entry.user, "contexts": entry.context}[section]
        items = config.get(section)
        if items is None:
            items = config[section] = []
        present = next((item for item in items if item.get("name") == entry.name), None)
        if present is None:
            items.append({"name": entry.name, key: value})
        elif section == "contexts":
            present[key] = {**(present.get(key) or {}), **value}  # a namespace that the user has set stays
        else:
            present[key] = value
    if switch or not config.get("current-context"):
        config["current-context"] = entry.name
    return _render(config)


def remove(text: str, name: str) -> str:
    """The kubeconfig `text` without the cluster, user and context `name`; unchanged if there are none.

    If the context was current, none is afterwards. Raises UsageError if `text` is not a kubeconfig.
    """
    config = _parse(text)
    found = False
    for section in _LISTS:
        items = config.get(section) or []
        for position in [at for at, item in enumerate(items) if item.get("name") == name][::-1]:
            del items[position]
            found = True
    if config.get("current-context") == name:
        config["current-context"] = ""
        found = True
    return _render(config) if found else text


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 1 << 20  # certificates stay on one line
    return yaml


def _parse(text: str) -> CommentedMap:
    try:
        config = _yaml().load(text) if text.strip() else None
    except YAMLError as error:
        raise UsageError(f"the kubeconfig is not YAML: {error}", hint="repair it first") from error
    if config is None:
        config = CommentedMap({"apiVersion": "v1", "kind": "Config"})
    if not isinstance(config, CommentedMap) or config.get("kind", "Config") != "Config":
        raise UsageError("the file is not a kubeconfig", hint="pass --kubeconfig PATH")
    for section in _LISTS:
        items = config.get(section)
        if items is not None and (
            not isinstance(items, list) or not all(isinstance(item, dict) for item in items)
        ):
            raise UsageError(f"the kubeconfig's {section} is not a list of entries", hint="repair it by hand")
    return config


def _render(config: CommentedMap) -> str:
    buffer = io.StringIO()
    _yaml().dump(config, buffer)
    return buffer.getvalue()


def _base64(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
