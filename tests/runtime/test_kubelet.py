"""Who the kubelet endpoint lets in, which pods it finds, and what the host hears and answers."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from fakeapi import FakeApi, Key
from streamhost import (
    API_SERVER,
    NAME,
    WORK,
    Authorities,
    Endpoint,
    StreamHost,
    failing,
    host_pod,
    pod,
    scope,
    upgrade,
)
from syncing import eventually

from kube.auth import Access

EXEC = "/exec/default/web/main"
TUNNEL = "/portForward/default/web"
TENANT_PODS = (
    pod(
        "web",
        initContainers=[{"name": "first"}],
        ephemeralContainers=[{"name": "injected"}, {"name": "debug"}],
    ),
    pod("other"),
    pod("unborn"),
    pod("control"),
)
HOST_PODS = (
    host_pod("web", initContainers=[{"name": "first"}], ephemeralContainers=[{"name": "debug"}]),
    host_pod("other", uid="an-earlier-one"),
    host_pod("control", labels={"vcp.dev/component": "api"}),
)


@pytest.fixture
def authorities(tmp_path: Path) -> Authorities:
    made = Authorities(tmp_path)
    made.sign("api-server", *API_SERVER)
    return made


@pytest_asyncio.fixture
async def endpoint(api: FakeApi, authorities: Authorities) -> AsyncIterator[Endpoint]:
    api.objects |= {Key("pods", "default", one["metadata"]["name"]): one for one in TENANT_PODS}
    async with StreamHost().serve() as host:
        host.pods = {one["metadata"]["name"]: one for one in HOST_PODS}
        async with Endpoint(host, api, authorities).serving(scope(TENANT_PODS, HOST_PODS)) as made:
            yield made


@pytest.mark.parametrize(
    ("cn", "groups"),
    [
        ("vcp:admin", ("vcp:admins",)),
        ("vcp:syncer", ("system:masters",)),
        ("system:apiserver", ()),
        ("system:apiserver", ("vcp:admins",)),
        ("system:masters", ("system:apiserver",)),
    ],
)
async def test_a_certificate_of_the_right_ca_is_not_enough(
    endpoint: Endpoint, cn: str, groups: tuple[str, ...]
) -> None:
    endpoint.authorities.sign("somebody", cn, groups)
    status, _ = await endpoint.ask("/containerLogs/default/web/main", certificate="somebody")
    assert status == 403
    assert (await endpoint.ask("/healthz", certificate="somebody"))[0] == 403
    assert endpoint.host.heads == []


async def test_nobody_gets_in_without_a_certificate_of_the_ca(endpoint: Endpoint, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in ("", "api-server"):
        client = endpoint.authorities.client()
        if name:
            stranger = Authorities(foreign)
            stranger.sign(name, *API_SERVER)
            client.load_cert_chain(foreign / f"{name}.crt", foreign / f"{name}.key")
        # With TLS 1.3, the client hears of the refusal when it reads.
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await _answer(endpoint.port, client)
    assert (await endpoint.ask("/healthz")) == (200, "ok")


async def _answer(port: int, client: ssl.SSLContext) -> bytes:
    """Raises the error of the connection, at whatever moment it comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=NAME)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("/containerLogs/default/web/injected", 404, 'container "injected" not found in pod "web"'),
        ("/containerLogs/default/web/nothing", 404, 'container "nothing" not found in pod "web"'),
        ("/containerLogs/default/nobody/main", 404, 'pod "nobody" does not exist'),
        ("/containerLogs/other/web/main", 404, 'pod "web" does not exist'),
        ("/containerLogs/default/other/main", 404, 'pod "other" does not exist on its node'),
        ("/containerLogs/default/unborn/main", 404, 'pod "unborn" does not exist on its node'),
        ("/containerLogs/default/control/main", 404, 'pod "control" does not exist on its node'),
        ("/exec/default/web/uid-of-another/main?command=id", 404, 'pod "web" does not exist'),
        ("/exec/default/web/main?command=id", 400, "Upgrade request required"),
        ("/run/default/web/main?cmd=id", 404, "404 page not found"),
        ("/containerLogs/default/web", 404, "404 page not found"),
        ("/containerLogs/default//main", 404, "404 page not found"),
        ("/containerLogs/default/web%2Flog/main", 404, "404 page not found"),
        ("/containerLogs/default/%2e%2e/main", 404, "404 page not found"),
        ("/exec/default/web%3Fa=b/main", 404, "404 page not found"),
        *[
            (path, 404, "404 page not found")
            for path in ("/", "/pods", "/metrics", "/stats/summary", "/logs/")
        ],
    ],
)
async def test_only_what_is_the_tenants_is_found(
    endpoint: Endpoint, target: str, status: int, words: str
) -> None:
    assert await endpoint.ask(target) == (status, f"{words}\n")
    assert endpoint.host.heads == []


