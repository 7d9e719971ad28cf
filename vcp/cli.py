"""The command line: finds a command's module by its name and turns errors into messages and exit codes.

Commands are imported only when they run, so that `vcp --help` costs no more than click itself.
"""

import importlib
import sys

import click

from vcp.errors import VcpError

# name -> one line of help, so that the overview needs no command's module.
COMMANDS = {
    "version": "Print the version of vcp.",
}


class LazyGroup(click.Group):
    """A group whose commands live in `vcp.commands.<name>`, each in an attribute `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"vcp.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Give every tenant a Kubernetes of its own, inside a cluster that you already have."""


def main() -> None:
    try:
        cli(standalone_mode=True)
    except VcpError as error:
        if "--debug" in sys.argv:
            raise
        click.echo(f"vcp: {error.message}", err=True)
        if error.hint:
            click.echo(f"     {error.hint}", err=True)
        sys.exit(error.exit_code)
