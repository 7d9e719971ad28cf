"""The kubelet endpoint never fails and never leads anywhere else: whatever is sent, the host hears of nothing
but logs, exec, attach and port-forward of this tenant's pods, and each connection is answered or ends."""

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streamhost import API_SERVER, NAME, SWITCHED, WORK, Authorities, host_pod, pod, scope

from kube.auth import Access
from kube.client import Client
from syncer.engine.metrics import Metrics
from syncer.kinds.pods import streams
from syncer.serve.certificates import ServingTls
from syncer.serve.hostpods import refusal
from syncer.serve.kubelet import Kubelet
from syncer.serve.podlookup import PodLookup
from tests.connections import served
from tests.fuzz import serving as fuzz
from tests.fuzz.effort import examples
from tests.fuzz.mutations import TEXTS, mutated
from tests.fuzz.wire import paths, queries, requests

LOG = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
TENANT_PODS, HOST_PODS = (pod(), pod("other")), (host_pod(), host_pod("other", uid="an-earlier-one"))
WEB = HOST_PODS[0]["metadata"]["name"]

_LINE = re.compile(
    rf"(GET|POST) /api/v1/namespaces/{WORK}/pods/([a-z0-9-]+)(?:/([a-z]+)(?:\?(\S*))?)? HTTP/1\.1"
)
_READ = re.compile(r"GET /api/v1/namespaces/[a-z0-9.-]+/pods/[a-z0-9.-]+ HTTP/1\.1")
_PARAMETERS = {
    "log": {"container", *streams._LOGGED},
    "exec": {"container", "command", *streams._STREAMED.values()},
    "attach": {"container", *streams._STREAMED.values()},
    "portforward": {"ports"},
}
_HEADERS = {
    *("host", "user-agent", "connection", "upgrade", "x-stream-protocol-version", "sec-websocket-accept"),
    *("sec-websocket-extensions", "sec-websocket-key", "sec-websocket-protocol", "sec-websocket-version"),
    *("accept", "accept-encoding"),  # the client's own, which looks pods up
}


class Recorder:
    """An API server that keeps every head that it reads, and answers as one that has the pod `web`."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.url = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Recorder"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with served(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                path = head.split()[1].partition("?")[0]
                if path.endswith(("/exec", "/attach", "/portforward")):
                    writer.write(SWITCHED)
                    await reader.read()
                    return
                writer.write(LOG if path.endswith("/log") else NOT_FOUND)


class Server:
    """The endpoint between both API servers, and a client with the certificate of the tenant's."""

    def __init__(self, loop: fuzz.Loop, folder: Path) -> None:
        self._loop, known = loop, Authorities(folder)
        known.sign("api-server", *API_SERVER)
        self._tls = known.client("api-server")
        self.tenant, self.host = loop.enter(Recorder().serving()), loop.enter(Recorder().serving())
        clients = [loop.enter(Client(Access(one.url), timeout=2)) for one in (self.tenant, self.host)]
        lookup = PodLookup(scope(TENANT_PODS, HOST_PODS), *clients)
        kubelet = Kubelet(ServingTls(folder), lookup, Metrics().streams)
        self._port = loop.enter(kubelet.serving(0, asyncio.Event()))

    def tell(self, *pieces: bytes, secure: bool = True, **options: float) -> bytes:
        """All that is answered; what both API servers heard meanwhile is looked at."""
        self.tenant.heads.clear()
        self.host.heads.clear()
        client = self._tls if secure else None
        answer = self._loop.run(fuzz.said(self._port, client, NAME, *pieces, **options))
        for head in self.host.heads:
            is_allowed(head)
        for head in self.tenant.heads:
            assert _READ.fullmatch(head.partition("\r\n")[0]), head
        return answer


