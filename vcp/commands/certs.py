"""`vcp certs rotate`."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import click

from vcp import config, output, pki, render, rotation
from vcp.commands.create import plan, write_context
from vcp.errors import RefusedError, UsageError
from vcp.options import global_options
from vcp.provision import creating
from vcp.session import Session, complete_names, on_host
from vcp.spec import Spec

_OVERLAP = "90s"  # a kubelet brings a changed ConfigMap into pods within some 60 s


@click.group("certs")
def command() -> None:
    """Replace the certificate authorities of a tenant cluster."""


@command.command("rotate", params=global_options(hidden=True))
@click.argument("name", shell_complete=complete_names)
@click.option(
    "--ca", "names", multiple=True, type=click.Choice(pki.AUTHORITIES), help="Only this one.  [default: all]"
)
@click.option("--announce", is_flag=True, help="Have the new ones believed, and stop there.")
@click.option("--finish", is_flag=True, help="Cease to believe the old ones.")
@click.option(
    "--overlap",
    default="",
    metavar="DURATION",
    help=f"Between both steps, for server-ca.  [default: {_OVERLAP}]",
)
@click.option("--timeout", "limit", default="", metavar="DURATION", help="How long to wait.  [default: 120s]")
@on_host
async def rotate(
    session: Session,
    *,
    name: str,
    names: tuple[str, ...],
    announce: bool,
    finish: bool,
    overlap: str,
    limit: str,
) -> None:
    """Replace the authorities of tenant NAME by new ones.

    First the new authorities are believed everywhere beside the old ones, then they sign: all certificates
    of the control plane are issued anew. The old ones are believed until --finish, which ends the access of
    every kubeconfig that was issued before. After an interruption the same command continues.

    Kubeconfigs that were handed out know the old server-ca only. Where they must not fail, run --announce,
    hand out new ones (`vcp kubeconfig`), and run the command again.
    """
    if announce and finish:
        raise UsageError("--announce and --finish exclude each other")
    pause = config.seconds(overlap or _OVERLAP)
    creation = await _planned(session, name, limit)
    session.options.if_interrupted = f"`vcp certs rotate {name}` continues."
    chosen = _chosen(names, creation.spec)
    request = render.pki_request(creation.spec, creation.survey.facts)
    await creating.check(creation, creating.preview(creation.spec, creation.survey))

    async def step(rekey: creating.Rekey) -> None:
        """One create, in which the key material changes."""
        await creating.carry_out(replace(creation, rekey=rekey), wait=True)

    if finish:
        await step(lambda files: rotation.finished(files, chosen))
        output.data(f"tenant {name} believes no earlier authority")
    else:
        now = datetime.now(UTC)
        await step(lambda files: rotation.announced(files, chosen, request, now))
        if not announce:
            if "server-ca" in chosen:
                with creation.progress.step("overlap"):
                    await asyncio.sleep(pause)
                    creation.progress.result(f"{pause:.0f} s")
            await step(lambda files: rotation.switched(files, chosen))
        output.data(f"tenant {name}: {', '.join(chosen)} {'announced' if announce else 'rotated'}")
    await write_context(session, creation.spec)
    if not finish:
        again = f"vcp certs rotate {name}"
        output.say(
            f"Next: `{again}` goes on." if announce else f"Old ones are believed until `{again} --finish`."
        )


def _chosen(names: tuple[str, ...], spec: Spec) -> tuple[str, ...]:
    """The authorities to be replaced. Raises RefusedError for those of an etcd that a restart empties."""
    etcd = {"etcd-server-ca", "etcd-peer-ca"} if spec.storage.ephemeral else set()
    if lost := sorted(etcd & set(names)):
        raise RefusedError(
            f"{' and '.join(lost)} of tenant {spec.name} cannot be rotated: etcd would restart, and keeps no "
            "data (storage.ephemeral)",
            hint="rotate the others with --ca, or make a new tenant",
        )
    return names or tuple(name for name in pki.AUTHORITIES if name not in etcd)


async def _planned(session: Session, name: str, limit: str) -> creating.Creation:
    """The tenant as its record describes it. Raises NotFoundError."""
    tenant = await session.tenant(name)
    seconds = config.seconds(limit or session.config.timeout or "120s")
    said = {"name": name, "namespace": tenant.namespace}
    progress = output.Timed(output.progress())
    _, creation = await plan(session, said, (), progress, seconds, complete=False)
    return creation
