"""Every failed answer finds its class, whatever its body."""

import json
from datetime import UTC, datetime

import pytest

from kube import errors

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, errors.BadRequestError, False),
        (401, errors.UnauthorizedError, False),
        (403, errors.ForbiddenError, False),
        (404, errors.NotFoundError, False),
        (405, errors.ApiError, False),
        (409, errors.ConflictError, False),
        (410, errors.GoneError, False),
        (422, errors.InvalidError, False),
        (429, errors.TooManyRequestsError, True),
        (500, errors.ServerError, True),
        (504, errors.ServerError, True),
    ],
)
def test_by_status(status: int, kind: type[errors.ApiError], retryable: bool) -> None:
    error = errors.from_response(status, {}, b"upstream said no", NOW)
    assert (type(error), error.retryable) == (kind, retryable)
    assert str(error) == f"HTTP {status}: upstream said no"


def test_the_status_body_gives_message_reason_and_causes() -> None:
    details = {"retryAfterSeconds": 3, "causes": [{"reason": "NamespaceTerminating"}]}
    body = {"reason": "AlreadyExists", "message": "taken", "code": 409, "details": details}
    error = errors.from_response(409, {}, json.dumps(body).encode(), NOW)
    assert isinstance(error, errors.AlreadyExistsError)
    assert (str(error), error.retry_after) == ("taken", 3)
    assert error.has_cause("NamespaceTerminating")
    assert not error.has_cause("Other")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("12", 12.0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("soon", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert errors.parse_retry_after(value, NOW) == seconds
