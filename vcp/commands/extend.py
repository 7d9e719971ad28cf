"""`vcp extend`."""

import click

from vcp import output
from vcp.errors import UsageError
from vcp.provision import lifetime
from vcp.session import Session, complete_names, on_host
from vcp.spec.durations import duration


@click.command("extend")
@click.argument("name", shell_complete=complete_names)
@click.option("--ttl", required=True, metavar="DURATION", help="Life from now on, such as 2h.")
@on_host
async def command(session: Session, *, name: str, ttl: str) -> None:
    """Extend the life of tenant NAME, counted from now. Never shortens it."""
    try:
        life = duration(ttl)
    except ValueError as error:
        raise UsageError(f"--ttl: {error}") from error
    when = await lifetime.extend(session.host, await session.tenant(name), life)
    output.data(f"tenant {name} expires at {lifetime.written(when)}")
