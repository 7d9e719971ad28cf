"""`vcp version`."""

import click

from vcp import __version__
from vcp.options import Options


@click.command("version")
@click.pass_obj
def command(options: Options | None) -> None:
    """Print the version of vcp."""
    form = options.output if options else ""
    if form in {"json", "yaml"}:
        from vcp import output  # noqa: PLC0415  the plain answer needs no serialiser

        output.data(output.encode({"vcp": __version__}, form))
    else:
        click.echo(__version__)
