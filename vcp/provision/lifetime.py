"""When a tenant's life ends: the first create fixes the moment, later ones keep it, `vcp extend` moves it.

The moment, not the length of life, stands on the host, so that whoever reaps needs only a clock and no
knowledge of when a create began. docs/decisions/0017-ttl.md says more.
"""

from datetime import UTC, datetime, timedelta

from kube import apis
from kube import errors as kube
from kube.client import Client
from kube.objects import Obj
from vcp import inventory, layout
from vcp.errors import RefusedError
from vcp.spec import Spec
from vcp.spec.durations import duration

# Another field manager than the one that applies the record, whose next apply would take the moment back.
_MANAGER = "vcp-extend"


def moment(ttl: str, *, before: str, current: datetime | None, now: datetime) -> datetime | None:
    """Pure: when a tenant of this `ttl` expires, given the `ttl` it had `before` and its `current` moment.

    The same create again changes nothing; another ttl, or a tenant whose time is over, counts from now."""
    if not ttl:
        return None
    if ttl == before and current and current > now:
        return current
    return (now + duration(ttl)).replace(microsecond=0)


def written(when: datetime) -> str:
    """RFC 3339, as Kubernetes writes times."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def record(host: Client, spec: Spec) -> Obj | None:
    """What the host knows about the tenant so far."""
    try:
        return await host.get(apis.SECRETS, spec.namespace, layout.RECORD)
    except kube.NotFoundError:
        return None


def decide(spec: Spec, record: Obj | None, now: datetime) -> datetime | None:
    """Pure: when the tenant expires from this create on; `record` is what there was before it."""
    before = inventory.spec_of(record).get("ttl", "") if record else ""
    return moment(spec.ttl, before=before, current=inventory.expiry(record) if record else None, now=now)


async def recorded_expiry(host: Client, tenant: inventory.Tenant) -> datetime | None:
    """When the tenant expires as of now; of one without a record, as it was last seen."""
    try:
        record = await host.get(apis.SECRETS, tenant.namespace, layout.RECORD)
    except kube.NotFoundError:
        return tenant.expires
    return inventory.expiry(record)


async def end(host: Client, spec: Spec) -> None:
    """Takes the moment away, by any hand: the spec wants a life without end."""
    await _note(host, spec.namespace, None)


async def extend(host: Client, tenant: inventory.Tenant, ttl: timedelta) -> datetime:
    """The moment from now on, never earlier than it was. Raises RefusedError if the tenant lives forever."""
    if tenant.expires is None:
        raise RefusedError(
            f"tenant {tenant.name!r} does not expire",
            hint=f"`vcp create {tenant.name} --ttl DURATION` gives it an end",
        )
    when = max(tenant.expires, (datetime.now(UTC) + ttl).replace(microsecond=0))
    await _note(host, tenant.namespace, written(when))
    return when


async def _note(host: Client, namespace: str, value: str | None) -> None:
    body = {"metadata": {"annotations": {inventory.EXPIRES_AT: value}}}
    await host.patch(apis.SECRETS, namespace, layout.RECORD, body, field_manager=_MANAGER)
