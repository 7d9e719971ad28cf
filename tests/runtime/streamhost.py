"""A kubelet endpoint between a client with a certificate and a raw host API, over loopback.

The host is made of sockets, because what matters are single bytes: when they arrive, and that they do.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fakeapi import FakeApi, Obj
from syncing import CONTROL, SYNCER, TENANT, WORK, granted

from kube.apis import ApiResource
from kube.auth import Access
from kube.client import Client
from kube.objects import Key
from syncer.core.names import host_name
from syncer.core.policy import Sync
from syncer.core.scope import Nothing, Scope
from syncer.engine.metrics import Metrics
from syncer.kinds.registry import registry
from syncer.serve.certificates import ServingTls
from syncer.serve.kubelet import Kubelet
from syncer.serve.podlookup import PodLookup
from tests.connections import served
from vcp import certificates, pki
from vcp.render.syncer import in_tenant

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
API_SERVER = ("system:apiserver", ("system:masters",))
NAME = f"kubelet.{CONTROL}.svc"
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    b"X-Stream-Protocol-Version: v5.channel.k8s.io\r\nAudit-Id: 42\r\n\r\n"
)
EXEC = "/exec/default/web/main?command=cat&input=1&output=1"
FOLLOW = "/containerLogs/default/web/main?follow=true"
LOG = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


class Authorities:
    """A server CA and a client CA, and what they sign, in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pairs: dict[str, certificates.Pair] = {}
        self._clients: dict[str, ssl.SSLContext] = {}
        for name in ("server-ca", "kubelet-client-ca"):
            self.make(name)
        self.sign("syncer-serving", "vcp:syncer", ca="server-ca", server=True, sans=(NAME,))

    def make(self, name: str) -> None:
        key, serial = pki.SYSTEM.ec_key(), pki.SYSTEM.serial()
        now, life = datetime.now(UTC), timedelta(days=1)
        self._pairs[name] = certificates.authority(name, f"vcp:{TENANT}", key, serial, now, life)
        self._write(name, self._pairs[name])

    def sign(self, file: str, cn: str, groups: tuple[str, ...] = (), **more: Any) -> None:
        options = {"ca": "kubelet-client-ca", "sans": (), "server": False} | more
        signer = self._pairs[options.pop("ca")]
        source, life = pki.SYSTEM, timedelta(days=1)
        made = (signer, source.ec_key(), source.serial(), datetime.now(UTC), life)
        server = options["server"]
        self._write(file, certificates.leaf(*made, name=cn, groups=groups, client=not server, **options))

    def _write(self, name: str, pair: certificates.Pair) -> None:
        self._clients.clear()
        (self.folder / f"{name}.crt").write_bytes(pair.certificate)
        (self.folder / f"{name}.key").write_bytes(pair.key)

    def client(self, certificate: str = "") -> ssl.SSLContext:
        """Trusts the server CA and shows a certificate, if one is named."""
        if certificate in self._clients:
            return self._clients[certificate]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.folder / "server-ca.crt")
        if certificate:
            files = (self.folder / f"{certificate}.{part}" for part in ("crt", "key"))
            context.load_cert_chain(*files)
            self._clients[certificate] = context
        return context

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "host.crt", self.folder / "host.key")
        return context


@dataclass
class Head:
    """What the host was asked."""

    line: str
    headers: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


Play = Callable[[Head, Reader, Writer], Awaitable[None]]


class StreamHost:
    """Answers each request as `play` does; requests for a pod itself from `pods`."""

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.pods: dict[str, Obj] = {}
        self.play: Play = echo
        self.url = ""

    @contextlib.asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["StreamHost"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", ssl=tls)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        async with served(writer):
            line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            pairs = [one.split(": ", 1) for one in lines]
            head = Head(line, [(name, value) for name, value in pairs])
            name = line.split()[1].removeprefix(f"/api/v1/namespaces/{WORK}/pods/")
            if "/" not in name:
                writer.write(_response(200 if name in self.pods else 404, self.pods.get(name, {})))
            else:
                self.heads.append(head)
                await self.play(head, reader, writer)


def _response(status: int, body: Obj) -> bytes:
    text = json.dumps(body).encode()
    kind = f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\nConnection: close"
    return f"HTTP/1.1 {status} x\r\n{kind}\r\n\r\n".encode() + text


async def echo(_: Head, reader: Reader, writer: Writer) -> None:
    """Sends back what comes."""
    writer.write(SWITCHED)
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


def failing(status: int, body: Obj) -> Play:
    async def play(_: Head, reader: Reader, writer: Writer) -> None:
        writer.write(_response(status, {"kind": "Status", "code": status} | body))

    return play


def pod(name: str = "web", **spec: Any) -> Obj:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {"containers": [{"name": "main"}]} | spec}


