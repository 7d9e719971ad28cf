"""The webhook for Services never fails: whatever is posted, it answers with a review or says what it is not.

A failure would let the Service in as well, but would also be counted, logged and taken for a bug.
"""

import base64
import contextlib
import dataclasses
import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streamhost import API_SERVER, NAME, Authorities

from kube import errors
from kube.objects import Key, Obj
from syncer.core import names
from syncer.core.policy import Services, Sync
from syncer.core.scope import Scope
from syncer.engine.metrics import Metrics
from syncer.serve.requestmetrics import RequestMetrics
from syncer.serve.webhook import Webhook, serving
from tests.fuzz import serving as fuzz
from tests.fuzz.effort import examples
from tests.fuzz.mutations import ODD, mutated

SYNC = Sync(services=Services(external_ips=True, load_balancer_classes=("lb",), annotations=("*",)))
SCOPE = Scope("acme", "vcp-acme-work", "vcp-acme", anchor="anchor", sync=SYNC, now=1.0)
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default", "labels": {"a": "b"}, "annotations": {"note": "x"}},
    "spec": {
        "type": "LoadBalancer",
        "selector": {"app": "web"},
        "ports": [
            {"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080},
            {"name": "x", "port": 81},
        ],
        "clusterIP": "10.43.0.9",
        "clusterIPs": ["10.43.0.9"],
        "externalIPs": ["192.0.2.1"],
        "loadBalancerClass": "lb",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10}},
    },
}
REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "r-1",
        "operation": "CREATE",
        "dryRun": False,
        "namespace": "default",
        "name": "web",
        "object": SERVICE,
        "oldObject": None,
        "userInfo": {"username": "jane"},
    },
}


class Host:
    """Allots addresses, or refuses with `problem`. It may only be asked for the tenant's own Service."""

    problem: errors.KubeError | None = None

    async def create(self, api: Any, namespace: str, body: Obj) -> Obj:
        self._asked(namespace, body["metadata"]["name"])
        key = Key(
            body["metadata"]["labels"]["vcp.dev/namespace"], body["metadata"]["annotations"]["vcp.dev/name"]
        )
        assert body["metadata"]["name"] == names.host_name(SCOPE.name, *key)
        assert "vcp.dev/uid" not in body["metadata"]["annotations"]
        assert body["metadata"]["namespace"] == SCOPE.namespace
        if self.problem:
            raise self.problem
        return self._allotted(body)

    async def get(self, api: Any, namespace: str, name: str) -> Obj:
        self._asked(namespace, name)
        key = {"vcp.dev/tenant": "acme", "vcp.dev/namespace": "default"}
        metadata = {"name": name, "uid": "u", "labels": key, "annotations": {"vcp.dev/name": "web"}}
        metadata["annotations"]["vcp.dev/pending"] = "1"  # type: ignore[index]
        return self._allotted({"metadata": metadata, "spec": {"ports": [{"name": "x", "nodePort": 30001}]}})

    async def patch(self, api: Any, namespace: str, name: str, body: Obj) -> Obj:
        self._asked(namespace, name)
        assert set(body) == {"metadata", "spec"}
        assert set(body["metadata"]) == {"annotations", "uid"}
        return self._allotted(body)

    def _asked(self, namespace: str, name: str) -> None:
        assert namespace == SCOPE.namespace
        assert "/" not in name
        assert name.isascii()

    def _allotted(self, body: Obj) -> Obj:
        spec = {
            **body["spec"],
            "clusterIP": "10.43.1.1",
            "clusterIPs": ["10.43.1.1"],
            "healthCheckNodePort": 30002,
        }
        return body | {"spec": spec}


