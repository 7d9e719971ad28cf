"""`vcp delete`."""

import sys

import click

from vcp import config, contexts, inventory, kubeconfig, output
from vcp.errors import NotFoundError, RefusedError, UsageError
from vcp.provision import removing
from vcp.session import Session, complete_names, on_host


@click.command("delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_names)
@click.option("--keep-data", is_flag=True, help="Keep the claims and keys; a later create takes them up.")
@click.option("--wait/--no-wait", default=True, help="Return when everything is gone.  [default: wait]")
@click.option("--timeout", "limit", default="", metavar="DURATION", help="How long to wait.  [default: 120s]")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--ignore-not-found", is_flag=True, help="Succeed if the tenant does not exist.")
@click.option("--unprotect", is_flag=True, help="Also delete tenants whose spec says `protected: true`.")
@on_host
async def command(
    session: Session,
    *,
    names: tuple[str, ...],
    keep_data: bool,
    wait: bool,
    limit: str,
    yes: bool,
    ignore_not_found: bool,
    unprotect: bool,
) -> None:
    """Delete tenants: control plane, workloads, claims, kubeconfig entries, and the namespaces vcp made."""
    host, progress = session.host, output.progress()
    seconds = config.seconds(limit or session.config.timeout or "120s")
    tenants = await _find(session, names, ignore_not_found=ignore_not_found)
    for tenant in tenants:
        if tenant.protected and not unprotect:
            raise RefusedError(f"tenant {tenant.name!r} is protected", hint="pass --unprotect to delete it")
    if tenants and not yes:
        _confirm(tenants, keep_data=keep_data)
    session.options.if_interrupted = f"Deletion may be half done; `vcp delete {' '.join(names)}` continues."
    going: list[removing.Going] = []
    for tenant in tenants:
        going += await removing.remove(host, tenant, keep_data=keep_data, progress=progress)
    if wait:
        session.options.if_interrupted = "The host goes on deleting."
        await removing.until_gone(host, going, seconds, progress)
    else:
        await removing.unbind(host, going)
    for tenant in tenants:
        _forget(session, tenant.name)
        output.data(f"tenant/{tenant.name}" if session.output == "name" else f"tenant {tenant.name} deleted")


async def _find(
    session: Session, names: tuple[str, ...], *, ignore_not_found: bool
) -> list[inventory.Tenant]:
    """All or nothing: a mistyped name is told before any tenant is deleted."""
    found = []
    for name in dict.fromkeys(names):
        try:
            found.append(await session.tenant(name))
        except NotFoundError as error:
            if not ignore_not_found:
                raise
            output.say(error.message)
    return found


def _forget(session: Session, name: str) -> None:
    """Takes the tenant's context out of the kubeconfig."""
    if session.kubeconfig_file.is_file():
        contexts.update(session.kubeconfig_file, lambda text: kubeconfig.remove(text, f"vcp-{name}"))


def _confirm(tenants: list[inventory.Tenant], *, keep_data: bool) -> None:
    if not sys.stdin.isatty():
        raise UsageError("there is nobody to ask", hint="pass --yes")
    what = "control plane and workloads" if keep_data else "control plane, workloads and data"
    listed = ", ".join(tenant.name for tenant in tenants)
    click.confirm(f"Delete {what} of {listed}?", abort=True, err=True)