async def test_a_log_is_only_read(endpoint: Endpoint) -> None:
    assert (await endpoint.ask("/containerLogs/default/web/main", method="POST"))[0] == 405


async def test_a_no_comes_from_the_servers_when_the_stores_are_late(
    api: FakeApi, authorities: Authorities
) -> None:
    async with StreamHost().serve() as host, Endpoint(host, api, authorities).serving(scope((), ())) as late:
        assert (await late.ask("/containerLogs/default/web/main"))[0] == 404
        api.objects[Key("pods", "default", "web")] = pod("web")
        twin = host_pod("web")
        host.pods[twin["metadata"]["name"]] = twin
        async with late.upgraded(EXEC):
            assert host.heads[0].line.startswith(f"POST /api/v1/namespaces/{WORK}/pods/web-")


@pytest.mark.parametrize("container", ["main", "first", "debug"])
async def test_the_host_is_asked_as_the_syncer_in_its_own_words(endpoint: Endpoint, container: str) -> None:
    target = (
        f"/exec/default/web/uid-web/{container}?command=sh&command=-c&command=a%20%26b&input=1&output=1&tty=0"
    )
    mine = ("Authorization: Bearer mine", "Impersonate-User: admin", "Cookie: a=b", "X-Remote-User: admin")
    async with endpoint.upgraded(target, *mine) as (_, writer):
        writer.write(b"x")
    head = endpoint.host.heads[0]
    name = HOST_PODS[0]["metadata"]["name"]
    query = f"command=sh&command=-c&command=a+%26b&stdin=true&stdout=true&container={container}"
    assert head.line == f"POST /api/v1/namespaces/{WORK}/pods/{name}/exec?{query} HTTP/1.1"
    assert {key.lower() for key, _ in head.headers} == {
        *("host", "user-agent", "connection", "upgrade", "x-stream-protocol-version")
    }


async def test_a_token_in_a_websocket_protocol_stays_behind(endpoint: Endpoint) -> None:
    token = "base64url.bearer.authorization.k8s.io." + base64.urlsafe_b64encode(b"mine").decode()
    offered = f"Sec-WebSocket-Protocol: {token}, v5.channel.k8s.io"
    async with endpoint.upgraded(EXEC, offered, f"Sec-WebSocket-Protocol: {token}"):
        assert endpoint.host.heads[0].all("sec-websocket-protocol") == ["v5.channel.k8s.io"]


async def test_ports_and_log_options_are_translated(endpoint: Endpoint) -> None:
    async with endpoint.upgraded(f"{TUNNEL}?port=80,443"):
        assert endpoint.host.heads[0].line.split()[1].endswith("/portforward?ports=80&ports=443")
    endpoint.host.play = failing(400, {"message": "no"})
    options = "follow=true&previous=true&tailLines=3&sinceSeconds=4&limitBytes=5&timestamps=true"
    await endpoint.ask(f"/containerLogs/default/web/main?stream=All&pretty=1&{options}")
    asked = endpoint.host.heads[1].line.split()[1].partition("?")[2]
    assert sorted(asked.split("&")) == sorted([*options.split("&"), "container=main"])
    await endpoint.ask("/containerLogs/default/web/main?stream=Stdout")
    assert "stream=Stdout" in endpoint.host.heads[2].line


