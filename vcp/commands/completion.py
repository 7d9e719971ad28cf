"""`vcp completion`: the script that makes a shell ask vcp for completions, tenant names included."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash: source <(vcp completion bash)
    zsh:  source <(vcp completion zsh)
    fish: vcp completion fish | source
    """
    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover  the choice above lists only what click has
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "vcp", "_VCP_COMPLETE").source())
