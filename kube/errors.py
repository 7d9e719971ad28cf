"""What a request to an API server can fail with: one tree, by HTTP status, read from the Status body.

`retryable` says that the same request may succeed later without anybody changing it.
"""

import email.utils
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec


class KubeError(Exception):
    """The root; `retry_after` is the server's own wish in seconds, if it uttered one."""

    retryable: ClassVar[bool] = False
    retry_after: float | None = None


class ConfigError(KubeError):
    """No way to the cluster is configured, or what is configured cannot be read."""


class DeadlineError(KubeError):
    """What was awaited did not come about in time."""


class NoPodError(KubeError):
    """There is no pod that could answer now."""


class TransportError(KubeError):
    """No whole answer: reset, truncated, garbled. The request may have been carried out all the same."""

    retryable = True


class UnreachableError(TransportError):
    """No connection came about, so the request was certainly not carried out."""


class RequestTimeoutError(TransportError):
    """The answer did not arrive in time."""


class ApiError(KubeError):
    """The API server answered with a failure. `reason` and `details` are those of the Status object."""

    def __init__(self, status: int, body: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.reason: str = body.get("reason") or ""
        self.message: str = body.get("message") or f"HTTP {status}"
        self.details: Mapping[str, Any] = body.get("details") or {}
        seconds = self.details.get("retryAfterSeconds")
        self.retry_after = retry_after if retry_after is not None else seconds
        super().__init__(self.message)

    def has_cause(self, reason: str) -> bool:
        """Whether the Status names this cause, e.g. `NamespaceTerminating` behind a 403."""
        return any(cause.get("reason") == reason for cause in self.details.get("causes") or ())


class BadRequestError(ApiError):
    """400: the request makes no sense to the server."""


class UnauthorizedError(ApiError):
    """401: the credentials are missing, expired or unknown."""


class ForbiddenError(ApiError):
    """403: no permission, or an admission plugin (quota, Pod Security, a terminating namespace) refuses."""


class NotFoundError(ApiError):
    """404: no such object, or no such endpoint."""


class ConflictError(ApiError):
    """409: a precondition failed or somebody else was faster; read again, then decide again."""


class AlreadyExistsError(ConflictError):
    """409 with reason AlreadyExists: the name is taken."""


class GoneError(ApiError):
    """410: the resource version or continue token is too old; list again."""


class InvalidError(ApiError):
    """422: the object breaks the rules of its kind."""


class TooManyRequestsError(ApiError):
    """429: the server is busy, or a disruption budget forbids an eviction for now."""

    retryable = True


class ServerError(ApiError):
    """5xx: the server, its etcd or a webhook failed."""

    retryable = True


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: TooManyRequestsError,
}


def from_status(body: Mapping[str, Any], code: int = 0, retry_after: float | None = None) -> ApiError:
    """The error of a Status object, as found in a failed answer or in a watch's ERROR event."""
    status = code or body.get("code") or 500
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    if body.get("reason") == "AlreadyExists":
        kind = AlreadyExistsError
    return kind(status, body, retry_after)


def from_response(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ApiError:
    """The error of a failed answer, whether the body is a Status or the words of a load balancer."""
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        decoded = None
    if not isinstance(decoded, dict):
        text = body[:200].decode(errors="replace").strip()
        decoded = {"message": f"HTTP {status}: {text}" if text else f"HTTP {status}"}
    return from_status(decoded, status, parse_retry_after(headers.get("Retry-After"), now))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header: a number or a date (RFC 9110 §10.2.3); None if it is neither."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError):
        return None
