"""`vcp create`."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from kube import kubeconfig as kubeconfigs
from vcp import config, contexts, inventory, kubeconfig, output, render, routes
from vcp import spec as specs
from vcp.errors import NotFoundError, RefusedError, UsageError
from vcp.provision import creating, facts
from vcp.session import Session, complete_names, on_host


@click.command("create")
@click.argument("name", required=False, default="", shell_complete=complete_names)
@click.option("-f", "--file", metavar="FILE", help="The spec; - reads it from stdin.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="One setting: storage.size=10Gi.")
@click.option("--distro", type=click.Choice(["k3s", "k8s"]), help="What runs as API server.")
@click.option("--version", metavar="VERSION", help="Kubernetes version, such as v1.36.3.")
@click.option("--workload-namespace", metavar="NAME", help="Namespace of the tenant's pods.")
@click.option("--replicas", type=click.IntRange(1, 3), help="API server pods.")
@click.option("--etcd-replicas", type=click.Choice(["1", "3"]), help="etcd members.")
@click.option("--ephemeral", is_flag=True, help="Keep no data beyond the life of the pods.")
@click.option(
    "--expose", type=click.Choice(["cluster-ip", "node-port", "load-balancer"]), help="The Service."
)
@click.option("--tls-san", "tls_sans", multiple=True, metavar="NAME", help="Further name of the API.")
@click.option("--service-cidr", metavar="CIDR", help="The host's service CIDR, if it cannot be detected.")
@click.option("--ttl", metavar="DURATION", help="Life of the tenant, after which `vcp reap` deletes it.")
@click.option("--wait/--no-wait", default=True, help="Return when the tenant is usable.  [default: wait]")
@click.option("--timeout", "limit", default="", metavar="DURATION", help="How long to wait.  [default: 120s]")
@click.option("--dry-run", is_flag=True, help="Print every manifest, Secrets redacted; change nothing.")
@click.option("--no-kubeconfig", is_flag=True, help="Write no context into the kubeconfig.")
@click.option("--timings", is_flag=True, help="Print at the end where the time went.")
@on_host
async def command(
    session: Session,
    /,
    *,
    name: str,
    file: str | None,
    sets: tuple[str, ...],
    wait: bool,
    limit: str,
    dry_run: bool,
    no_kubeconfig: bool,
    timings: bool,
    **flags: Any,
) -> None:
    """Create tenant NAME, or bring it to its spec: the same command again continues and repairs.

    Settings come from the built-in defaults, the configuration file's `spec`, the spec file and the flags,
    later ones over earlier ones. Without a spec file, a tenant that exists keeps what is not named.
    """
    progress = output.Timed(output.progress())
    seconds = config.seconds(limit or session.config.timeout or "120s")
    said = config.layered(read(file), _flags(name, session.namespace, flags))
    if not said.get("name"):
        raise UsageError("the tenant has no name", hint="vcp create NAME, or `name` in the spec file")
    with progress.step("plan"):
        old, creation = await plan(session, said, sets, progress, seconds, complete=file is not None)
        objects = creating.preview(creation.spec, creation.survey)
        progress.result(f"{len(objects)} objects")
    spec = creation.spec
    if dry_run:
        facts.check_service_cidr(creation.survey)
        _print(render.redact(objects), session.output)
        return
    await creating.check(creation, objects)
    session.options.if_interrupted = (
        f"`vcp create {spec.name}` continues, `vcp delete {spec.name}` removes what exists so far."
    )
    changed = await creating.carry_out(creation, wait=wait)
    if wait and not no_kubeconfig:
        with progress.silently("context"):
            await write_context(session, spec)
    if timings:
        output.say(progress.report())
    if old is None:
        output.say(_bounds(spec))
    _answer(spec, session.output, "created" if old is None else "changed" if changed else "unchanged")


async def plan(
    session: Session,
    said: Mapping[str, Any],
    sets: Iterable[str],
    progress: output.Progress,
    seconds: float,
    *,
    complete: bool,
) -> tuple[specs.Spec | None, creating.Creation]:
    """The spec as last applied, and what is to be done now; nothing is changed yet. Where what is `said` is
    not `complete`, a tenant that exists keeps what is not named."""
    name, base = said["name"], session.config.spec
    place = said.get("namespace") or base.get("namespace") or f"vcp-{name}"
    old = await facts.recorded(session.host, name, place)
    if old is None:
        await _nowhere_else(session, name, place)
    elif not complete:
        base = old.to_mapping()
    spec = specs.load(config.layered(base, said), overrides=[setting(text) for text in sets])
    _compare(old, spec)
    survey = await facts.survey(session.host, spec)
    return old, creating.Creation(session.host, spec, survey, progress, seconds, _named(spec, said, old))


def read(file: str | None) -> Mapping[str, Any]:
    """What a spec file says; `-` is stdin."""
    if file is None:
        return {}
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        data = yaml.safe_load(text)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not YAML: {error}") from error
    if not isinstance(data, Mapping):
        raise UsageError(f"{file} is not a mapping", hint="write `key: value` lines, at least `name: NAME`")
    return data


def _flags(name: str, namespace: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """What the flags say, in the spec's own shape; nothing for what they do not say."""
    expose = {"type": flags["expose"], "tlsSans": list(flags["tls_sans"])}
    said = {
        "name": name,
        "namespace": namespace,
        "workloadNamespace": flags["workload_namespace"],
        "distro": flags["distro"],
        "version": flags["version"],
        "replicas": flags["replicas"],
        "etcd": {"replicas": int(flags["etcd_replicas"])} if flags["etcd_replicas"] else {},
        "storage": {"ephemeral": True} if flags["ephemeral"] else {},
        "expose": {key: value for key, value in expose.items() if value},
        "serviceCidr": flags["service_cidr"],
        "ttl": flags["ttl"],
    }
    return {key: value for key, value in said.items() if value}


