"""`vcp connect`."""

import asyncio
import os
import tempfile
from pathlib import Path

import click

from kube import kubeconfig as kubeconfigs
from vcp import contexts, kubeconfig, output, routes, supervise
from vcp.session import Session, complete_names, on_host


@click.command("connect", context_settings={"ignore_unknown_options": True})
@click.argument("name", shell_complete=complete_names)
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.option("--print", "print_", is_flag=True, help="Print the kubeconfig instead of writing it.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Local port of a port-forward.")
@on_host
async def command(
    session: Session, *, name: str, program: tuple[str, ...], print_: bool, port: int
) -> int | None:
    """Connect to tenant NAME by load balancer, node port, cluster IP or, failing these, a port-forward.

    Switches the kubeconfig to the tenant's context; with a COMMAND, runs it with a KUBECONFIG of its own
    instead, and exits with its code.
    """
    tenant = await session.tenant(name)
    entry = await session.entry(name, tenant.namespace)
    access = kubeconfigs.from_text(entry.text().encode())
    async with routes.route_in(session.host, tenant.namespace, access, local_port=port) as route:
        entry = entry.at(route.server, route.server_name)
        if program:
            return await _run(entry, program)
        if print_:
            output.data(entry.text())
        else:
            contexts.update(session.kubeconfig_file, lambda text: kubeconfig.merge(text, entry))
            output.say(f"Switched to context {entry.name} by {route.kind}, {route.server}.")
        if route.kind == "port-forward":
            session.options.if_interrupted = "The port-forward has ended; `vcp connect` opens it again."
            output.say("The port-forward is held until Ctrl-C.")
            await asyncio.Event().wait()
    return None


async def _run(entry: kubeconfig.Entry, program: tuple[str, ...]) -> int:
    """The program sees the tenant alone, and nothing of it stays behind."""
    with supervise.Signals() as signals, tempfile.TemporaryDirectory(prefix="vcp-") as folder:
        file = Path(folder) / "kubeconfig"
        contexts.write(file, entry.text())
        return await supervise.run(program, {**os.environ, "KUBECONFIG": str(file)}, signals)
