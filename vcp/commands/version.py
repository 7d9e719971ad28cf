"""`vcp version`."""

import click

from vcp import __version__


@click.command("version")
def command() -> None:
    """Print the version of vcp."""
    click.echo(__version__)