def setting(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: no value", hint="write --set storage.size=10Gi")
    return path, value


async def _nowhere_else(session: Session, name: str, place: str) -> None:
    """Raises RefusedError if the tenant lives in another namespace: two would share their workloads."""
    try:
        found = await inventory.find(session.host, name)
    except NotFoundError:
        return
    if found.version and found.namespace != place:
        hint = f"pass --namespace {found.namespace} if it is meant, or another name"
        raise RefusedError(f"tenant {name} exists in namespace {found.namespace}", hint=hint)


def _named(spec: specs.Spec, said: Mapping[str, Any], old: specs.Spec | None) -> frozenset[str]:
    """The namespaces that may exist without being vcp's: those that somebody has named, now or before."""
    both = {spec.namespace, spec.workload_namespace}
    if old:
        return frozenset(both)
    asked = {said.get("namespace"), said.get("workloadNamespace")}
    derived = {f"vcp-{spec.name}", f"vcp-{spec.name}-work"}
    return frozenset(both & asked | both - derived)


def _compare(old: specs.Spec | None, new: specs.Spec) -> None:
    """Shows what will change. Raises RefusedError for what cannot."""
    if old is None:
        return
    refused = specs.immutable_violations(old, new)
    if refused:
        raise RefusedError("\n  ".join([f"tenant {new.name} cannot be changed so:", *refused]))
    for path, before, after in specs.changes(old, new):
        output.say(f"  {path}: {before!r} -> {after!r}")


def _print(objects: list[render.Obj], form: str) -> None:
    if form == "json":
        output.data(output.encode({"apiVersion": "v1", "kind": "List", "items": objects}, "json"))
    elif form == "name":
        output.data("\n".join(f"{obj['kind'].lower()}/{obj['metadata']['name']}" for obj in objects))
    else:
        output.data("---\n".join(output.encode(obj, "yaml") for obj in objects))


async def write_context(session: Session, spec: specs.Spec) -> None:
    """The context names an address that answers from here; where none does, only `vcp connect` gets in."""
    entry = await session.entry(spec.name, spec.namespace)
    route = await routes.direct(session.host, spec.namespace, kubeconfigs.from_text(entry.text().encode()))
    if route:
        entry = entry.at(route.server, route.server_name)
    if contexts.update(session.kubeconfig_file, lambda text: kubeconfig.merge(text, entry, switch=False)):
        output.say(f"Context {entry.name} is written{f' ({route.kind}, {route.server})' if route else ''}.")
    if not route:
        output.say(f"No address of the API answers from here; `vcp connect {spec.name}` finds a way.")


def _bounds(spec: specs.Spec) -> str:
    """What the tenant may take of the host."""
    if not spec.hard:
        return "The tenant may take all of the host: there is no quota (`tier`, `quota`)."
    entries = ", ".join(f"{key} {text}" for key, text in spec.hard.items())
    return f"Quota on the host, tier {spec.tier}: {entries}."


def _answer(spec: specs.Spec, form: str, outcome: str) -> None:
    if form == "table":
        output.data(f"tenant {spec.name} {outcome}")
    elif form == "name":
        output.data(f"tenant/{spec.name}")
    else:
        output.data(output.encode(spec.to_mapping(), form))
