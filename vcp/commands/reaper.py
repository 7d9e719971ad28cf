"""`vcp reaper install` and `vcp reaper uninstall`."""

import click

from vcp import config, output, render
from vcp import spec as specs
from vcp.options import global_options
from vcp.provision import reaping
from vcp.session import Session, on_host


@click.group("reaper")
def command() -> None:
    """Install or remove the CronJob that runs `vcp reap`."""


@command.command("install", params=global_options(hidden=True))
@click.option("--schedule", default="*/5 * * * *", show_default=True, metavar="CRON", help="How often.")
@click.option("--image", default="", metavar="IMAGE", help="With vcp in it.  [default: the syncer's]")
@on_host
async def install(session: Session, *, schedule: str, image: str) -> None:
    """Install a CronJob that deletes expired tenants, in the namespace of -n or in vcp-reaper.

    It takes an administrator of the host: the reaper's rights hold in the whole cluster.
    """
    namespace = session.options.namespace or "vcp-reaper"
    spec = specs.load(config.layered(session.config.spec, {"name": "reaper"}))
    await reaping.install(session.host, namespace, image or render.syncer_image(spec), schedule)
    output.data(f"the reaper is installed in namespace {namespace}")


@command.command("uninstall", params=global_options(hidden=True))
@on_host
async def uninstall(session: Session) -> None:
    """Remove the reaper, its rights, and its namespace if vcp made that."""
    output.data(f"the reaper is removed from namespace {await reaping.uninstall(session.host)}")
