"""Gives new Services of the tenant the host's addresses before the tenant's API server stores them.

Only the tenant's API server is let in, by its certificate. What it asks for is what a tenant may do anyway by
creating a Service: the host Service that is made here is marked as pending and swept if no tenant Service
comes to have it. Every replica answers; of two that are asked for one name the host takes
the first. Whatever goes wrong, the Service is let in without a change, and the reconciler does it later.
Why so: docs/decisions/0014-services.md.
"""

import asyncio
import base64
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Required, TypedDict

import msgspec
from aiohttp import web

from kube import apis, errors
from kube.client import Client
from kube.objects import Key, Obj, key_of, uid_of
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.kinds.services import admission
from syncer.serve import https
from syncer.serve.certificates import ServingTls
from syncer.serve.requestmetrics import Outcome, RequestMetrics

_log = logging.getLogger(__name__)
_LIMIT = 4.0  # seconds: less than the API server waits
_BODY_LIMIT = 4 * 2**20  # bytes; an object of the tenant's has at most 3 MiB
_TAKEN = ("already allocated", "not in the valid range", "HealthCheck NodePort")

# What reading a body can raise, or an object in it that is not a Service: text that is not UTF-8 or not JSON,
# too deep nesting, wrong types. Not the API server's doing.
_NONSENSE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

Answer = dict[str, Any]


class _Asked(TypedDict, total=False):
    """What is read of an AdmissionRequest."""

    uid: Required[str]
    operation: str
    dryRun: bool | None
    namespace: str
    object: Obj | None


class _Review(TypedDict):
    request: _Asked


class Webhook:
    """`scope` gives a scope with the current time; `grants` says whether so many bytes may be written."""

    def __init__(
        self,
        host: Client,
        scope: Callable[[], Scope],
        measured: RequestMetrics,
        grants: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self._host, self._scope, self._measured, self._grants = host, scope, measured, grants

    async def review(self, request: Obj) -> Answer:
        """The response to an AdmissionRequest (admission.k8s.io/v1)."""
        with self._measured.request() as outcome:
            return await self._reviewed(request, outcome)

    async def _reviewed(self, request: Obj, outcome: Outcome) -> Answer:
        answer: Answer = {"uid": request["uid"], "allowed": True}
        if request.get("operation") != "CREATE" or request.get("dryRun"):
            outcome.result = "unchanged"
            return answer
        service, scope, key = request["object"], self._scope(), admission.key_of(request)
        if key is None or not admission.needs_answer(service, scope):
            outcome.result = "unchanged"
            return answer
        try:
            wanted = admission.pending(service, key, scope.now, scope)
            if not self._grants(len(msgspec.json.encode(wanted))):
                outcome.result = "unchanged"
                return answer
            async with asyncio.timeout(_LIMIT):
                host = await self._pending(wanted)
        except Refused as refused:
            outcome.result = "refused"
            answer["warnings"] = [f"not on the host: {problem}" for problem in refused.problems]
        except (errors.InvalidError, errors.ServerError) as error:
            if any(text in error.message for text in _TAKEN):
                outcome.result = "denied"
                return _denied(answer, error, key, scope)
            _log.warning("not allotted", extra={"tenant": str(key), "error": str(error)})
        except (errors.KubeError, TimeoutError) as error:
            _log.warning("not allotted", extra={"tenant": str(key), "error": str(error)})
        else:
            outcome.result = "allotted" if host else "unchanged"
            if host and (patch := admission.json_patch(service, host)):
                answer["patchType"] = "JSONPatch"
                answer["patch"] = base64.b64encode(msgspec.json.encode(patch)).decode()
        return answer

    async def _pending(self, wanted: Obj) -> Obj | None:
        """The host Service for this request; None if the name is another's, or that of a stored Service."""
        key = key_of(wanted)
        try:
            return await self._host.create(apis.SERVICES, key.namespace, wanted)
        except errors.AlreadyExistsError:
            there = await self._host.get(apis.SERVICES, *key)
        if not admission.is_ours(there, wanted):
            return None
        body = admission.changes(there, wanted)
        body["metadata"]["uid"] = uid_of(there)
        return await self._host.patch(apis.SERVICES, *key, body)


def _denied(answer: Answer, error: errors.ApiError, key: Key, scope: Scope) -> Answer:
    """An address or port that was asked for by number: any API server refuses those that are taken."""
    host = scope.host_key(key)
    message = error.message.replace(host.name, key.name).replace(host.namespace, key.namespace)
    status = {"code": 422, "reason": "Invalid", "message": message}
    return answer | {"allowed": False, "status": status}


@contextlib.asynccontextmanager
async def serving(port: int, pki: Path, webhook: Webhook) -> AsyncIterator[int]:
    """Serves until the body ends; yields the port."""

    async def review(request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read(), type=_Review)
            answer = await webhook.review(dict(asked["request"]))
        except _NONSENSE as error:
            return web.Response(status=400, text=f"not an AdmissionReview: {type(error).__name__}")
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")

    app = web.Application(client_max_size=_BODY_LIMIT)
    app.add_routes([web.post(admission.PATH, review)])
    async with https.serving(app, port, ServingTls(pki)) as served:
        yield served
