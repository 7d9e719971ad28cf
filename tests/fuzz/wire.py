"""Requests to the kubelet endpoint that are nearly right, as bytes."""

from hypothesis import strategies as st
from streamhost import WORK, host_pod


def _one_of(*lines: bytes) -> st.SearchStrategy[bytes]:
    """One of the words between the bars."""
    return st.sampled_from([word for line in lines for word in line.split(b"|")])


_SEGMENTS = _one_of(
    b"default|web|main|other|uid-web|injected|kube-system|a..b|" + b"x" * 300,
    f"{WORK}|{host_pod()['metadata']['name']}".encode(),
    b"containerLogs|exec|attach|portForward|run|pods|logs|log|healthz",
    b"..|.||%2e%2e|%2E|web%2f..%2fother|web%00|web%0d%0aX:%20y|%|%zz|web%|w%65b|web#|web;a=b|web\\..|web@x",
    b"%25%32%65|\xc3\xa4|\xff|web%ff|%ef%bc%85|WEB|http:|*|web\t|web\x0b|web\x00|web x|web%20",
)
_ROOTS = _one_of(
    b"/containerLogs/default/web/main|/exec/default/web/main|/attach/default/web/uid-web/main",
    b"/portForward/default/web|/exec/default/web/uid-web/main|/portForward/default/web/uid-web",
)
_PREFIXES = _one_of(b"|" * 24 + b"/|http://x|//x|/..|/./|/%2f")
_PARAMETERS = _one_of(
    b"command|input|output|error|tty|follow|tailLines|sinceTime|stream|container|stdin|ports|port||previous",
    b"%63ommand|dryRun|insecureSkipTLSVerifyBackend",
)
_VALUES = _one_of(
    b"|1|true|false|All|a=b|a&b|%0d%0aHost:%20y|%00|%ff|+|%|80|80,81,,x|/etc/passwd|../..|#|?|\xff",
    b"%26container%3Dx|" + b"9" * 3000,
)
_HEADERS = _one_of(
    b"Host: y|Content-Length: 0|Content-Length: 5|Content-Length: -1|Content-Length: 0, 0",
    b"Transfer-Encoding: chunked|Transfer-Encoding: gzip, chunked|Transfer-Encoding: identity",
    b"Connection: Upgrade|Connection: close|Connection: keep-alive, Upgrade|Connection: Host",
    b"Upgrade: SPDY/3.1|Upgrade: websocket|Upgrade: h2c|Upgrade: SPDY/3.1, websocket|Upgrade:|X : y",
    b"Upgrade: SPDY/3.1\n Host: y|Sec-WebSocket-Key: x|Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Protocol: v5.channel.k8s.io|Sec-WebSocket-Extensions: a\x0bb",
    b"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.eA, x",
    b"Authorization: Bearer x|Impersonate-User: admin|X-Remote-User: admin|Cookie: a=b|Expect: 100-continue",
    b"X-Stream-Protocol-Version: v4\xff|X-Stream-Protocol-Version: a\rb|X: " + b"y" * 70_000,
    b" folded|NoColon|: empty|X\x00: y",
)
_UPGRADE = b"Host: x|Connection: Upgrade|Upgrade: SPDY/3.1|X-Stream-Protocol-Version: v5.channel.k8s.io"
_METHODS = _one_of(b"GET|POST|GET|POST|GET|POST|GET|HEAD|OPTIONS|CONNECT|get|G ET")
_VERSIONS = _one_of(b"HTTP/1.1|" * 12 + b"HTTP/1.0|HTTP/2.0|")
_ENDS = _one_of(b"\r\n|" * 9 + b"\n|\r")
_BODIES = _one_of(b"|" * 12 + b"hello|5\r\nhello\r\n0\r\n\r\n|0\r\n\r\n|\xff\xff")


def queries() -> st.SearchStrategy[bytes]:
    """Parameters, known or not, repeated or not, with their question mark."""
    pairs = st.tuples(_PARAMETERS, _VALUES).map(b"=".join)
    return st.lists(pairs, max_size=4).map(lambda found: b"?" + b"&".join(found) if found else b"")


@st.composite
def paths(draw: st.DrawFn) -> bytes:
    """A path that is right but for a few of its segments."""
    parts = draw(_ROOTS).split(b"/")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        place = draw(st.integers(0, len(parts) - 1))
        way = draw(st.sampled_from(["replace", "insert", "drop"]))
        if way == "drop":
            del parts[place]
            parts = parts or [b""]
        else:
            parts[place : place + (way == "replace")] = [draw(_SEGMENTS)]
    return draw(_PREFIXES) + b"/".join(parts)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A whole request, whose head and body may disagree."""
    usual = draw(st.sampled_from([[b"Host: x"], _UPGRADE.split(b"|"), _UPGRADE.split(b"|"), []]))
    headers = usual + draw(st.lists(_HEADERS, max_size=2))
    line = b" ".join([draw(_METHODS), draw(paths()) + draw(queries()), draw(_VERSIONS)])
    return draw(_ENDS).join([line, *headers, b"", draw(_BODIES)])
