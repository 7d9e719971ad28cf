"""What is done inside a new tenant: its first objects, and the proof that its API is usable."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

from kube import apis, auth, requests
from kube import errors as kube
from kube.cache import watching
from kube.client import Client
from kube.objects import Obj
from kube.reflector import View
from vcp import output, routes
from vcp.errors import DeadlineError, TenantError
from vcp.provision import applying

_REQUEST_LIMIT = 10.0
_PAUSE = 0.1

# An API server that has just become ready refuses some requests until its first roles and namespaces exist.
_NOT_YET = (kube.TransportError, kube.ServerError, kube.ForbiddenError, kube.NotFoundError)


@contextlib.asynccontextmanager
async def inside(
    host: Client, namespace: str, access: auth.Access, *, seconds: float
) -> AsyncIterator[Client]:
    """The tenant's API by whatever way leads in; the body has so many seconds.

    Raises DeadlineError if they are not enough."""
    try:
        async with (
            asyncio.timeout(seconds),
            routes.route_in(host, namespace, access) as route,
            Client(routes.at(access, route), timeout=_REQUEST_LIMIT) as tenant,
        ):
            yield tenant
    except TimeoutError as error:
        raise DeadlineError(
            f"the tenant API is not usable within {seconds:.0f} s", hint="`vcp logs NAME api` may tell why"
        ) from error


async def furnish(
    tenant: Client, objects: Sequence[Obj], progress: output.Progress, *, patience: float | None = None
) -> list[str]:
    """Applies `objects` in the tenant, as soon as it takes them. With `patience`, in seconds, gives what it
    refuses for longer: the tenant's own admission may refuse anything, and for good."""
    loop = asyncio.get_running_loop()
    deadline = None if patience is None else loop.time() + patience
    with _told_apart():
        while refusals := await _refusals(tenant, objects, final=deadline is None):
            progress.waiting(refusals[0])
            if deadline is not None and loop.time() > deadline:
                return refusals
            await asyncio.sleep(_PAUSE)
    return []


async def staffed(tenant: Client, seconds: float, progress: output.Progress) -> None:
    """Returns when the tenant has a service account to run pods with, so its controllers have begun, and its
    own first roles.

    Raises DeadlineError that says what was awaited."""
    progress.waiting("service account default/default")
    view = View(apis.SERVICE_ACCOUNTS, "default", fields="metadata.name=default")
    with _told_apart():
        async with watching(tenant, view) as cache:
            await cache.until(
                lambda now: now.find(apis.SERVICE_ACCOUNTS, "default", "default"),
                seconds,
                "the tenant's first service account",
            )
        while refusal := await _unready(tenant):
            progress.waiting(refusal)
            await asyncio.sleep(_PAUSE)


@contextlib.contextmanager
def _told_apart() -> Iterator[None]:
    """Raises TenantError for what the tenant's API says: it must not pass for a failure of the host's."""
    try:
        yield
    except kube.DeadlineError:
        raise
    except kube.KubeError as error:
        raise TenantError(
            f"the tenant's own API failed: {error}",
            hint="`vcp logs NAME api` may tell why; the same command may be run again",
        ) from error


async def _refusals(tenant: Client, objects: Sequence[Obj], *, final: bool) -> list[str]:
    """Why objects could not be applied yet, one text for each. Where it is `final`, what no API server that
    has just begun would say is raised."""
    outcomes = await asyncio.gather(*(applying.apply(tenant, obj) for obj in objects), return_exceptions=True)
    refusals = []
    for obj, outcome in zip(objects, outcomes, strict=True):
        if not isinstance(outcome, BaseException):
            continue
        if not isinstance(outcome, kube.KubeError) or (final and not isinstance(outcome, _NOT_YET)):
            raise outcome
        refusals.append(f"{obj['kind']} {obj['metadata']['name']}: {outcome}")
    return refusals


async def _unready(tenant: Client) -> str:
    """What an API server still does that the probes of its pod do not wait for; empty if nothing."""
    try:
        await tenant.read(requests.raw("/readyz"))
    except _NOT_YET as error:
        return str(error)
    return ""