def is_allowed(head: str) -> None:
    """That the host may be asked this: a known subresource of our pod, known parameters, and our headers."""
    line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    match = _LINE.fullmatch(line)
    assert match, line
    method, _, subresource, query = match.groups()
    if subresource is None:
        assert method == "GET"
    else:
        assert match[2] == WEB, line
        assert method == "GET" or subresource != "log"
        asked = {name for name, _ in parse_qsl(query or "", keep_blank_values=True)}
        assert asked <= _PARAMETERS[subresource], line
    found = [one.partition(":")[0].lower() for one in lines]
    assert set(found) <= _HEADERS, head
    assert found.count("host") == 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with fuzz.loop() as loop:
        yield Server(loop, tmp_path_factory.mktemp("kubelet"))


def test_what_is_right_reaches_the_host(server: Server) -> None:
    """Else nothing would be tested."""
    answer = server.tell(b"GET /containerLogs/default/web/main HTTP/1.1\r\nHost: x\r\n\r\n")
    assert fuzz.status_of(answer) == 200
    assert len(server.host.heads) == 1
    upgrade = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
    answer = server.tell(b"POST /exec/default/web/main?command=a&input=1 HTTP/1.1\r\n" + upgrade)
    assert fuzz.status_of(answer) == 101
    assert len(server.host.heads) == 1


@examples(60)
@given(st.binary(max_size=300), st.booleans())
@example(b"\x16\x03\x01\x00\x05hello", False)
@example(b"GET / HTTP/1.1\r\n\r\n", False)
@example(b"\r\n" * 5000, True)
@example(b"A" * (2 << 20), True)
@example(b"GET /" + b"a" * (2 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n", True)
@example(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000, True)
@example(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", True)
def test_any_bytes(server: Server, sent: bytes, secure: bool) -> None:
    server.tell(sent, secure=secure, patience=0.0)
    assert server.host.heads == []


TELLING = (
    b"Host: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nAuthorization: Bearer x\r\nCookie: a=b\r\n"
    b"Impersonate-User: admin\r\nX-Remote-User: admin\r\n\r\n"
)
TWICE = b"Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


@examples(300)
@given(requests(), st.lists(st.integers(1, 400), max_size=2))
@example(b"GET /containerLogs/default/web/main HTTP/1.1\r\n" + TWICE, [])
@example(b"GET /containerLogs/default/\xff/main HTTP/1.1\r\nHost: x\r\n\r\n", [])
@example(b"GET /containerLogs/default/web/main?\xff HTTP/1.1\r\nHost: x\r\n\r\n", [])
@example(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", [])
@example(b"POST /exec/default/web/main?command=a HTTP/1.1\r\n" + TELLING, [])
@example(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", [])
@example(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", [])
@example(b"CONNECT /healthz HTTP/1.1\r\nHost: x\r\n\r\n", [])
def test_requests_that_are_nearly_right(server: Server, sent: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    answer = server.tell(*(sent[start:end] for start, end in itertools.pairwise(places)))
    assert len([head for head in server.host.heads if _LINE.match(head)[3]]) <= 1  # type: ignore[index]
    assert not answer or fuzz.status_of(answer) in {101, 501, *range(200, 500)}, answer
    assert answer.count(b"HTTP/1.1 ") <= 1 + answer.startswith(b"HTTP/1.1 100"), answer


@examples(300)
@given(paths(), queries())
def test_a_target_leads_to_a_pod_of_ours_or_nowhere(path: bytes, query: bytes) -> None:
    """The parser alone, for the price of many more examples."""
    request = streams.parse((path + query).decode("latin-1"))
    if request is not None:
        target = request.target(scope((), ()).host_key(request.pod))
        match = _LINE.fullmatch(f"GET {target} HTTP/1.1")
        assert match
        assert match[3] in _PARAMETERS
        assert target.isascii()


STATUS = {"message": "x", "details": {"causes": [{"reason": "UnexpectedServerResponse", "message": "no"}]}}


@examples(100)
@given(st.integers(100, 599), st.sampled_from(TEXTS) | mutated(STATUS).map(json.dumps) | st.text(max_size=9))
def test_whatever_the_host_refuses_with(status: int, body: str) -> None:
    refused = refusal(status, body)
    assert isinstance(refused.text, str)
    assert refused.text
