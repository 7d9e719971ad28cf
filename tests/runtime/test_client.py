"""The client against a server that pages, watches, conflicts, throttles and drops connections."""

import asyncio
from typing import Any, TypedDict

import pytest
from aiohttp import WSMsgType, web
from fakeapi import FakeApi

from kube import errors, requests
from kube.apis import CONFIG_MAPS, PODS, SECRETS
from kube.auth import Access, Identity
from kube.client import Client


def config_map(name: str, **data: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "default", "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


async def test_a_list_joins_its_pages_and_completes_its_items(api: FakeApi, client: Client) -> None:
    for index in range(5):
        api.put("configmaps", config_map(f"c{index}"))
    found = await client.list(CONFIG_MAPS, "default", page_size=2)
    assert [item["metadata"]["name"] for item in found] == [f"c{index}" for index in range(5)]
    assert {(item["apiVersion"], item["kind"]) for item in found} == {("v1", "ConfigMap")}
    assert (found.resource_version, len(api.requests)) == ("5", 3)
    assert [item["metadata"]["name"] for item in await client.list(CONFIG_MAPS, labels="app=c3")] == ["c3"]


class _Named(TypedDict, total=False):
    metadata: Any


async def test_only_what_the_shape_has_is_listed(api: FakeApi, client: Client) -> None:
    api.put("configmaps", config_map("a"))
    (found,) = await client.list(CONFIG_MAPS, "default", shape=_Named)
    assert found.keys() == {"apiVersion", "kind", "metadata"}


async def test_a_list_that_is_none_is_a_transport_error(api: FakeApi, client: Client) -> None:
    api.routes["/api/v1/configmaps"] = lambda _: web.json_response({"kind": "Table", "rows": []})
    with pytest.raises(errors.TransportError, match="expected"):
        await client.list(CONFIG_MAPS)


async def test_a_watch_tells_changes_and_bookmarks_from_the_version_on(api: FakeApi, client: Client) -> None:
    api.put("configmaps", config_map("before"))
    seen = []
    async with asyncio.timeout(5):
        async for event in client.watch(CONFIG_MAPS, "default", resource_version="1"):
            seen.append((event.type, event.object["metadata"].get("name", "")))
            if event.type == "BOOKMARK":
                if len(seen) > 1:
                    break
                api.put("configmaps", config_map("new"))
                api.put("configmaps", config_map("new", key="value"))
                api.remove("configmaps", "new", "default")
    assert seen == [
        ("BOOKMARK", ""),
        ("ADDED", "new"),
        ("MODIFIED", "new"),
        ("DELETED", "new"),
        ("BOOKMARK", ""),
    ]


async def test_a_watch_from_a_forgotten_version_is_gone(api: FakeApi, client: Client) -> None:
    api.put("configmaps", config_map("a"))
    api.compact()
    with pytest.raises(errors.GoneError):
        async for _ in client.watch(CONFIG_MAPS, resource_version="0"):
            pass


async def test_create_apply_patch_replace_delete(api: FakeApi, client: Client) -> None:
    created = await client.create(CONFIG_MAPS, "default", config_map("a", x="1"))
    with pytest.raises(errors.AlreadyExistsError):
        await client.create(CONFIG_MAPS, "default", config_map("a"))
    applied = await client.apply(CONFIG_MAPS, "default", config_map("a", y="2"), field_manager="vcp")
    assert applied["data"] == {"x": "1", "y": "2"}
    again = await client.apply(CONFIG_MAPS, "default", config_map("a", y="2"), field_manager="vcp")
    assert again["metadata"]["resourceVersion"] == applied["metadata"]["resourceVersion"]
    patched = await client.patch(CONFIG_MAPS, "default", "a", {"data": {"x": None}})
    assert patched["data"] == {"y": "2"}
    with pytest.raises(errors.ConflictError):
        await client.replace(CONFIG_MAPS, "default", created)
    with pytest.raises(errors.ConflictError):
        await client.delete(CONFIG_MAPS, "default", "a", uid="another")
    await client.delete(CONFIG_MAPS, "default", "a", uid=created["metadata"]["uid"])
    with pytest.raises(errors.NotFoundError):
        await client.get(CONFIG_MAPS, "default", "a")


async def test_a_throttled_request_is_repeated_after_the_pause_asked_for(
    api: FakeApi, client: Client
) -> None:
    api.fail_next("GET", 429, "TooManyRequests", {"Retry-After": "0"})
    api.fail_next("GET", 503, "ServiceUnavailable", {"Retry-After": "0"})
    assert await client.list(PODS) == []
    assert len(api.requests) == 3


async def test_a_failure_without_retry_after_is_the_callers(api: FakeApi, client: Client) -> None:
    api.fail_next("GET", 500, "InternalError")
    with pytest.raises(errors.ServerError, match="injected 500"):
        await client.list(PODS)


async def test_a_broken_connection_is_repeated_only_where_it_is_harmless(
    api: FakeApi, client: Client
) -> None:
    api.fail_next("GET")
    assert await client.list(PODS) == []
    api.fail_next("POST")
    with pytest.raises(errors.TransportError):
        await client.create(CONFIG_MAPS, "default", config_map("a"))
    assert api.find("configmaps", "a", "default") is None


async def test_attempts_of_one_leave_every_repetition_to_the_caller(api: FakeApi) -> None:
    api.fail_next("GET", 429, "TooManyRequests", {"Retry-After": "7"})
    async with Client(Access(api.url), attempts=1) as client:
        with pytest.raises(errors.TooManyRequestsError) as caught:
            await client.list(PODS)
    assert (caught.value.retryable, caught.value.retry_after) == (True, 7)


async def test_a_server_that_does_not_answer_is_a_timeout(api: FakeApi) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(2)
        return web.Response()

    api.routes["/version"] = hang
    async with Client(Access(api.url), timeout=0.2) as client:
        with pytest.raises(errors.RequestTimeoutError):
            await client.send(requests.raw("/version"))


async def test_a_list_may_take_longer_than_a_write(api: FakeApi) -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.4)
        return web.json_response({"metadata": {"resourceVersion": "7"}, "items": [config_map("a")]})

    api.routes["/api/v1/configmaps"] = slow
    async with Client(Access(api.url), timeout=0.1, page_timeout=5) as client:
        assert [item["metadata"]["name"] for item in await client.list(CONFIG_MAPS)] == ["a"]


