"""Who we are to an API server and how we prove it: certificates and tokens, re-read when their files change.

Mounted Secrets and service account tokens rotate while the process lives, so nothing read from a path is kept
for longer than the file stays as it was.
"""

import os
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kube import errors

Source = Path | bytes  # a file, read again when it changes, or the content itself

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TLS_FILES_LIFE = 1.0  # seconds until they are looked at again, so not for each request of a burst
_TOKEN_FILE_LIFE = 60.0  # seconds; the kubelet rotates at 80 % of an hour, client-go re-reads every minute


class Identity(NamedTuple):
    """What a credential plugin answers with: a bearer token, or a client certificate and its key."""

    token: str = ""
    certificate: Source | None = None
    key: Source | None = None


@dataclass(frozen=True)
class Access:
    """One API server as one user, as a kubeconfig's context names them."""

    server: str
    namespace: str = "default"
    context: str = ""
    ca: Source | None = None
    certificate: Source | None = None
    key: Source | None = None
    token: str | Path = ""
    server_name: str = ""  # what to expect in the serving certificate, if not the host of `server`
    insecure: bool = False
    proxy: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # impersonation
    plugin: Callable[[], Awaitable[Identity]] | None = None  # asked before each request; caches by itself


def in_cluster(folder: Path = _SERVICE_ACCOUNT, environ: Mapping[str, str] = os.environ) -> Access:
    """The service account of this pod. Raises ConfigError outside a pod."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token = folder / "token"
    if not (host and port and token.is_file()):
        raise errors.ConfigError("not in a pod with a service account token")
    namespace = folder / "namespace"
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
        ca=folder / "ca.crt",
        token=token,
    )


class Credentials:
    """An `Access` in use: the TLS context and the headers of the next request."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._identity = Identity(certificate=access.certificate, key=access.key)
        self._tls: tuple[tuple[object, ...], ssl.SSLContext] | None = None
        self._tls_seen: tuple[float, Identity] = (float("-inf"), self._identity)
        self._token = ""
        self._token_read = float("-inf")

    async def headers(self) -> dict[str, str]:
        headers = dict(self.access.headers)
        if self.access.plugin:
            self._identity = await self.access.plugin()
        token = self._identity.token or self._stored_token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def tls(self) -> ssl.SSLContext:
        """The same context until a file behind it changes, because connections are pooled by context."""
        now, (seen, identity) = time.monotonic(), self._tls_seen
        if self._tls and identity is self._identity and now - seen < _TLS_FILES_LIFE:
            return self._tls[1]
        sources = (self.access.ca, self._identity.certificate, self._identity.key)
        try:
            version = tuple(file_version(source) for source in sources)
            if self._tls is None or self._tls[0] != version:
                self._tls = (version, _context(self.access, self._identity))
        except (OSError, ssl.SSLError) as error:
            raise errors.ConfigError(f"cannot read the TLS credentials: {error}") from error
        self._tls_seen = (now, self._identity)
        return self._tls[1]

    @property
    def renewable(self) -> bool:
        """Whether the next request may have another token or certificate than the last one."""
        return isinstance(self.access.token, Path) or self.access.plugin is not None

    def renew(self) -> None:
        """After a 401: the next request reads the token again and looks at the files, however young."""
        self._token_read = float("-inf")
        self._tls_seen = (float("-inf"), self._identity)

    def _stored_token(self) -> str:
        if isinstance(self.access.token, str):
            return self.access.token
        now = time.monotonic()
        if now - self._token_read > _TOKEN_FILE_LIFE:
            try:
                self._token = self.access.token.read_text().strip()
            except OSError as error:
                raise errors.ConfigError(f"cannot read the token: {error}") from error
            self._token_read = now
        return self._token


def file_version(source: Source | None) -> object:
    """Differs when the source's content may have changed. Raises OSError."""
    if not isinstance(source, Path):
        return source
    stat = source.stat()
    return (stat.st_ino, stat.st_mtime_ns, stat.st_size)


def _context(access: Access, identity: Identity) -> ssl.SSLContext:
    if access.ca is None:
        context = ssl.create_default_context()
    else:
        # Only the cluster's own CA: a public one has no say over an API server, and reading them all is slow.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=_read(access.ca).decode())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if identity.certificate is not None and identity.key is not None:
        _load_pair(context, identity.certificate, identity.key)
    return context


def _read(source: Source) -> bytes:
    return source.read_bytes() if isinstance(source, Path) else source


def _load_pair(context: ssl.SSLContext, certificate: Source, key: Source) -> None:
    """`ssl` takes a client certificate only from files. What is in files stays there, for a container may
    have no other place to write to; what is not gets a private file that lives for the call."""
    if isinstance(certificate, Path) and isinstance(key, Path):
        context.load_cert_chain(certificate, key)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(_read(certificate) + b"\n" + _read(key))
        file.flush()
        context.load_cert_chain(file.name)
