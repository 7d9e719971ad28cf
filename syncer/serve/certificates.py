"""What a server of the syncer shows its clients, and asks of them: from a mounted Secret that changes."""

import logging
import ssl
from pathlib import Path

from syncer.kube import auth, errors

_log = logging.getLogger(__name__)


class ServingTls:
    """The server's certificate and the CA of its clients, read again when their files change."""

    def __init__(self, folder: Path) -> None:
        self._files = [
            folder / name for name in ("client-ca.crt", "syncer-serving.crt", "syncer-serving.key")
        ]
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
        client_ca, certificate, key = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.options |= ssl.OP_NO_TICKET  # a resumed session would outlive a change of the CA
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        context.load_verify_locations(client_ca)
        context.load_cert_chain(certificate, key)
        return context
