"""What a server of the syncer shows its clients, and asks of them: from a mounted Secret that changes."""

import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kube import auth, errors

_log = logging.getLogger(__name__)


class ServingTls:
    """The server's certificate and the CA of its clients, read again when their files change.

    `client_ca` is the file of that CA. By default it signs for the tenant's API server alone."""

    def __init__(self, folder: Path, client_ca: str = "kubelet-client-ca.crt") -> None:
        self._client_ca = folder / client_ca
        self._certificate, self._key = folder / "syncer-serving.crt", folder / "syncer-serving.key"
        self._files = [self._client_ca, self._certificate, self._key]
        self._version: object = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Raises ConfigError if there is nothing to serve with."""
        try:
            version = [auth.file_version(file) for file in self._files]
            if self._context is None or version != self._version:
                self._context, self._version = self._load(), version
        except OSError as error:
            if self._context is None:
                raise errors.ConfigError(f"no certificate to serve with: {error}") from error
            _log.warning("serving certificate not read", extra={"error": str(error)})
        return self._context

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_TICKET  # a resumed session would outlive a change of the CA
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self._client_ca)
        context.load_cert_chain(self._certificate, self._key)
        return context


def subject(certificate: Mapping[str, Any] | None) -> dict[str, set[str]]:
    """What a peer's verified certificate, as ssl decodes it, says of its holder: {"commonName": {"a"}}."""
    found: dict[str, set[str]] = {}
    for names in (certificate or {}).get("subject", ()):
        for name, value in names:
            found.setdefault(name, set()).add(value)
    return found
