"""Tries the host's network with pods of our own, in a namespace that goes afterwards, whatever happens."""

import asyncio
import contextlib
import inspect
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kube import apis
from kube import errors as kube
from kube.cache import Cache, watching
from kube.client import Client
from kube.objects import Obj
from kube.reflector import View
from vcp import diagnosis, inventory, layout
from vcp.doctor import probe
from vcp.doctor.host_findings import Seen
from vcp.provision import lifetime
from vcp.render import doctor as rendering
from vcp.spec import Spec

_LIFE = timedelta(minutes=10)  # after which `vcp reap` may remove what a killed doctor has left
_PODS_LIMIT = 60.0  # seconds; pulling the image takes most of it
_DELETE_LIMIT = 10.0
_POD_SECURITY = "PodSecurity"  # what the admission plugin calls itself in its refusals


async def run(host: Client, spec: Spec) -> Seen:
    """Raises ForbiddenError if we may not make a namespace."""
    name = f"doctor-{secrets.token_hex(4)}"
    namespace = rendering.namespace(name)
    place = namespace["metadata"]["name"]
    ends = lifetime.written(datetime.now(UTC) + _LIFE)
    namespace["metadata"]["annotations"] = {inventory.EXPIRES_AT: ends}
    try:
        await host.create(apis.NAMESPACES, "", namespace, field_manager=layout.FIELD_MANAGER)
        return await _seen(host, spec, place)
    finally:
        with contextlib.suppress(kube.NotFoundError, kube.ForbiddenError):  # then it was never made
            async with asyncio.timeout(_DELETE_LIMIT):
                await host.delete(apis.NAMESPACES, "", place)


async def _seen(host: Client, spec: Spec, place: str) -> Seen:
    program = inspect.getsource(probe)

    def pod(name: str, *arguments: str) -> dict[str, Any]:
        return rendering.pod(place, spec, name, program, arguments)

    for obj in rendering.fixtures(place):
        await host.create(apis.resource_of(obj), place, obj)
    server = pod(rendering.SERVER, "serve")
    guarded = await _refuses(host, place, rendering.privileged(server))
    service: Obj = await host.get(apis.SERVICES, place, rendering.SERVER)
    try:
        async with watching(host, View(apis.PODS, place), View(apis.EVENTS, place, optional=True)) as cache:
            await host.create(apis.PODS, place, server)
            ready = await cache.until(lambda now: _ready(now, place), _PODS_LIMIT, "the probe pods to run")
            address = ready["status"]["podIP"]
            name = f"{rendering.SERVER}.{place}.svc"
            asking = pod(rendering.ASKING, "ask", name, service["spec"]["clusterIP"], address)
            for one in (asking, pod(rendering.CAGED, "caged", address)):
                await host.create(apis.PODS, place, one)
            told = await cache.until(lambda now: _told(now, place), _PODS_LIMIT, "the probe pods to end")
    except kube.DeadlineError as error:
        why = diagnosis.reasons(cache.items(apis.PODS), (), cache.items(apis.EVENTS))
        return Seen(failed="; ".join([str(error), *why]), pod_security=guarded)
    asked, caged = told
    return Seen(
        pod_security=guarded,
        service=asked["service"],
        pod=asked["pod"],
        dns=tuple(asked["dns"]),
        dns_seconds=asked["dns_seconds"],
        ingress=asked["blocked"] if asked["pod"] else None,
        egress=caged["blocked"] if asked["pod"] else None,
    )


async def _refuses(host: Client, place: str, privileged: Obj) -> bool:
    """Whether a namespace of the level `restricted` refuses this pod; a dry run passes admission, too."""
    try:
        await host.create(apis.PODS, place, privileged, dry_run=True)
    except kube.ForbiddenError as error:
        if _POD_SECURITY not in error.message:
            raise
        return True
    return False


def _ready(cache: Cache, place: str) -> dict[str, Any] | None:
    server = cache.find(apis.PODS, rendering.SERVER, place) or {}
    conditions = (server.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return server if ready else None


def _told(cache: Cache, place: str) -> tuple[Any, Any] | None:
    """The last words of both clients, once they have been said. Raises DeadlineError if one died without."""
    asked, caged = (_last_words(cache.find(apis.PODS, name, place)) for name in _CLIENTS)
    return None if asked is None or caged is None else (asked, caged)


_CLIENTS = (rendering.ASKING, rendering.CAGED)


def _last_words(pod: Obj | None) -> Any | None:
    for one in ((pod or {}).get("status") or {}).get("containerStatuses") or ():
        if ended := (one.get("state") or {}).get("terminated"):
            if ended.get("exitCode") or not ended.get("message"):
                raise kube.DeadlineError(f"a probe pod failed with exit code {ended.get('exitCode')}")
            return msgspec.json.decode(ended["message"])
    return None
