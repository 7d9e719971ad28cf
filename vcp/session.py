"""One run of a command against the host cluster: its options, configuration and client."""

import asyncio
import base64
import functools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click

from kube import apis
from kube import errors as kube
from kube import kubeconfig as kubeconfigs
from kube.client import Client
from vcp import config, inventory, kubeconfig, layout, output
from vcp.errors import DeadlineError, HostError, NotFoundError, RefusedError, VcpError
from vcp.options import Options

P = ParamSpec("P")
_COMPLETION_LIMIT = 2.0  # seconds; a shell that hangs on Tab is worse than no completion


@dataclass(frozen=True)
class Session:
    """What a command gets: `host` is open while the command runs."""

    options: Options
    config: config.Config
    host: Client

    @property
    def output(self) -> str:
        return self.options.output or self.config.output or "table"

    @property
    def namespace(self) -> str:
        """The namespace that the user named; empty if none."""
        return self.options.namespace or self.config.namespace

    async def tenant(self, name: str) -> inventory.Tenant:
        """Raises NotFoundError."""
        return await inventory.find(self.host, name, self.namespace)

    @property
    def kubeconfig_file(self) -> Path:
        """The file that contexts are written to."""
        return kubeconfigs.paths(self.options.kubeconfig or self.config.kubeconfig)[0]

    async def entry(self, name: str, namespace: str) -> kubeconfig.Entry:
        """The kubeconfig entry that was published for the tenant. Raises NotFoundError before that, and
        RefusedError if somebody else has written it."""
        try:
            secret = await self.host.get(apis.SECRETS, namespace, layout.KUBECONFIG)
        except kube.NotFoundError as error:
            hint = f"`vcp create {name}` continues where the last create stopped"
            raise NotFoundError(f"tenant {name!r} has no kubeconfig yet", hint=hint) from error
        return kubeconfig.published(base64.b64decode((secret.get("data") or {}).get("kubeconfig", "")), name)


def on_host(
    command: Callable[Concatenate[Session, P], Coroutine[Any, Any, int | None]],
) -> Callable[P, int | None]:
    """Makes a click callback of an async function: opens the host client, explains its errors."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> int | None:
        options = click.get_current_context().ensure_object(Options)
        output.log_to_stderr(options.verbose)
        return asyncio.run(_run(options, lambda session: command(session, *args, **kwargs)))

    return run


async def _run(options: Options, body: Callable[[Session], Coroutine[Any, Any, int | None]]) -> int | None:
    settings = config.load()
    try:
        access = kubeconfigs.find(
            options.kubeconfig or settings.kubeconfig, options.context or settings.context
        )
        if access.context.startswith("vcp-") and not (options.context or settings.context):
            output.say(
                f"The current context {access.context} looks like a tenant's; --context names the host."
            )
        async with Client(access) as host:
            return await body(Session(options, settings, host))
    except (kube.KubeError, BaseExceptionGroup) as error:
        raise explain(error) from error


# First match wins. {} is the error's own message.
_EXPLAINED: tuple[tuple[type[kube.KubeError], type[VcpError], str, str], ...] = (
    (kube.ConfigError, HostError, "{}", "pass --kubeconfig and --context, or set $KUBECONFIG"),
    (kube.DeadlineError, DeadlineError, "{}", ""),
    (kube.NoPodError, HostError, "{}", ""),
    (kube.UnreachableError, HostError, "the host API cannot be reached: {}", "is --context the right one?"),
    (kube.RequestTimeoutError, HostError, "the host API is too slow: {}", "run the same command again"),
    (kube.UnauthorizedError, HostError, "the host API does not know these credentials", "are they expired?"),
    (kube.ForbiddenError, RefusedError, "the host refuses: {}", ""),
    (kube.NotFoundError, NotFoundError, "{}", ""),
    (kube.KubeError, HostError, "the host API failed: {}", "the same command may be run again"),
)


def explain(error: BaseException) -> BaseException:
    """The error in words that help; the first of a group, because the others are mostly its consequences."""
    if isinstance(error, BaseExceptionGroup):
        return explain(error.exceptions[0])
    for kind, wanted, text, hint in _EXPLAINED:
        if isinstance(error, kind):
            return wanted(text.format(error), hint=hint)
    return error


def complete_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Shell completion of tenant names; nothing rather than an error or a wait."""

    async def names(session: Session) -> None:
        async with asyncio.timeout(_COMPLETION_LIMIT):
            listing = await inventory.read(session.host, session.namespace)
        found.extend(tenant.name for tenant in listing.tenants)

    found: list[str] = []
    try:
        asyncio.run(_run(ctx.ensure_object(Options), names))
    except (VcpError, TimeoutError):
        return []
    return [name for name in found if name.startswith(incomplete)]
