"""`vcp reap`."""

from datetime import UTC, datetime

import click

from kube import errors as kube
from vcp import config, inventory, output
from vcp.errors import HostError, VcpError
from vcp.provision import lifetime, removing
from vcp.session import Session, explain, on_host


@click.command("reap")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("--wait/--no-wait", default=True, help="Return when everything is gone.  [default: wait]")
@click.option("--timeout", "limit", default="120s", show_default=True, metavar="DURATION", help="For that.")
@on_host
async def command(session: Session, *, dry_run: bool, wait: bool, limit: str) -> None:
    """Delete expired tenants (`--ttl`), on the whole host or in one namespace with -n.

    Protected tenants stay. Failures are reported and do not stop the remaining deletions.
    """
    seconds, now = config.seconds(limit), datetime.now(UTC)
    going: list[removing.Going] = []
    failed: list[str] = []
    for tenant in await inventory.records(session.host, session.namespace):
        if tenant.expires is None or tenant.expires > now:
            continue
        since = output.age(now - tenant.expires)
        if tenant.protected:
            output.say(f"tenant {tenant.name} stays: it expired {since} ago, but it is protected")
        elif dry_run:
            output.data(f"tenant {tenant.name} would be deleted: it expired {since} ago")
        else:
            try:
                going += await _reap(session, tenant)
            except (VcpError, kube.KubeError, BaseExceptionGroup) as error:
                output.say(f"tenant {tenant.name} cannot be deleted: {explain(error)}")
                failed.append(tenant.name)
    if wait:
        await removing.until_gone(session.host, going, seconds, output.progress())
    else:
        await removing.unbind(session.host, going)
    if failed:
        raise HostError(
            f"not all tenants could be deleted: {', '.join(failed)}", hint="the lines above say why"
        )


async def _reap(session: Session, tenant: inventory.Tenant) -> list[removing.Going]:
    """Looks once more, because somebody may have extended the tenant's life while others were deleted."""
    again = await lifetime.recorded_expiry(session.host, tenant)
    if again is None or again > datetime.now(UTC):
        output.say(f"tenant {tenant.name} stays: its end has just been moved")
        return []
    going = await removing.remove(session.host, tenant, keep_data=False, progress=output.progress())
    output.data(f"tenant {tenant.name} deleted: it expired at {lifetime.written(again)}")
    return going
