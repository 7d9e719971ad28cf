"""`hack/lab`: the commands of the lab."""

import json
import os
import shlex
import sys
from pathlib import Path

import click

from labkit import lab, nodes
from labkit.build import build
from labkit.cluster import Cluster, make
from labkit.lab import Lab
from labkit.steps import LabError, say, step

NEW_LAB_NODES = 2  # what spreads or drains needs somewhere to go


class Spelled(click.Group):
    """Lists the commands in the order in which a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=Spelled, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--name",
    default=lab.DEFAULT_NAME,
    envvar="VCP_LAB",
    show_default=True,
    help="Which lab; several run side by side.",
)
@click.pass_context
def cli(ctx: click.Context, name: str) -> None:
    """A real Kubernetes cluster on this machine, inside network namespaces, built from source modules."""
    ctx.obj = Cluster(Lab(name))


@cli.command("build")
@click.option("--force", is_flag=True, help="Build again what is there.")
def build_(force: bool) -> None:
    """Build all binaries into the cache; what is there already is skipped."""
    for name, path in build(force=force).items():
        click.echo(f"{name}\t{path}")


@cli.command("images")
@click.option("--force", is_flag=True, help="Make again what is there.")
def images_(force: bool) -> None:
    """Make all images, and the store that nodes start from; only what changed."""
    _, archives, _ = make(force=force)
    for name, path in archives.items():
        click.echo(f"{name}\t{path}")


@cli.command()
@click.option(
    "--nodes",
    "count",
    type=click.IntRange(1, 9),
    help="Real nodes to have at least  [default: 2 for a new lab]",
)
@click.pass_obj
def up(cluster: Cluster, count: int | None) -> None:
    """Start the lab, or repair it; a lab that runs well is left alone."""
    require_machine()
    cluster.up(count or (1 if cluster.lab.exists else NEW_LAB_NODES))


@cli.command()
@click.option("--all", "every", is_flag=True, help="Every lab on this machine.")
@click.pass_obj
def down(cluster: Cluster, every: bool) -> None:
    """Remove the lab: processes, mounts, cgroups, network namespaces, files. The cache stays."""
    require_machine()
    for one in [Cluster(other) for other in lab.labs()] if every else [cluster]:
        with step(f"down {one.lab.name}"):
            one.down()


@cli.command()
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def status(cluster: Cluster, output: str) -> None:
    """Show each component with its process id; exit code 1 if one is missing."""
    components = cluster.components()
    if output == "json":
        click.echo(json.dumps(components))
    else:
        for name, pid in components.items():
            click.echo(f"{name:24} {pid or 'not running'}")
        cluster.tell_of_kills()
    if not components or None in components.values():
        say("the lab is not up; `hack/lab up` starts or repairs it")
        sys.exit(1)


@cli.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def exec(cluster: Cluster, command: tuple[str, ...]) -> None:  # noqa: A001  the command's own name
    """Run a command inside the lab's network namespace, with `hack/lab env` set."""
    cluster.execute(command)


@cli.group()
def node() -> None:
    """Add or remove nodes."""


@node.command("add")
@click.argument("name", required=False)
@click.option("--fake", type=click.IntRange(1, 1000), metavar="COUNT", help="Nodes played by kwok, for load.")
@click.pass_obj
def node_add(cluster: Cluster, name: str | None, fake: int | None) -> None:
    """Add the real node NAME (node-2 to node-9), or COUNT fake ones."""
    if (name is None) == (fake is None):
        raise click.UsageError("give either the NAME of a real node or --fake COUNT")
    require_machine()
    if name is not None:
        nodes.add(cluster, name)
    else:
        nodes.add_fake(cluster, fake or 0)


@node.command("remove")
@click.argument("name")
@click.pass_obj
def node_remove(cluster: Cluster, name: str) -> None:
    """Drain a node and remove it with all that runs on it."""
    require_machine()
    with step(f"remove {name}"):
        nodes.remove(cluster, name)


@cli.command()
@click.pass_obj
def env(cluster: Cluster) -> None:
    """Print the variables for the lab, to be read by `eval`; the addresses answer only under `hack/lab
    exec`.
    """
    for name, value in cluster.environment().items():
        click.echo(f"export {name}={shlex.quote(value)}")


@cli.command()
@click.argument("component")
@click.option("-f", "--follow", is_flag=True)
@click.pass_obj
def logs(cluster: Cluster, component: str, follow: bool) -> None:
    """Print the log of a component (see `status` for the names)."""
    path = cluster.daemons.log(component)
    if not path.exists():
        raise LabError(
            f"there is no log of {component!r}; the components are {', '.join(cluster.components())}."
        )
    os.execvp("tail", ["tail", "-n", "+1", *(["-F"] if follow else []), str(path)])  # noqa: S606


def require_machine() -> None:
    """The lab needs Linux and root: network namespaces, mounts and cgroups."""
    if sys.platform != "linux":
        raise LabError("the lab runs only on Linux.")
    if os.geteuid() != 0:
        raise LabError("the lab needs root for network namespaces, mounts and cgroups: run it with sudo.")
    if not Path("/sys/fs/cgroup").is_mount():
        raise LabError("no cgroups are mounted at /sys/fs/cgroup; containers cannot run here.")


def main() -> None:
    try:
        cli()
    except LabError as error:
        say(f"hack/lab: {error}")
        sys.exit(1)
