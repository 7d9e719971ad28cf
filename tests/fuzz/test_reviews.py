"""The metrics API never fails: whatever is asked, by whoever says whatever of themselves, and whatever the
tenant's own API answers about them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streamhost import NAME, Authorities

from kube.objects import Obj
from syncer.core.scope import Scope
from syncer.engine.metrics import Metrics
from syncer.kinds.metrics import callers
from syncer.serve.metricsapi import MetricsApi, serving
from syncer.serve.requestmetrics import RequestMetrics
from tests.fuzz import serving as fuzz
from tests.fuzz.effort import examples
from tests.fuzz.mutations import mutated

SCOPE = Scope("acme", "vcp-acme-work", "vcp-acme")
ROOT = b"/apis/metrics.k8s.io/v1beta1"
ANSWER = {
    "apiVersion": "authorization.k8s.io/v1",
    "kind": "SubjectAccessReview",
    "metadata": {},
    "spec": {"user": "jane"},
    "status": {"allowed": True, "reason": "RBAC: allowed", "denied": False},
}


class Tenant:
    """Answers reviews with `answer`, as a client decodes it."""

    answer: Any = ANSWER

    async def create(self, _api: Any, _namespace: str, body: Obj) -> Any:
        msgspec.json.encode(body)  # as a client does
        return self.answer


class Host:
    """Has measured nothing."""

    async def send(self, _: Any) -> Obj:
        return {"items": []}


class Server:
    """The metrics API behind TLS, and a client with the certificate of the tenant's proxy."""

    def __init__(self, loop: fuzz.Loop, folder: Path) -> None:
        self.tenant, metrics, self._loop = Tenant(), Metrics(), loop
        measured = RequestMetrics("metrics-api", metrics.served, metrics.serving)
        api = MetricsApi(SCOPE, self.tenant, Host(), measured)  # type: ignore[arg-type]
        api._reviews._known = Forgetful()
        known = Authorities(folder)
        known.make("request-header-ca")
        known.sign("proxy", callers.PROXY, ca="request-header-ca")
        self._port, self._tls = loop.enter(serving(0, folder, api)), known.client("proxy")

    def ask(self, target: bytes, *headers: bytes) -> tuple[int, bytes]:
        lines = [b"GET " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers, b"", b""]
        answer = self._loop.run(fuzz.said(self._port, self._tls, NAME, b"\r\n".join(lines)))
        return fuzz.status_of(answer), answer.partition(b"\r\n\r\n")[2]


class Forgetful(dict[Any, Any]):
    """So that each example asks anew."""

    def __setitem__(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with fuzz.loop() as loop:
        yield Server(loop, tmp_path_factory.mktemp("metrics"))


@examples(60)
@given(mutated(ANSWER).filter(lambda answer: isinstance(answer, dict)))
@example({"status": []})
@example({"status": {"allowed": "false"}})
@example({"status": {"allowed": True, "reason": ["x"]}})
def test_whatever_the_tenants_api_answers(server: Server, answer: Any) -> None:
    """It is believed only where it says `true`."""
    server.tenant.answer = answer
    status, _ = server.ask(ROOT + b"/pods", b"X-Remote-User: jane")
    said = answer.get("status")
    allowed = isinstance(said, dict) and said.get("allowed") is True
    assert status in ({200, 503} if allowed else {403, 503})


SOME = st.binary(max_size=12).map(lambda text: text.translate(None, b"\r\n\0"))
TARGETS = st.sampled_from(
    [
        *(
            ROOT + path
            for path in (b"/pods", b"/nodes", b"/namespaces/default/pods", b"/namespaces/x/pods/y", b"")
        ),
        *(
            b"/",
            b"/apis",
            b"/openapi/v2",
            b"//",
            b"*",
            b"http://x/y",
            ROOT + b"/../pods",
            ROOT + b"/nodes/%2e%2e",
        ),
    ]
)
QUERIES = st.sampled_from(
    [b"labelSelector=", b"fieldSelector=", b"watch=", b"limit=", b"a=1&labelSelector=x&"]
)
WORDS = st.sampled_from(
    [
        b"a",
        b"!a",
        b"a in (b,",
        b"a notin ()",
        b"a>1",
        b"a<%ff",
        b"a>" + b"9" * 4400,
        b"=",
        b",",
        b"metadata.name=x",
        b"%",
    ]
)
HEADERS = st.sampled_from(
    [
        *(
            b"X-Remote-User",
            b"X-Remote-Group",
            b"X-Remote-Uid",
            b"X-Remote-Extra-",
            b"X-Remote-Extra-a%ff%2F",
        ),
        *(
            b"Accept",
            b"Content-Length",
            b"Transfer-Encoding",
            b"Expect",
            b"Upgrade",
            b"Content-Encoding",
            b"Cookie",
        ),
    ]
)


@examples(120)
@given(
    TARGETS,
    st.lists(st.tuples(QUERIES, WORDS | SOME), max_size=3),
    st.lists(
        st.tuples(HEADERS, SOME | st.sampled_from([b"jane", b"system:masters", b"chunked", b"1"])), max_size=4
    ),
)
@example(ROOT + b"/pods", [], [(b"X-Remote-User", b"\xff")])
@example(ROOT + b"/pods", [], [(b"X-Remote-User", b"jane"), (b"X-Remote-Extra-%ed%a0%80", b"\xed\xa0\x80")])
@example(
    ROOT + b"/pods",
    [(b"labelSelector=", b"a>" + b"9" * 4400)],
    [(b"X-Remote-User", b"jane"), (b"X-Remote-Group", b"system:masters")],
)
def test_whatever_is_asked(
    server: Server, target: bytes, query: list[tuple[bytes, bytes]], headers: list[tuple[bytes, bytes]]
) -> None:
    server.tenant.answer = ANSWER
    asked = target + b"?" * bool(query) + b"&".join(name + word.replace(b" ", b"+") for name, word in query)
    status, body = server.ask(asked, *(name + b": " + value for name, value in headers))
    assert status == 0 or 200 <= status < 500 or status == 503, (status, body)
