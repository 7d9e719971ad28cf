"""`vcp list`."""

from datetime import UTC, datetime

import click
import msgspec

from kube import apis
from kube.cache import Cache, watching
from kube.reflector import View
from vcp import inventory, layout, output
from vcp.session import Session, on_host


@click.command("list")
@click.option("-w", "--watch", is_flag=True, help="Print again whenever a tenant changes, until Ctrl-C.")
@on_host
async def command(session: Session, *, watch: bool) -> None:
    """List the tenant clusters of the host, or of one namespace with -n."""
    listing = await inventory.read(session.host, session.namespace)
    if listing.limited_to and not session.namespace:
        output.say(f"You may not list the whole cluster; these are the tenants in {listing.limited_to}.")
    _show(listing.tenants, session.output)
    if watch:
        await _follow(session, listing)


async def _follow(session: Session, listing: inventory.Listing) -> None:
    place = listing.limited_to
    views = (
        View(apis.SECRETS, place, inventory.SELECTOR, f"metadata.name={layout.RECORD}"),
        View(apis.STATEFUL_SETS, place, inventory.SELECTOR),
        View(apis.DEPLOYMENTS, place, inventory.SELECTOR),
        View(apis.NAMESPACES, optional=True),
    )
    shown = listing.tenants
    async with watching(session.host, *views) as cache:
        while True:
            now = _assemble(cache, whole=not place)
            if now != shown:
                _show(now, session.output)
                shown = now
            await cache.change()


def _assemble(cache: Cache, *, whole: bool) -> tuple[inventory.Tenant, ...]:
    workloads = [*cache.items(apis.STATEFUL_SETS), *cache.items(apis.DEPLOYMENTS)]
    namespaces = cache.items(apis.NAMESPACES)
    return inventory.assemble(cache.items(apis.SECRETS), workloads, namespaces, whole=whole)


def _show(tenants: tuple[inventory.Tenant, ...], form: str) -> None:
    if form == "name":
        output.data("".join(f"{tenant.name}\n" for tenant in tenants))
    elif form == "table":
        now = datetime.now(UTC)
        output.data(output.table([_row(tenant, now) for tenant in tenants]))
        if not tenants:
            output.say("No tenants. `vcp create NAME` makes one.")
    else:
        output.data(output.encode([msgspec.to_builtins(tenant) for tenant in tenants], form))


def _row(tenant: inventory.Tenant, now: datetime) -> dict[str, str]:
    expiry = tenant.certificates_expire
    left = "-" if expiry is None else f"{(expiry - now).days}d left" if expiry > now else "EXPIRED"
    return {
        "name": tenant.name,
        "namespace": tenant.namespace,
        "distro": f"{tenant.distro} {tenant.version}".strip(),
        "state": tenant.state + (f" ({tenant.reason})" if tenant.reason else ""),
        "ready": f"{tenant.ready}/{tenant.desired}",
        "age": output.age(now - tenant.created),
        "expires": _left(tenant.expires, now),
        "certificates": left,
    }


def _left(expires: datetime | None, now: datetime) -> str:
    if expires is None:
        return "-"
    return f"in {output.age(expires - now)}" if expires > now else "overdue"
