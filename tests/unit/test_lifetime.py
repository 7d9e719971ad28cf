"""When a tenant expires, and what a repeated create does to that."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vcp import inventory
from vcp.errors import UsageError
from vcp.provision import lifetime
from vcp.spec import load
from vcp.spec.durations import duration

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SOON, PAST = NOW + timedelta(minutes=5), NOW - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("ttl", "before", "current", "expected"),
    [
        ("", "", None, None),
        ("", "1h", SOON, None),  # taken back
        ("1h", "", None, NOW + timedelta(hours=1)),  # the first create
        ("1h", "1h", SOON, SOON),  # the same again
        ("2h", "1h", SOON, NOW + timedelta(hours=2)),
        ("1h", "1h", PAST, NOW + timedelta(hours=1)),  # it is used again before anybody has reaped it
        ("1h", "1h", None, NOW + timedelta(hours=1)),
    ],
)
def test_the_moment(ttl: str, before: str, current: datetime | None, expected: datetime | None) -> None:
    assert lifetime.moment(ttl, before=before, current=current, now=NOW) == expected


def test_the_moment_is_read_back_as_it_was_written() -> None:
    assert lifetime.written(NOW) == "2026-05-01T12:00:00Z"
    assert inventory.expiry(noted(lifetime.written(NOW))) == NOW


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_no_reason_to_delete_a_tenant(text: str) -> None:
    assert inventory.expiry(noted(text)) is None


def test_a_namespace_without_a_record_expires_too() -> None:
    meta = {"labels": {"vcp.dev/tenant": "a"}, "creationTimestamp": "2026-05-01T11:00:00Z"}
    spaces = [
        {"metadata": meta | {"name": "vcp-a"} | noted(lifetime.written(PAST))["metadata"]},
        {"metadata": meta | {"name": "vcp-a-work"} | noted(lifetime.written(SOON))["metadata"]},
    ]
    (tenant,) = inventory.assemble([], [], spaces, whole=True)
    assert tenant.expires == SOON


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5h", 5400), ("0.25s", 0.25), ("1h30m", 5400), ("1y2d", 31_708_800), ("0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "1 h", "1h 30m", "30m1h", "1h1h", "1e3", "-1h", "1w", "\u0661h", "1h30"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration; write for example 90s"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "said"), [("1w", "not a duration"), ("0s", "out of range"), ("11y", "range")]
)
def test_a_spec_with_a_wrong_ttl(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"ttl: .*{said}"):
        load({"name": "a", "ttl": text})


def noted(text: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {inventory.EXPIRES_AT: text} if text else {}}}