class Server:
    """The webhook behind TLS, and a client with the API server's certificate."""

    def __init__(self, loop: fuzz.Loop, folder: Any) -> None:
        self.host, metrics, self._loop = Host(), Metrics(), loop
        measured = RequestMetrics("webhook", metrics.served, metrics.serving)
        hook = Webhook(self.host, lambda: dataclasses.replace(SCOPE), measured)  # type: ignore[arg-type]
        known = Authorities(folder)
        known.sign("api-server", *API_SERVER)
        port = loop.enter(serving(0, folder, hook))
        self._url, self._tls = f"https://127.0.0.1:{port}/services", known.client("api-server")
        self._session = loop.enter(_session())

    def post(self, body: bytes) -> tuple[int, bytes]:
        return self._loop.run(self._post(body))

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        options: Any = {"ssl": self._tls, "server_hostname": NAME}
        async with self._session.post(self._url, data=io.BytesIO(body), **options) as response:
            return response.status, await response.read()


@contextlib.asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    """Made inside the loop."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with fuzz.loop() as loop:
        yield Server(loop, tmp_path_factory.mktemp("webhook"))


def is_answered(server: Server, body: bytes) -> Obj | None:
    """The response within the review, which is well-formed; None if the body is refused."""
    status, content = server.post(body)
    if 400 <= status < 500:
        return None
    assert status == 200, (status, content)
    review = msgspec.json.decode(content)
    assert set(review) == {"apiVersion", "kind", "response"}
    answer: Obj = review["response"]
    assert isinstance(answer["uid"], str)
    assert answer["allowed"] in (True, False)
    assert set(answer) <= {"uid", "allowed", "patchType", "patch", "warnings", "status"}
    assert ("patch" in answer) == ("patchType" in answer)
    if "patch" in answer:
        operations = msgspec.json.decode(base64.b64decode(answer["patch"]))
        assert {operation["op"] for operation in operations} == {"add"}
        assert all(operation["path"].startswith("/spec/") for operation in operations)
    if not answer["allowed"]:
        assert answer["status"]["code"] == 422
    return answer


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


@examples(150)
@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff")
@example(b'{"request": "\xff"}')
@example(b'{"request":' * 400)
@example(b'{"request":' + b"[" * 100_000)
@example(b'{"request":' + b"[" * 900 + b"]" * 900 + b"}")
@example(b'{"request": {"uid": "\\ud800"}}')
@example(b'{"request": {"uid": 1' + b"0" * 5000 + b"}}")
@example(b'{"request": {"uid": "a", "uid": 1}, "request": {"uid": "b"}}')
def test_any_bytes(server: Server, body: bytes) -> None:
    is_answered(server, body)


@examples(150)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False)
        | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["request", "uid", "object", "operation", "metadata", "spec", ""]), inner
            )
        ),
        max_leaves=12,
    )
)
@example({"request": {"uid": {}}})
@example({"request": {"uid": "a", "operation": "CREATE", "object": None}})
def test_any_json(server: Server, body: Any) -> None:
    is_answered(server, encoded(body))


@examples(600)
@given(
    mutated(REVIEW, odd=(*ODD, "CREATE", "default", "web")),
    st.sampled_from(
        [
            None,
            errors.AlreadyExistsError(409, {}),
            errors.InvalidError(422, {"message": "provided IP is already allocated"}),
            errors.ServerError(500, {}),
            errors.TransportError("reset"),
        ]
    ),
)
def test_reviews_that_are_nearly_right(server: Server, review: Any, problem: errors.KubeError | None) -> None:
    server.host.problem = problem
    answer = is_answered(server, encoded(review))
    if answer and isinstance(asked := review.get("request"), dict):
        assert answer["uid"] == asked["uid"]


def test_the_review_itself_is_answered(server: Server) -> None:
    """What is mutated reaches the host: else nothing would be tested."""
    server.host.problem = None
    answer = is_answered(server, encoded(REVIEW))
    assert answer
    assert answer["patchType"] == "JSONPatch"


def test_a_body_that_is_too_large(server: Server) -> None:
    status, _ = server.post(encoded(REVIEW) + b" " * 5 * 2**20)
    assert status == 413
