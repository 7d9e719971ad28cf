"""One API server as the load generator uses it; of a watch, only the fields that it looks at are decoded."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec

from kube import auth


class Metadata(msgspec.Struct):
    name: str = ""
    annotations: dict[str, str] = {}
    resourceVersion: str = ""  # noqa: N815  Kubernetes' names


class Spec(msgspec.Struct):
    nodeName: str = ""  # noqa: N815


class Condition(msgspec.Struct):
    type: str
    status: str


class Status(msgspec.Struct):
    phase: str = ""
    conditions: list[Condition] = []


class Pod(msgspec.Struct):
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    spec: Spec = msgspec.field(default_factory=Spec)
    status: Status | str = msgspec.field(default_factory=Status)


class Event(msgspec.Struct):
    type: str
    object: Pod


_events = msgspec.json.Decoder(Event)
_list = msgspec.json.Decoder(Pod)


class Api:
    """One API server as one user; nothing is tried again."""

    def __init__(self, session: aiohttp.ClientSession, access: auth.Access) -> None:
        self._session, self._server = session, access.server
        self._options: dict[str, Any] = {"server_hostname": access.server_name or None}
        self._credentials = auth.Credentials(access)
        if access.server.startswith("https:"):
            self._options["ssl"] = self._credentials.tls()

    async def send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        headers = await self._credentials.headers() | {"Content-Type": "application/json"}
        async with self._session.request(
            method, f"{self._server}{path}", data=body, headers=headers, **self._options
        ) as response:
            return response.status, await response.read()

    async def events(self, namespace: str, version: str) -> AsyncIterator[Event]:
        """Without end: an API server may close the watch of somebody who reads too slowly."""
        while True:
            async for event in self._watched(namespace, version):
                version = event.object.metadata.resourceVersion
                yield event
            print(f"the watch of {namespace} ended and is taken up again", file=sys.stderr)

    async def _watched(self, namespace: str, version: str) -> AsyncIterator[Event]:
        url = f"{self._server}/api/v1/namespaces/{namespace}/pods?watch=1&timeoutSeconds=3600"
        headers, rest = await self._credentials.headers(), b""
        async with self._session.get(
            f"{url}&resourceVersion={version}", headers=headers, **self._options
        ) as response:
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = _events.decode(line)
                    if event.type == "ERROR":
                        raise RuntimeError(f"the watch of {namespace} failed: {line.decode()}")
                    yield event

    async def version(self, namespace: str) -> str:
        """Of the whole collection, to watch from."""
        _, body = await self.send("GET", f"/api/v1/namespaces/{namespace}/pods?limit=1")
        return _list.decode(body).metadata.resourceVersion