async def test_the_hosts_words_come_back_with_the_tenants_names(endpoint: Endpoint) -> None:
    name = HOST_PODS[0]["metadata"]["name"]
    waiting = f'container "main" in pod "{name}" is waiting to start: ContainerCreating'
    endpoint.host.play = failing(400, {"message": waiting})
    expected = (400, 'container "main" in pod "web" is waiting to start: ContainerCreating\n')
    assert await endpoint.ask("/containerLogs/default/web/main") == expected
    endpoint.host.play = failing(500, {"message": f"Internal error occurred: no {WORK}/{name}"})
    assert await endpoint.ask("/containerLogs/default/web/main") == (500, "no default/web\n")


async def test_the_syncers_own_rights_are_nobodys_business(endpoint: Endpoint) -> None:
    told = 'pods "x" is forbidden: User "system:serviceaccount:a:b" cannot get resource "pods/log"'
    for status, message in ((401, "Unauthorized"), (403, told)):
        endpoint.host.play = failing(status, {"message": message})
        expected = (502, "the host does not let the syncer speak to pods\n")
        assert await endpoint.ask("/containerLogs/default/web/main") == expected
    endpoint.host.play = failing(403, {"message": "admission webhook denied the request: not here"})
    assert (await endpoint.ask("/containerLogs/default/web/main"))[0] == 403


async def test_a_rotated_token_is_read_again(api: FakeApi, authorities: Authorities, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    async with StreamHost().serve() as host:
        access = Access(host.url, token=token)
        async with Endpoint(host, api, authorities).serving(scope(TENANT_PODS, HOST_PODS), access) as made:
            async with made.upgraded(EXEC):
                pass
            token.write_text("new")
            echo, refuse = host.play, failing(401, {"message": "Unauthorized"})

            async def only_new(head, reader, writer):  # type: ignore[no-untyped-def]
                play = echo if head.all("authorization") == ["Bearer new"] else refuse
                await play(head, reader, writer)

            host.play = only_new
            async with made.upgraded(EXEC):
                pass
    told = [head.all("authorization")[0] for head in host.heads]
    assert told == ["Bearer old", "Bearer old", "Bearer new"]


async def test_new_certificates_are_served_and_asked_for_without_a_restart(endpoint: Endpoint) -> None:
    old = endpoint.authorities.client("api-server")
    for name in ("server-ca", "kubelet-client-ca"):
        endpoint.authorities.make(name)
    endpoint.authorities.sign("syncer-serving", "vcp:syncer", ca="server-ca", server=True, sans=(NAME,))
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", endpoint.port, ssl=old, server_hostname=NAME)
    endpoint.authorities.sign("api-server", *API_SERVER)
    assert (await endpoint.ask("/healthz"))[0] == 200
    (endpoint.authorities.folder / "syncer-serving.key").write_text("half of a")
    assert (await endpoint.ask("/healthz"))[0] == 200


async def test_a_host_that_is_away_is_said_to_be(endpoint: Endpoint) -> None:
    async def hang_up(*_: object) -> None: ...

    endpoint.host.play = hang_up
    assert await endpoint.ask("/containerLogs/default/web/main") == (502, "the host cannot be reached\n")


async def test_what_is_no_http_or_has_a_body_is_refused(endpoint: Endpoint) -> None:
    for said in (b"\x16\x03\x01 nonsense\r\n\r\n", upgrade(EXEC, "Content-Length: 4") + b"body"):
        async with endpoint.connected() as (reader, writer):
            writer.write(said)
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    await eventually(lambda: endpoint.open("exec") == 0)
