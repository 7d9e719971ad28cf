"""`vcp rbac`."""

import click

from kube.objects import Obj
from vcp import config, output, render
from vcp import spec as specs
from vcp.commands import create
from vcp.errors import UsageError
from vcp.options import Options
from vcp.provision import creating, facts, grants, permissions

_ANYWHERE = """\
# What `vcp run` takes on the host, where each tenant gets namespaces of its own. Such rights hold in the
# whole cluster: Kubernetes cannot limit them to namespaces that do not exist yet. docs/ci tells another way.
"""
_NAMED = """\
# What `vcp run` takes on the host in these namespaces, which have to exist: {places}.
"""


@click.command("rbac")
@click.option("--for", "purpose", type=click.Choice(["ci"]), default="ci", help="`ci`: jobs that `vcp run`.")
@click.option(
    "--service-account",
    "account",
    default="default/vcp-ci",
    show_default=True,
    metavar="NAMESPACE/NAME",
    help="Who gets the rights.",
)
@click.option("-f", "--file", metavar="FILE", help="The spec of the tenants; - reads it from stdin.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="One setting: quota.pods=50.")
@click.pass_obj
def command(
    options: Options | None, purpose: str, account: str, file: str | None, sets: tuple[str, ...]
) -> None:
    """Print the RBAC objects that a job's service account needs on the host, as YAML for `kubectl apply`.

    Tenants of random names take rights in the whole cluster. Where -n and `--set workloadNamespace=...`
    name namespaces that an administrator has made, the rights hold in these alone, and one job at a time
    runs there. The user who applies this must have these rights, or be allowed to escalate and bind.
    """
    del purpose  # the one there is
    namespace, slash, name = account.partition("/")
    if not (slash and namespace and name) or "/" in name:
        raise UsageError(
            f"--service-account {account}: no namespace and name", hint="write --service-account ci/runner"
        )
    options = options or Options()
    settings = config.load()
    base = {"name": "run", "storage": {"ephemeral": True}}
    said = config.layered(base, settings.spec, create.read(file))
    if place := options.namespace or settings.namespace:
        said["namespace"] = place
    spec = specs.load(said, overrides=[create.setting(text) for text in sets])
    anywhere = bool({spec.namespace, spec.workload_namespace} & {f"vcp-{spec.name}", f"vcp-{spec.name}-work"})
    found = grants.objects(
        _needs(spec, anywhere=anywhere), grants.Account(namespace, name), anywhere=anywhere
    )
    _print(found, spec, options.output or settings.output, anywhere=anywhere)


def _needs(spec: specs.Spec, *, anywhere: bool) -> list[permissions.Need]:
    """What a run asks the host about, with the namespaces there already or to be made."""
    existing = set() if anywhere else {spec.namespace, spec.workload_namespace}
    known = render.Facts(service_cidr="10.96.0.0/12", foreign_namespaces=frozenset(existing))
    unknown = facts.Survey(known, None, {})  # no right depends on the rest
    preview = creating.preview(spec, unknown)
    return [
        *permissions.needs(preview, spec.namespace, existing),
        *permissions.ending(spec, existing),
        *permissions.looking_in(spec),
    ]


def _print(found: list[Obj], spec: specs.Spec, form: str, *, anywhere: bool) -> None:
    if form == "json":
        output.data(output.encode({"apiVersion": "v1", "kind": "List", "items": found}, "json"))
        return
    if form == "name":
        output.data("\n".join(f"{obj['kind'].lower()}/{obj['metadata']['name']}" for obj in found))
        return
    places = ", ".join(dict.fromkeys((spec.namespace, spec.workload_namespace)))
    head = _ANYWHERE if anywhere else _NAMED.format(places=places)
    output.data(head + "---\n".join(output.encode(obj, "yaml") for obj in found))
