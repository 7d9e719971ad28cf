"""Moves the bytes: one session per API server, every request with a deadline, every failure a KubeError."""

import asyncio
import contextlib
import functools
import io
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec

from kube import auth, errors, requests, watching
from kube.apis import ApiResource
from kube.backoff import Backoff
from kube.objects import Obj
from kube.requests import Request

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)
_CONNECT_TIMEOUT = 10.0
_PIECE = 2**20
_RETRY = Backoff(0.2, 10.0)
_KEEPALIVE = 60.0  # an API server closes after 90: below that, a POST meets no closed connection
_BOOKMARK_INTERVAL = 60.0  # the API server sends one about every minute, so silence beyond it is a dead peer
_BOUNDED = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT)  # but for reads: the caller does
_decoder = msgspec.json.Decoder(Obj)


def _verb(build: Callable[P, Request]) -> Callable[Concatenate["Client", P], Awaitable[Obj]]:
    """The method that sends what `build` builds, with the same arguments."""

    def send(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[Obj]:
        return self.send(build(*args, **kwargs))

    return send


class ListResult(list[Obj]):
    """The items of all pages, each with its apiVersion and kind, and the version to watch from."""

    resource_version: str = ""


class Client:
    """An API server; `timeout` bounds each request, its attempts and pauses included, and each page of a list
    unless `page_timeout` does.

    A request is repeated when the server asks for it with Retry-After, on a broken connection if that does no
    harm, and once after a 401 if the credentials can be read again; `attempts=1` leaves all to the caller.
    Watches and streams count among the `connections`.
    """

    get = _verb(requests.get)
    create = _verb(requests.create)
    replace = _verb(requests.replace)
    apply = _verb(requests.apply)
    patch = _verb(requests.patch)
    delete = _verb(requests.delete)

    def __init__(
        self,
        access: auth.Access,
        *,
        timeout: float = 30.0,
        page_timeout: float | None = None,
        attempts: int = 4,
        connections: int = 32,
    ) -> None:
        self.access = access
        self.credentials = auth.Credentials(access)
        self._timeout = timeout
        self._page_timeout = timeout if page_timeout is None else page_timeout
        self._attempts = attempts
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEEPALIVE),
            headers={
                "User-Agent": "vcp"
            },  # Accept is */*: JSON where there is a choice; upgrades refuse JSON
            auto_decompress=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session:
            await self._session.close()

    async def send(self, request: Request) -> Obj:
        """The decoded answer."""
        return _decoded(_decoder, await self.read(request))

    async def read(self, request: Request) -> bytes:
        """The raw answer, whole."""
        return await self._read(request, self._timeout)

    async def _read(self, request: Request, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                for attempt in range(1, self._attempts + 1):
                    try:
                        async with self._open(request) as response:
                            return await response.read()
                    except errors.KubeError as error:
                        pause = self._pause(request, error, attempt)
                        if attempt == self._attempts or pause is None:
                            raise
                        await asyncio.sleep(pause)
        except TimeoutError as error:
            raise errors.RequestTimeoutError(
                f"{self.access.server} did not answer within {seconds:g} s"
            ) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def list(
        self,
        resource: ApiResource,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        page_size: int = 500,
        each: Callable[[Obj], Obj] = lambda obj: obj,
        shape: Any = Obj,
    ) -> ListResult:
        """All pages, consistent with each other. Raises GoneError if they outlive the server's history.
        Of objects only what `shape`, a TypedDict, has is decoded. `each` is applied to every object of a page
        before the next page is fetched, so that a long list need not be held as the server sends it."""
        result, token = ListResult(), ""
        while True:
            request = requests.list_page(
                resource, namespace, labels=labels, fields=fields, limit=page_size, continue_=token
            )
            page = _decoded(_page_decoder(shape), await self._read(request, self._page_timeout))
            for item in page.items or ():
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
                result.append(each(item))
            result.resource_version = page.metadata.resource_version
            token = page.metadata.token
            if not token:
                return result

    async def watch(
        self,
        resource: ApiResource,
        namespace: str = "",
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
        seconds: int = 300,
        shape: Any = Obj,
    ) -> AsyncIterator[watching.WatchEvent[Obj]]:
        """Events until the server ends the watch, objects as in `list`. Raises GoneError when
        `resource_version` is too old, and TransportError when the connection breaks or is silent for longer
        than bookmarks are apart."""
        request = requests.watch(
            resource,
            namespace,
            resource_version=resource_version,
            labels=labels,
            fields=fields,
            seconds=seconds,
        )
        decoder = watching.WatchDecoder(shape)
        async with self._open(request, _silent_for(_BOOKMARK_INTERVAL + 30)) as response:
            async for chunk in response.content.iter_any():
                for event in decoder.feed(chunk):
                    yield event
        decoder.finish()

    async def stream(self, request: Request, *, idle: float | None = None) -> AsyncIterator[bytes]:
        """The raw answer as it comes, e.g. a followed log; `idle` bounds the silence between two pieces."""
        async with self._open(request, _silent_for(idle)) as response:
            async for chunk in response.content.iter_any():
                yield chunk

    @contextlib.asynccontextmanager
    async def websocket(
        self, path: str, query: Mapping[str, str], protocols: tuple[str, ...]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket to a streaming subresource, e.g. `pods/web/portforward`."""
        session, options = await self._prepare()
        with _as_kube_errors(self.access.server):
            async with asyncio.timeout(self._timeout):
                socket = await session.ws_connect(
                    f"{self.access.server}{path}?{urlencode(query)}",
                    protocols=protocols,
                    max_msg_size=0,
                    heartbeat=30,
                    **options,
                )
        async with socket:
            yield socket

    def _pause(self, request: Request, error: errors.KubeError, attempt: int) -> float | None:
        """Seconds to wait before the request is sent again; None if it must not be."""
        if isinstance(error, errors.UnauthorizedError):
            return 0.0 if self.credentials.renewable and attempt == 1 else None
        if isinstance(error, errors.ApiError):
            return error.retry_after if error.retryable else None
        harmless = isinstance(error, errors.UnreachableError) or request.repeatable
        return _RETRY.pause(attempt) if error.retryable and harmless else None

    async def _prepare(self) -> tuple[aiohttp.ClientSession, dict[str, Any]]:
        if self._session is None:
            raise RuntimeError("the client is used outside its `async with`")
        options: dict[str, Any] = {"headers": await self.credentials.headers()}
        if self.access.server.startswith("https:"):
            options["ssl"] = self.credentials.tls()
            options["server_hostname"] = self.access.server_name or None
        if self.access.proxy:
            options["proxy"] = self.access.proxy
        return self._session, options

    @contextlib.asynccontextmanager
    async def _open(
        self, request: Request, limits: aiohttp.ClientTimeout = _BOUNDED
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer whose body is still to be read."""
        session, options = await self._prepare()
        if request.content_type:
            options["headers"]["Content-Type"] = request.content_type
        url = f"{self.access.server}{request.path}"
        if request.query:
            url += f"?{urlencode(request.query)}"
        with _as_kube_errors(self.access.server):
            async with session.request(
                request.method,
                url,
                data=_readable(request.body),
                timeout=limits,
                allow_redirects=False,
                **options,
            ) as response:
                _log.debug(
                    "request",
                    extra={"method": request.method, "path": request.path, "status": response.status},
                )
                if response.status == 401:
                    self.credentials.renew()
                if response.status >= 300:
                    body = await response.read()
                    raise errors.from_response(response.status, response.headers, body, datetime.now(UTC))
                yield response


def _readable(body: bytes | None) -> bytes | io.BytesIO | None:
    """Large bodies are sent in pieces, so that other tasks have their turn."""
    return io.BytesIO(body) if body and len(body) > _PIECE else body


def _silent_for(seconds: float | None) -> aiohttp.ClientTimeout:
    """Ends a read that brings nothing for so long. Each piece sets a timer: short answers do without."""
    return aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=seconds)


@contextlib.contextmanager
def _as_kube_errors(server: str) -> Any:
    """What aiohttp raises, as members of our tree. The order matters: its classes overlap."""
    try:
        yield
    except aiohttp.WSServerHandshakeError as error:
        message = f"no upgrade to WebSocket: HTTP {error.status}"
        raise errors.from_status({"message": message}, error.status) from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise errors.UnreachableError(f"the certificate of {server} is not trusted: {error}") from error
    except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise errors.UnreachableError(f"no connection to {server}: {reason}") from error
    except TimeoutError as error:
        raise errors.RequestTimeoutError(f"no answer in time: {error}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise errors.TransportError(f"the connection broke: {error!r}") from error


class _ListMetadata(msgspec.Struct):
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    token: str = msgspec.field(name="continue", default="")


class _Page(msgspec.Struct, Generic[T]):
    metadata: _ListMetadata
    items: list[T] | None


@functools.cache
def _page_decoder(shape: Any) -> msgspec.json.Decoder[_Page[Any]]:
    return msgspec.json.Decoder(_Page[shape])


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise errors.TransportError(f"the answer is another than expected: {error}") from error
    except errors.NOT_JSON as error:
        raise errors.TransportError(f"the answer is not JSON: {error}") from error
