"""The global options: which host cluster, which namespace, how to answer."""

from dataclasses import dataclass

import click

FORMATS = ("table", "json", "yaml", "name")


@dataclass
class Options:
    """What the command line said so far; empty means unsaid, so that configuration files may speak."""

    context: str = ""
    kubeconfig: str = ""
    namespace: str = ""
    output: str = ""
    verbose: int = 0
    debug: bool = False
    if_interrupted: str = ""  # what Ctrl-C would leave behind right now, as a sentence


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """Fresh options that write into the context's `Options`; the last place that names one wins."""

    def option(*names: str, **settings: object) -> click.Option:
        return click.Option(names, expose_value=False, callback=_remember, hidden=hidden, **settings)  # type: ignore[arg-type]

    return [
        option("--context", metavar="NAME", help="Context of the host cluster."),
        option("--kubeconfig", metavar="FILE", help="Kubeconfig of the host cluster."),
        option("-n", "--namespace", metavar="NAME", help="Namespace of the control plane."),
        option("-o", "--output", type=click.Choice(FORMATS), help="Form of the answer on stdout."),
        option("-v", "--verbose", count=True, help="Say more on stderr; twice: every request."),
        option("--debug", is_flag=True, help="Show tracebacks."),
    ]


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    options = ctx.ensure_object(Options)
    if value and param.name:
        setattr(options, param.name, value)
