"""The command line: finds a command's module by its name and turns errors into messages and exit codes.

Commands are imported only when they run, so that `vcp --help` costs no more than click itself. The global
options are understood before and after the command's name, as kubectl's are.
"""

import importlib
import sys
from collections.abc import Sequence

import click

from vcp.errors import VcpError
from vcp.options import Options, global_options

# name -> one line of help, so that the overview needs no command's module.
COMMANDS = {
    "create": "Create a tenant cluster, or bring an existing one to its spec.",
    "delete": "Delete tenant clusters and everything that belongs to them.",
    "run": "Run a command with a throwaway tenant cluster.",
    "extend": "Extend the life of a tenant cluster.",
    "reap": "Delete tenant clusters that have expired.",
    "reaper": "Install or remove the CronJob that runs `vcp reap`.",
    "list": "List tenant clusters.",
    "status": "Show the state of a tenant cluster and what to do next.",
    "kubeconfig": "Print a kubeconfig for a tenant cluster.",
    "certs": "Replace the certificate authorities of a tenant cluster.",
    "connect": "Connect to a tenant cluster from wherever you are.",
    "logs": "Print the logs of a control plane.",
    "doctor": "Check whether a host is fit for tenants, or a tenant cluster.",
    "rbac": "Print the rights that CI jobs need on the host.",
    "completion": "Print the shell completion script.",
    "version": "Print the version of vcp.",
}
EXIT_CODES = """\b
Exit codes:
  0 done            2 usage          3 not found     4 refused
  5 timeout         6 host API       7 doctor found something broken
  8 tenant's API
  1 anything else
  130 interrupted by Ctrl-C"""


class LazyGroup(click.Group):
    """A group whose commands live in `vcp.commands.<name>`, each in an attribute `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"vcp.commands.{cmd_name}").command
        taken = {name for param in command.params for name in (param.name, *param.opts)}
        command.params += [
            option for option in global_options(hidden=True) if not taken & {option.name, *option.opts}
        ]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


cli = LazyGroup(
    "vcp",
    help="Run a virtual Kubernetes cluster for each tenant inside a cluster that you already have.",
    epilog=EXIT_CODES,
    params=global_options(hidden=False),
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(args: Sequence[str] | None = None) -> None:
    """The console script; `args` are those of the process unless given."""
    options = Options()
    try:
        result = cli.main(args, prog_name="vcp", obj=options, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except VcpError as error:
        if options.debug:
            raise
        from vcp import output  # noqa: PLC0415  only when something is wrong

        output.say(f"vcp: {error.message}")
        if error.hint:
            output.say(f"     {error.hint}")
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        from vcp import output  # noqa: PLC0415

        output.say(f"vcp: interrupted. {options.if_interrupted}".rstrip())
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)
