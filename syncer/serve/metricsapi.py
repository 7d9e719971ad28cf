"""The aggregated API metrics.k8s.io of the tenant. Why so: docs/decisions/0019-metrics-api.md.

Only the tenant's API server is let in, by its certificate; it says whom it asks for.
"""

import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from kube import apis, errors
from kube.client import Client
from kube.objects import Obj
from kube.selectors import SelectorError
from syncer.core.scope import Scope
from syncer.kinds.metrics import answers, callers, registration, usage
from syncer.kinds.metrics.answers import MetricsRequest
from syncer.serve import https
from syncer.serve.certificates import ServingTls, subject
from syncer.serve.hostusage import HostUsage, UnavailableError
from syncer.serve.requestmetrics import RequestMetrics
from syncer.serve.reviews import Reviews

_log = logging.getLogger(__name__)
_ROOT = f"/apis/{registration.GROUP}"
# Before anything is told: who may not list metrics may still know that there are such.
_DOCUMENTS = {
    "/apis": registration.group_list,
    _ROOT: registration.group,
    f"{_ROOT}/{registration.VERSION}": registration.resource_list,
    "/openapi/v2": registration.openapi,
}


class _Refused(Exception):  # noqa: N818 (an answer, not a failure)
    """A Status to answer with."""

    def __init__(self, body: Obj) -> None:
        super().__init__(body["message"])
        self.body = body


def _refused(code: int, reason: str, message: str) -> _Refused:
    return _Refused(answers.status(code, reason, message))


class MetricsApi:
    """`scope` reads the stores; `tenant` and `host` are the API servers."""

    def __init__(self, scope: Scope, tenant: Client, host: Client, measured: RequestMetrics) -> None:
        self._scope, self._measured = scope, measured
        self._reviews, self._usage = Reviews(tenant), HostUsage(host, scope)

    async def handle(self, request: web.Request) -> web.Response:
        """Any request there is."""
        with self._measured.request() as outcome:
            try:
                body, code = await self._answer(request), 200
            except _Refused as refused:
                body, code = refused.body, refused.body["code"]
            outcome.result = str(code)
            content = msgspec.json.encode(body)
        return web.Response(body=content, status=code, content_type="application/json")

    async def _answer(self, request: web.Request) -> Obj:
        _admit(request)
        if request.method != "GET" or request.query.get("watch") in ("true", "1"):
            raise _refused(405, "MethodNotAllowed", "metrics can only be got and listed")
        if request.path in _DOCUMENTS:
            return _DOCUMENTS[request.path]()
        asked = answers.parse(request.path)
        if asked is None:
            raise _refused(404, "NotFound", "the server could not find the requested resource")
        await self._authorise(request, asked)
        try:
            found = answers.chosen(await self._metrics(asked), asked, request.query)
        except UnavailableError as error:
            raise _refused(503, "ServiceUnavailable", str(error)) from error
        except SelectorError as error:
            raise _refused(400, "BadRequest", str(error)) from error
        if asked.name and not found:
            what = f'{asked.api.plural}.{asked.api.group} "{asked.name}" not found'
            raise _refused(404, "NotFound", what)
        if answers.wants_table(request.headers.get("Accept", "")):
            return answers.table(found)
        return found[0] if asked.name else answers.listed(asked.api, found)

    async def _authorise(self, request: web.Request, asked: MetricsRequest) -> None:
        caller = callers.of(request.headers.items())
        if caller is None:
            raise _refused(401, "Unauthorized", "the request names no user")
        try:
            verdict = await self._reviews.verdict(caller, asked)
        except errors.KubeError as error:
            _log.warning("not authorised", extra={"error": str(error)})
            raise _refused(503, "ServiceUnavailable", "the tenant's API cannot be asked now") from error
        if not verdict.allowed:
            raise _Refused(answers.forbidden(caller.name, asked, verdict.reason))

    async def _metrics(self, asked: MetricsRequest) -> list[Obj]:
        """All of the kind. Raises UnavailableError."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        pods = usage.pods(await self._usage.pods(), self._scope, now)
        if asked.api is apis.NODE_METRICS:
            return usage.nodes(pods, self._scope, now)
        return [one.metrics for one in pods]


def _admit(request: web.Request) -> None:
    """That the CA signed is not enough: whoever runs the API server may sign more with it."""
    certificate: Any = request.transport.get_extra_info("peercert") if request.transport else None
    if subject(certificate).get("commonName") != {callers.PROXY}:
        raise _refused(403, "Forbidden", "this certificate is not that of the API server")


@contextlib.asynccontextmanager
async def serving(port: int, pki: Path, api: MetricsApi) -> AsyncIterator[int]:
    """Serves until the body ends; yields the port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    async with https.serving(app, port, ServingTls(pki, "request-header-ca.crt")) as served:
        yield served