async def test_a_port_without_a_listener_is_unreachable(unused_tcp_port: int) -> None:
    async with Client(Access(f"http://127.0.0.1:{unused_tcp_port}"), attempts=1) as client:
        with pytest.raises(errors.UnreachableError):
            await client.list(PODS)


async def test_an_answer_that_is_no_json_is_a_transport_error(api: FakeApi, client: Client) -> None:
    api.routes["/version"] = lambda _: web.Response(text='{"major": "1", "min')
    with pytest.raises(errors.TransportError, match="not JSON"):
        await client.send(requests.raw("/version"))


async def test_a_rotated_token_is_read_again_after_a_401(api: FakeApi, tmp_path: Any) -> None:
    token = tmp_path / "token"
    token.write_text("old")

    def check(request: web.Request) -> web.Response:
        token.write_text("new")
        accepted = request.headers["Authorization"] == "Bearer new"
        return web.json_response({}, status=200 if accepted else 401)

    api.routes["/version"] = check
    async with Client(Access(api.url, token=token)) as client:
        assert await client.send(requests.raw("/version")) == {}
    async with Client(Access(api.url, token="old")) as client:
        with pytest.raises(errors.UnauthorizedError):
            await client.send(requests.raw("/version"))


async def test_a_plugin_is_asked_for_the_token(api: FakeApi) -> None:
    async def plugin() -> Identity:
        return Identity(token="from-plugin")

    api.routes["/version"] = lambda request: web.json_response({"as": request.headers["Authorization"]})
    async with Client(Access(api.url, plugin=plugin)) as client:
        assert await client.send(requests.raw("/version")) == {"as": "Bearer from-plugin"}


async def test_a_stream_arrives_in_pieces(api: FakeApi, client: Client) -> None:
    async def follow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in (b"one\n", b"two\n"):
            await response.write(line)
            await asyncio.sleep(0.02)
        return response

    api.routes["/api/v1/namespaces/default/pods/web/log"] = follow
    pieces = [piece async for piece in client.stream(requests.logs("default", "web", follow=True))]
    assert pieces == [b"one\n", b"two\n"]


async def test_a_websocket_is_upgraded_with_its_protocol(api: FakeApi, client: Client) -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data)
        return socket

    api.routes["/api/v1/namespaces/default/pods/web/portforward"] = echo
    path = PODS.path("default", "web", "portforward")
    async with client.websocket(path, {"ports": "6443"}, ("v4.channel.k8s.io",)) as socket:
        await socket.send_bytes(b"\0hello")
        message = await socket.receive(timeout=5)
    assert (socket.protocol, message.type, message.data) == (
        "v4.channel.k8s.io",
        WSMsgType.BINARY,
        b"\0hello",
    )
    with pytest.raises(errors.NotFoundError):
        async with client.websocket(PODS.path("default", "nope", "portforward"), {}, ()):
            pass


async def test_a_denied_verb_is_forbidden(api: FakeApi, client: Client) -> None:
    api.denied.add(("list", "secrets/all"))
    with pytest.raises(errors.ForbiddenError):
        await client.list(SECRETS)
    assert await client.list(SECRETS, "default") == []
