"""`vcp kubeconfig`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from kube import apis
from vcp import config, contexts, kubeconfig, output, pki, render, routes
from vcp.errors import UsageError
from vcp.session import Session, complete_names, on_host


@click.command("kubeconfig")
@click.argument("name", shell_complete=complete_names)
@click.option("--user", metavar="USER", help="Issue a client certificate for this user.")
@click.option("--group", "groups", multiple=True, metavar="GROUP", help="A group of the user; repeatable.")
@click.option("--ttl", default="8h", show_default=True, metavar="DURATION", help="Life of the certificate.")
@click.option("--server", metavar="URL", help="Where the API is to be reached.")
@click.option("--internal", is_flag=True, help="Use the address inside the host cluster.")
@click.option("-o", "--output-file", "file", metavar="FILE", help="Write it there, mode 0600.")
@on_host
async def command(
    session: Session,
    *,
    name: str,
    user: str | None,
    groups: tuple[str, ...],
    ttl: str,
    server: str | None,
    internal: bool,
    file: str | None,
) -> None:
    """Print a kubeconfig for tenant NAME: its admin's, or one for a user whose certificate expires."""
    if groups and not user:
        raise UsageError("--group without --user", hint="name the user, too")
    if server and internal:
        raise UsageError("--server and --internal exclude each other")
    tenant = await session.tenant(name)
    entry = await session.entry(name, tenant.namespace)
    cluster = dict(entry.cluster)
    if internal:
        cluster["server"] = f"https://{routes.SERVICE}.{tenant.namespace}.svc"
    elif server:
        cluster["server"] = server
    credentials = entry.user
    if user:
        secret = await session.host.get(apis.SECRETS, tenant.namespace, pki.CA_KEYS)
        life = timedelta(seconds=config.seconds(ttl))
        files = render.secret_files([secret])
        pair = pki.issue_user(files, user, groups, life=life, now=datetime.now(UTC))
        credentials = kubeconfig.admin(name, "", b"", pair.certificate, pair.key).user
    text = kubeconfig.Entry(name=entry.name, cluster=cluster, user=credentials).text()
    if file:
        contexts.write(Path(file), text)
        output.say(f"Written to {file}.")
    else:
        output.data(text)
