"""`vcp run`."""

import asyncio
import contextlib
import dataclasses
import os
import secrets
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from kube import apis, auth
from kube import errors as kube
from kube import kubeconfig as kubeconfigs
from vcp import config, contexts, inventory, layout, output, routes, supervise
from vcp.commands import create
from vcp.errors import NotFoundError, RefusedError, UsageError, VcpError
from vcp.provision import collecting, creating, removing
from vcp.session import Session, explain, on_host
from vcp.spec import Spec

_TTL = "1h"
_PATIENCE = "120s"  # for the tenant to be made, and for it to go
_COLLECT_LIMIT = 60.0
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: no words


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.option("--name", default="", metavar="NAME", help="Name of the tenant.  [default: a random one]")
@click.option("-f", "--file", metavar="FILE", help="The spec; - reads it from stdin.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="One setting: quota.pods=50.")
@click.option("--ttl", metavar="DURATION", help="When `vcp reap` may delete what is left.  [default: 1h]")
@click.option("--timeout", "limit", metavar="DURATION", help="How long the command may take.")
@click.option("--keep-on-failure", "keep", is_flag=True, help="Leave the tenant if the command fails.")
@click.option("--collect", metavar="DIR", help="On failure, save events, pods, logs and metrics there.")
@click.option("--timings", is_flag=True, help="Print at the end where the time went.")
@on_host
async def command(
    session: Session,
    *,
    program: tuple[str, ...],
    name: str,
    file: str | None,
    sets: tuple[str, ...],
    ttl: str | None,
    limit: str | None,
    keep: bool,
    collect: str | None,
    timings: bool,
) -> int:
    """Run COMMAND with a tenant of its own, which is deleted afterwards.

    COMMAND gets KUBECONFIG and VCP_TENANT, and the signals sent to vcp; its exit code is that of vcp. The
    tenant goes whether COMMAND succeeds, fails or is interrupted; a second Ctrl-C leaves it and says so.
    """
    progress = output.Timed(output.progress())
    base = {"storage": {"ephemeral": True}, "ttl": _TTL}
    said = config.layered(base, session.config.spec, create.read(file))
    asked = {"name": name, "ttl": ttl, "namespace": session.namespace}
    said |= {key: value for key, value in asked.items() if value}
    said.setdefault("name", f"run-{''.join(secrets.choice(_ALPHABET) for _ in range(8))}")
    if isinstance(said["storage"], dict) and said["storage"]["ephemeral"]:
        said["storage"]["class"] = ""  # a default for tenants that last must not stop one that does not
    wait = config.seconds(session.config.timeout or _PATIENCE)
    seconds = config.seconds(limit) if limit else None
    with progress.step("plan"):
        old, creation = await create.plan(session, said, sets, progress, wait, complete=True)
    _check(old, creation.spec, seconds)
    creation = dataclasses.replace(creation, run=secrets.token_hex(8))
    run = _Run(session, creation, program, seconds, progress)
    try:
        return await _whole(run, keep=keep, folder=Path(collect) if collect else None)
    finally:
        if timings:
            output.say(progress.report())


@dataclass(frozen=True)
class _Run:
    session: Session
    creation: creating.Creation
    program: tuple[str, ...]
    seconds: float | None
    progress: output.Timed

    @property
    def spec(self) -> Spec:
        return self.creation.spec

    def left(self) -> str:
        """What removes the tenant, or will."""
        place = "" if self.spec.namespace == f"vcp-{self.spec.name}" else f" -n {self.spec.namespace}"
        late = f", `vcp reap` after {self.spec.ttl}" if self.spec.ttl else ""
        return f"`vcp delete {self.spec.name}{place} --yes` removes it{late}"


def _check(old: Spec | None, spec: Spec, seconds: float | None) -> None:
    """Raises an error for what could not end well, before anything is made."""
    if old:
        hint = f"choose another name, or `vcp connect {spec.name} -- COMMAND` uses the one that is there"
        raise RefusedError(f"tenant {spec.name!r} exists already", hint=hint)
    if spec.protected:
        raise UsageError("a protected tenant could not be deleted afterwards", hint="set `protected: false`")
    if seconds and spec.ttl and seconds >= config.seconds(spec.ttl):
        raise UsageError(
            f"the command may take {seconds:g} s, but the tenant lives only {spec.ttl}",
            hint="pass a longer --ttl",
        )


async def _whole(run: _Run, *, keep: bool, folder: Path | None) -> int:
    """The command's exit code. What comes after the command never hides how the command ended."""
    code, failure = 0, None
    with supervise.Guard() as watch:
        try:
            code = await watch.during(_use(run, watch))
        except supervise.GivenUpError:
            raise _given_up(run) from None
        except Exception as error:  # the tenant goes, whatever it is
            code, failure = 1, error
        try:
            if code and folder:
                await _survive(watch.during(_collect(run, folder), cleaning=True), "saving the evidence")
            if code and keep and not watch.signalled:
                await _survive(watch.during(_tell_kept(run), cleaning=True), "looking at the tenant")
            elif not await watch.during(_delete(run), cleaning=True):
                code = code or 1
        except supervise.GivenUpError:
            raise _given_up(run) from None
    if failure:
        raise failure
    return code


async def _use(run: _Run, watch: supervise.Guard) -> int:
    """Makes the tenant and runs the command with it."""
    session, spec = run.session, run.spec
    await creating.check(run.creation, creating.preview(spec, run.creation.survey))
    output.say(f"Making tenant {spec.name}.")
    await creating.carry_out(run.creation, wait=True)
    entry = await session.entry(spec.name, spec.namespace)
    access = kubeconfigs.from_text(entry.text().encode())
    with tempfile.TemporaryDirectory(prefix="vcp-") as private:
        async with contextlib.AsyncExitStack() as stack:
            with run.progress.silently("way in"):
                route = await stack.enter_async_context(routes.route_in(session.host, spec.namespace, access))
            file = Path(private) / "kubeconfig"
            contexts.write(file, entry.at(route.server, route.server_name).text())
            environ = {**os.environ, "KUBECONFIG": str(file), "VCP_TENANT": spec.name}
            with run.progress.silently("command"):
                return await watch.program(run.program, environ, run.seconds)


async def _collect(run: _Run, folder: Path) -> None:
    """Best effort, and not forever: the tenant has to go, too."""
    with run.progress.step("evidence"):
        async with asyncio.timeout(_COLLECT_LIMIT):
            count = await collecting.collect(run.session.host, run.spec, folder, await _admin(run))
        run.progress.result(f"{count} files in {folder}")


async def _admin(run: _Run) -> auth.Access | None:
    """The tenant's admin, if the tenant has come that far."""
    try:
        entry = await run.session.entry(run.spec.name, run.spec.namespace)
    except NotFoundError:
        return None
    return kubeconfigs.from_text(entry.text().encode())


async def _is_ours(run: _Run) -> bool:
    """Whether this very run has made the tenant: another one of the same name may have been faster."""
    spec = run.spec

    async def mark(resource: apis.ApiResource, namespace: str, name: str) -> str | None:
        try:
            found = await run.session.host.get(resource, namespace, name)
        except (kube.NotFoundError, kube.ForbiddenError):
            return None
        mark: str = (found["metadata"].get("annotations") or {}).get(inventory.RUN, "")
        return mark

    recorded = await mark(apis.SECRETS, spec.namespace, layout.RECORD)
    if recorded is not None:
        return recorded == run.creation.run
    born = [await mark(apis.NAMESPACES, "", name) for name in (spec.namespace, spec.workload_namespace)]
    return run.creation.run in born


async def _delete(run: _Run) -> bool:
    """Whether nothing of ours is left. Never raises for what the host does."""
    spec, progress = run.spec, run.progress
    seconds = run.creation.seconds

    async def delete() -> None:
        if await _is_ours(run):
            going = await removing.remove(
                run.session.host, inventory.named(spec), keep_data=False, progress=progress
            )
            await removing.until_gone(run.session.host, going, seconds, progress)

    if await _survive(delete(), "deleting the tenant"):
        return True
    output.say(f"vcp: tenant {spec.name} is left: {run.left()}.")
    return False


async def _survive(work: Coroutine[Any, Any, None], what: str) -> bool:
    try:
        await work
    except supervise.GivenUpError:
        raise
    except Exception as error:  # said, so that it cannot hide how the command ended
        output.say(f"vcp: {what} failed: {str(explain(error)) or type(error).__name__}")
        return False
    return True


async def _tell_kept(run: _Run) -> None:
    name = run.spec.name
    if await _is_ours(run):
        output.say(f"vcp: tenant {name} is kept: `vcp connect {name}` uses it, {run.left()}.")


def _given_up(run: _Run) -> VcpError:
    return supervise.GivenUpError(f"interrupted twice; tenant {run.spec.name} may be left", hint=run.left())
