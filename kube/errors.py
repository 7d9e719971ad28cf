"""What a request to an API server can fail with: one tree, by HTTP status, read from the Status body.

`retryable` says that the same request may succeed later without anybody changing it.
"""

import email.utils
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for text that is not the JSON expected, or not UTF-8, or nested too deeply."""

_LONGEST = 86_400  # seconds that a server may ask a client to wait


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
        self.reason = _text(body.get("reason"))
        self.message = _text(body.get("message")) or f"HTTP {status}"
        details = body.get("details")
        self.details: Mapping[str, Any] = details if isinstance(details, dict) else {}
        seconds = _seconds(self.details.get("retryAfterSeconds"))
        self.retry_after = retry_after if retry_after is not None else seconds
        super().__init__(self.message)

    def has_cause(self, reason: str) -> bool:
        """Whether the Status names this cause, e.g. `NamespaceTerminating` behind a 403."""
        return any(cause.get("reason") == reason for cause in self.causes)

    @property
    def causes(self) -> list[Mapping[str, Any]]:
        """What the Status names in detail, each with `reason`, `field` and `message` where it has them."""
        found = self.details.get("causes")
        return [cause for cause in found if isinstance(cause, dict)] if isinstance(found, list) else []


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
    told = body.get("code")
    status = code or (told if isinstance(told, int) and told else 500)
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    if body.get("reason") == "AlreadyExists":
        kind = AlreadyExistsError
    return kind(status, body, retry_after)


def from_response(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ApiError:
    """The error of a failed answer, whether the body is a Status or the words of a load balancer."""
    try:
        decoded = msgspec.json.decode(body)
    except NOT_JSON:
        decoded = None
    if not isinstance(decoded, dict):
        text = body[:200].decode(errors="replace").strip()
        decoded = {"message": f"HTTP {status}: {text}" if text else f"HTTP {status}"}
    return from_status(decoded, status, parse_retry_after(headers.get("Retry-After"), now))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header: a number or a date (RFC 9110 §10.2.3); None if it is neither."""
    if not value:
        return None
    try:
        if value.strip().isdigit():
            return _seconds(float(value))
        return max(0.0, (email.utils.parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None


def _text(value: Any) -> str:
    """Intermediaries and hostile servers may write anything where a text belongs."""
    return value if isinstance(value, str) else ""


def _seconds(value: Any) -> float | None:
    """A pause that can be made; None for what is not one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= _LONGEST else None