def host_pod(name: str = "web", *, uid: str = "", labels: dict[str, str] | None = None, **spec: Any) -> Obj:
    metadata = {
        "name": host_name(TENANT, "default", name),
        "namespace": WORK,
        "uid": f"host-{name}",
        "labels": {"vcp.dev/tenant": TENANT, "vcp.dev/namespace": "default"} | (labels or {}),
        "annotations": {"vcp.dev/name": name, "vcp.dev/uid": uid or f"uid-{name}"},
    }
    return {"metadata": metadata, "spec": {"containers": [{"name": "main"}, {"name": "injected"}]} | spec}


class Known(Nothing):
    """A cluster of some pods."""

    def __init__(self, *pods: Obj) -> None:
        self._pods = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in pods}

    def get(self, api: ApiResource, key: Key) -> Obj | None:
        return self._pods.get(tuple(key))


@dataclass
class Endpoint:
    """A kubelet endpoint, its host, and the ways to speak to it."""

    host: StreamHost
    tenant: FakeApi
    authorities: Authorities
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    metrics: Metrics = field(default_factory=Metrics)
    port: int = 0

    @contextlib.asynccontextmanager
    async def serving(self, scope: Scope, access: Access | None = None) -> AsyncIterator["Endpoint"]:
        self.tenant.granted[SYNCER] = granted(in_tenant(registry(Sync())))
        async with (
            Client(Access(self.tenant.url, token=SYNCER), timeout=5) as tenant,
            Client(access or Access(self.host.url), timeout=5) as host,
        ):
            lookup = PodLookup(scope, tenant, host)
            kubelet = Kubelet(ServingTls(self.authorities.folder), lookup, self.metrics.streams)
            async with kubelet.serving(0, self.stop) as self.port:
                yield self

    @contextlib.asynccontextmanager
    async def connected(self, certificate: str = "api-server") -> AsyncIterator[tuple[Reader, Writer]]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.authorities.client(certificate), server_hostname=NAME
        )
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(
        self, target: str, *, method: str = "GET", certificate: str = "api-server"
    ) -> tuple[int, str]:
        """The status and the body of a plain request."""
        async with self.connected(certificate) as (reader, writer):
            writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            whole = await reader.read()
            head, _, body = whole.decode().partition("\r\n\r\n")
            return int(head.split()[1]), body

    @contextlib.asynccontextmanager
    async def upgraded(self, target: str, *lines: str) -> AsyncIterator[tuple[Reader, Writer]]:
        """A connection behind its 101."""
        async with self.connected() as (reader, writer):
            writer.write(upgrade(target, *lines))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            yield reader, writer

    def open(self, kind: str) -> float:
        """The gauge of open streams."""
        value = self.metrics.registry.get_sample_value("vcp_syncer_streams", {"kind": kind})
        return value or 0.0


def upgrade(target: str, *lines: str) -> bytes:
    more = "".join(f"{line}\r\n" for line in lines)
    return (
        f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        f"X-Stream-Protocol-Version: v5.channel.k8s.io\r\n{more}\r\n"
    ).encode()


def scope(tenant: tuple[Obj, ...], host: tuple[Obj, ...]) -> Scope:
    bare = Scope(name=TENANT, namespace=WORK, control_namespace=CONTROL)
    return bare.reading(Known(*tenant), Known(*host))


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@contextlib.asynccontextmanager
async def streaming(api: FakeApi, folder: Path, *, secure: bool) -> AsyncIterator[Endpoint]:
    """An endpoint before a host with the pod `web`, which is reached with or without TLS."""
    authorities = Authorities(folder)
    authorities.sign("api-server", *API_SERVER)
    authorities.sign("host", "host", ca="server-ca", server=True, sans=("127.0.0.1",))
    async with StreamHost().serve(authorities.server() if secure else None) as host:
        access = Access(host.url, ca=folder / "server-ca.crt")
        found = scope((pod(),), (host_pod(),))
        async with Endpoint(host, api, authorities).serving(found, access) as made:
            yield made


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
