"""Whatever an API server answers is an object or a KubeError: all that waits and retries counts on that."""

import contextlib
import math
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from kube import client, errors
from kube.watching import WatchDecoder
from syncer.kinds.pods.partial import TenantPod
from tests.fuzz.effort import examples
from tests.fuzz.mutations import mutated

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATUS = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "message": "too old",
    "reason": "Expired",
    "code": 410,
    "details": {"retryAfterSeconds": 1, "causes": [{"reason": "NamespaceTerminating", "message": "x"}]},
}
POD = {"metadata": {"name": "web", "resourceVersion": "7"}, "spec": {"containers": []}, "status": {}}
LIST = {"metadata": {"resourceVersion": "9", "continue": ""}, "items": [POD]}
EVENT = {"type": "ADDED", "object": POD}
NONSENSE = (
    b"",
    b"\xff",
    b'{"a": "\xff"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'"\\ud800"',
    b"1" + b"0" * 5000,
)


def is_sound(error: errors.KubeError) -> None:
    """What is read of errors, as those read it who catch them."""
    assert str(error) is not None
    assert error.retry_after is None or (error.retry_after >= 0 and math.isfinite(error.retry_after))
    if isinstance(error, errors.ApiError):
        assert isinstance(error.status, int)
        assert isinstance(error.message, str)
        assert isinstance(error.reason, str)
        assert error.has_cause("NamespaceTerminating") in (True, False)
        assert error.details.get("name") or True


@examples(100)
@given(st.binary(max_size=50) | st.sampled_from(NONSENSE) | mutated(LIST).map(msgspec.json.encode))
def test_an_answer_is_an_object_or_an_error(body: bytes) -> None:
    for decoder in (client._decoder, client._page_decoder(TenantPod)):
        with contextlib.suppress(errors.KubeError):
            client._decoded(decoder, body)  # type: ignore[misc]  # the decoders differ in type


@examples(200)
@given(
    st.sampled_from([301, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503]),
    st.none()
    | st.sampled_from(["1", "-1", "x", "\u00b2", "9" * 400, "inf", "Thu, 99 Foo 2026", "1e3"])
    | st.text(max_size=5),
    st.binary(max_size=50) | st.sampled_from(NONSENSE) | mutated(STATUS).map(msgspec.json.encode),
)
@example(429, None, b'{"details": {"retryAfterSeconds": "soon"}}')
@example(429, None, b'{"details": {"retryAfterSeconds": -1}}')
@example(409, None, b'{"details": []}')
@example(409, None, b'{"details": {"causes": ["x"]}}')
@example(409, "\u00b2", b"{}")
@example(409, "9" * 400, b"{}")
@example(409, None, b'{"reason": {}, "message": ["x"]}')
def test_a_failure_is_an_error_whose_fields_have_their_types(
    status: int, after: str | None, body: bytes
) -> None:
    is_sound(errors.from_response(status, {"Retry-After": after} if after else {}, body, NOW))


@examples(200)
@given(
    st.lists(
        st.binary(max_size=20)
        | st.sampled_from(NONSENSE)
        | (mutated(EVENT) | mutated({"type": "ERROR", "object": STATUS})).map(msgspec.json.encode),
        max_size=3,
    )
)
@example([b'{"type": "ERROR", "object": {"code": "gone"}}'])
@example([b'{"type": "ERROR", "object": {"code": null, "details": {"retryAfterSeconds": {}}}}'])
def test_a_watch_gives_events_or_an_error(lines: list[bytes]) -> None:
    for shape in (TenantPod, dict[str, Any]):
        decoder = WatchDecoder(shape)
        try:
            for event in decoder.feed(b"\n".join([*lines, b""])):
                assert isinstance(event.object, dict)
            decoder.finish()
        except errors.KubeError as error:
            is_sound(error)
