"""`vcp logs`."""

import asyncio
import sys

import click

from kube import apis, requests
from vcp import layout, output
from vcp.errors import NotFoundError
from vcp.session import Session, complete_names, on_host

COMPONENTS = ("api", "etcd", "syncer", "dns")


@click.command("logs")
@click.argument("name", shell_complete=complete_names)
@click.argument("component", type=click.Choice(COMPONENTS), default="api")
@click.option("-f", "--follow", is_flag=True, help="Keep printing until Ctrl-C.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last lines of each container.")
@on_host
async def command(session: Session, *, name: str, component: str, follow: bool, tail: int | None) -> None:
    """Print the logs of one COMPONENT of tenant NAME, by default of its API server."""
    tenant = await session.tenant(name)
    labels = f"{layout.TENANT}={name},{layout.COMPONENT}={component}"
    pods = await session.host.list(apis.PODS, tenant.namespace, labels=labels)
    sources = [
        (pod["metadata"]["name"], container["name"])
        for pod in pods
        for container in pod["spec"]["containers"]
    ]
    if not sources:
        raise NotFoundError(f"tenant {name!r} has no {component} pod", hint=f"see `vcp status {name}`")
    async with asyncio.TaskGroup() as group:
        for pod, container in sources:
            prefix = f"[{pod} {container}] " if len(sources) > 1 else ""
            request = requests.logs(tenant.namespace, pod, container, follow=follow, tail=tail)
            group.create_task(_print(session, request, prefix.encode()), name=f"log of {pod}")


async def _print(session: Session, request: requests.Request, prefix: bytes) -> None:
    """Whole lines only, so that several sources do not mix within one."""
    rest = b""
    async for chunk in session.host.stream(request):
        *lines, rest = (rest + chunk).split(b"\n")
        _write(prefix, lines)
    if rest:
        _write(prefix, [rest])


def _write(prefix: bytes, lines: list[bytes]) -> None:
    """On a terminal without what that would act on: parts of a log are what a tenant has sent."""
    if sys.stdout.isatty():
        lines = [output.plain(line.decode(errors="replace")).encode() for line in lines]
    sys.stdout.buffer.write(b"".join(prefix + line + b"\n" for line in lines))
    sys.stdout.buffer.flush()
