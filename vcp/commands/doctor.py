"""`vcp doctor`."""

from collections.abc import Sequence

import click

from vcp import config, output
from vcp import spec as specs
from vcp.doctor import finding, hosts, tenants
from vcp.session import Session, complete_names, on_host

_CANDIDATE = "doctor"  # the name of the tenant that might be created


@click.command("doctor")
@click.argument("name", required=False, default="", shell_complete=complete_names)
@click.option(
    "--probe/--no-probe", default=True, help="Try the host's network with pods of our own.  [default: probe]"
)
@on_host
async def command(session: Session, *, name: str, probe: bool) -> int:
    """Check the host before the first create, or tenant NAME, and say what each finding means and what to do.

    A host is tried with three small pods in a namespace of their own, which is deleted afterwards; nothing
    else is changed. The exit code is 7 if something is broken; warnings leave it 0.
    """
    if name:
        findings = await tenants.examine(session, await session.tenant(name))
    else:
        said = {"name": _CANDIDATE} | ({"namespace": session.namespace} if session.namespace else {})
        spec = specs.load(config.layered(session.config.spec, said))
        findings = await hosts.examine(session.host, spec, probe=probe)
    _show(findings, session.output)
    return finding.exit_code(findings)


def _show(findings: Sequence[finding.Finding], form: str) -> None:
    if form == "name":
        output.data("".join(f"{one.check}\n" for one in findings if one.level != "ok"))
    elif form == "table":
        output.data("\n".join(line for one in findings for line in _lines(one)))
        worst = [one.level for one in findings]
        output.say(
            f"{len(findings)} findings: {worst.count('broken')} broken, {worst.count('warning')} warnings."
        )
    else:
        output.data(output.encode(list(findings), form))


def _lines(one: finding.Finding) -> list[str]:
    first = f"{one.level:<7}  {one.check}: {one.found}"
    return [first, *(f"         {text}" for text in (_sentence(one.meaning), _sentence(one.action)) if text)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
