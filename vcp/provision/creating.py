"""Brings a host to a spec: namespaces, lock, objects, waiting, tenant bootstrap, verification, publication.

Every step may be repeated; the record of the spec is written first and marked as published last. So a create
that died anywhere is continued by the same command and removed by `vcp delete`.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec

from kube import apis, auth
from kube import errors as kube
from kube.client import Client
from kube.objects import Obj, annotations_of, labels_of
from vcp import inventory, layout, lock, output, pki, render, routes
from vcp.errors import HostError, RefusedError
from vcp.provision import (
    applying,
    bootstrap,
    facts,
    levels,
    lifetime,
    ownership,
    permissions,
    pruning,
    waiting,
)
from vcp.spec import Spec

# What keeps a tenant in its place. A kubeconfig is handed out only while all of these stand as rendered.
ISOLATION = {
    "ClusterRole",
    "ClusterRoleBinding",
    "LimitRange",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "Role",
    "RoleBinding",
}
# CoreDNS asks an API that does not answer, or does not know it yet, ever less often. And what starts beside
# the API server takes processor time from it.
_AFTER_THE_API = {"syncer and DNS"}
_PATIENCE = 15.0  # seconds that a tenant which was there before may refuse what belongs in it
_SKEW = timedelta(minutes=5)  # by which this clock may differ from the tenant's
Rekey = Callable[[Mapping[str, bytes]], Mapping[str, bytes]]
# The parts without which there is no API.
_API = {"api", "etcd"}


@dataclass(frozen=True)
class Creation:
    """One create under way. `survey` was read before the lock was held; namespaces in `named` may exist
    already, because the user has named them or the tenant lives there. A `run` is the mark of a create that
    is to make the tenant, not to continue it, and may delete what bears that mark. Its namespaces are `fresh`
    once this very create has made them."""

    host: Client
    spec: Spec
    survey: facts.Survey
    progress: output.Progress
    seconds: float
    named: frozenset[str] = frozenset()
    run: str = ""
    fresh: bool = False
    rekey: Rekey = dict
    """What becomes of the key material that there is, before it is renewed."""


def preview(spec: Spec, survey: facts.Survey) -> list[render.Obj]:
    """Every object that a create would apply; key material that is missing is made for the occasion."""
    material = pki.renew(survey.files, render.pki_request(spec, survey.facts), datetime.now(UTC))
    steps = (
        *render.render(spec, material, survey.facts),
        render.publication(spec, material, _internal(spec)),
    )
    return render.flatten(steps)


async def check(creation: Creation, objects: Sequence[Obj]) -> None:
    """Refuses what cannot work, before anything is changed."""
    host, spec = creation.host, creation.spec
    existing: set[str] = set()
    for name in dict.fromkeys((spec.namespace, spec.workload_namespace)):
        try:
            current = await host.get(apis.NAMESPACES, "", name)
        except kube.NotFoundError:
            continue
        except kube.ForbiddenError:  # a named one is taken to exist; the permissions tell what is lacking
            existing |= creation.named & {name}
            continue
        existing.add(name)
        named = name in creation.named
        applying.check_namespace(current, spec.name, spec.namespace, named_by_user=named)
        if layout.MADE not in labels_of(current):
            levels.check(current, levels.wanted(spec)[name])
    wanted = permissions.needs(objects, spec.namespace, existing)
    for name in existing:
        await ownership.check_given(host, name, spec.name, spec.namespace)
    await permissions.check(host, wanted + (permissions.ending(spec, existing) if creation.run else []))
    facts.check_storage(creation.survey, spec)
    facts.check_service_cidr(creation.survey)


async def carry_out(creation: Creation, *, wait: bool) -> bool:
    """Whether anything on the host was changed."""
    host, spec, progress = creation.host, creation.spec, creation.progress
    first, *access = render.render_access(spec, creation.survey.facts)
    with progress.step("namespaces"):
        outcomes = await _namespaces(creation, first.objects)
        progress.result(_summary(outcomes))
    creation = replace(creation, fresh=set(outcomes) == {"created"})
    async with lock.held(host, spec.namespace, layout.labels(spec, "create"), lock.identity()):
        outcomes += await _record(creation, first.objects)
        for step in access:
            outcomes += await _apply(creation, step.name, step.objects)
        with progress.step("address"):
            found = await addressed(creation, wait=wait)
            progress.result(found.cluster_ips["api"])
        # Read again under the lock: another create may have made the keys in the meantime.
        existing = creation.rekey(await facts.files(host, spec))
        material = pki.renew(existing, render.pki_request(spec, found), datetime.now(UTC))
        steps = render.render(spec, material, found)
        for step in steps[1 + len(access) :]:
            if not wait or step.name not in _AFTER_THE_API:
                outcomes += await _apply(creation, step.name, step.objects)
        if pruned := await pruning.prune(host, spec, render.flatten(steps)):
            output.say(f"  {pruned} objects are removed, which the spec no longer asks for")
            outcomes.append("changed")
        if wait:
            outcomes += await _finish(creation, material, steps)
    return set(outcomes) != {"unchanged"}


async def _namespaces(creation: Creation, objects: Iterable[Obj]) -> list[applying.Outcome]:
    """A namespace that is made here says at once when it may go: we might die before there is a record."""
    spec = creation.spec
    when = lifetime.moment(spec.ttl, before="", current=None, now=datetime.now(UTC))
    notes = _notes(creation, when)
    return [
        await applying.ensure_namespace(
            creation.host,
            obj,
            spec.name,
            named_by_user=obj["metadata"]["name"] in creation.named,
            notes=notes,
        )
        for obj in objects
        if obj["kind"] == "Namespace"
    ]


async def _record(creation: Creation, objects: Iterable[Obj]) -> list[applying.Outcome]:
    """Raises RefusedError if the tenant is to be made and is there already."""
    host, spec = creation.host, creation.spec
    before = await lifetime.record(host, spec)
    if creation.run and before:
        raise RefusedError(f"tenant {spec.name!r} exists already", hint="choose another name")
    when = lifetime.decide(spec, before, datetime.now(UTC))
    notes = _notes(creation, when)
    dated = [
        {**obj, "metadata": {**obj["metadata"], "annotations": notes}} if notes else obj for obj in objects
    ]
    outcomes = await _apply(creation, "record", dated)
    if before and not when and inventory.expiry(before):
        await lifetime.end(host, spec)
    return outcomes


def _notes(creation: Creation, expires: datetime | None) -> dict[str, str]:
    """Annotations of what says that the tenant exists."""
    notes = {inventory.EXPIRES_AT: lifetime.written(expires)} if expires else {}
    return notes | ({inventory.RUN: creation.run} if creation.run else {})


async def _apply(creation: Creation, name: str, objects: Iterable[Obj]) -> list[applying.Outcome]:
    with creation.progress.step(name):
        outcomes = await applying.apply_all(
            creation.host, [obj for obj in objects if obj["kind"] != "Namespace"], fresh=creation.fresh
        )
        creation.progress.result(_summary(outcomes))
    return outcomes


async def addressed(creation: Creation, *, wait: bool) -> render.Facts:
    """The facts with the API's addresses, which its certificate has to name, and the ClusterIPs by which the
    parts find each other."""
    spec = creation.spec
    names = [obj["metadata"]["name"] for obj in render.services(spec)]
    listed = await asyncio.gather(*(creation.host.get(apis.SERVICES, spec.namespace, name) for name in names))
    found: dict[str, Obj] = dict(zip(names, listed, strict=True))
    service = found[routes.SERVICE]
    if spec.expose.type == "load-balancer" and wait:
        service = await waiting.until_balanced(
            creation.host, spec.namespace, routes.SERVICE, creation.seconds, creation.progress
        )
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    addresses = (one.get("hostname") or one.get("ip") for one in balancer.get("ingress") or ())
    return msgspec.structs.replace(
        creation.survey.facts,
        cluster_ips={name: one["spec"]["clusterIP"] for name, one in found.items()},
        api_addresses=tuple(address for address in addresses if address),
    )


async def _finish(
    creation: Creation, material: pki.Material, steps: Sequence[render.Step]
) -> list[applying.Outcome]:
    host, spec, progress, files = creation.host, creation.spec, creation.progress, material.files
    deadline = asyncio.get_running_loop().time() + creation.seconds
    objects = render.flatten(steps)
    workloads = {
        (obj["kind"], obj["metadata"]["name"]) for obj in objects if "template" in obj.get("spec", ())
    }
    first = {workload for workload in workloads if workload[1] in _API}
    outcomes: list[applying.Outcome] = []

    def left() -> float:
        return max(5.0, deadline - asyncio.get_running_loop().time())

    with progress.step("API"):
        await waiting.until_ready(host, spec.namespace, first, left(), progress)
        progress.result("ready")
    own = pki.issue_master(files, life=timedelta(seconds=left()) + _SKEW, now=datetime.now(UTC))
    access = auth.Access("", ca=files["server-ca.crt"], certificate=own.certificate, key=own.key)
    for step in steps:
        if step.name in _AFTER_THE_API:
            outcomes += await _apply(creation, step.name, step.objects)

    async def publish() -> None:
        with progress.step("isolation"):
            await verify(host, objects)
            progress.result("verified")
        outcomes.append(await applying.apply(host, await _publication(host, spec, material)))

    before = await lifetime.record(host, spec)
    known = before is not None and inventory.PUBLISHED in annotations_of(before)
    if known:  # what stands in the tenant already may refuse whatever comes after
        await publish()
    async with bootstrap.inside(host, spec.namespace, access, seconds=left()) as tenant:
        with progress.step("tenant"):
            patience = min(_PATIENCE, left() / 3) if known else None
            refused = await bootstrap.furnish(
                tenant, render.tenant_objects(spec), progress, patience=patience
            )
            progress.result(f"{len(refused)} objects refused" if refused else "furnished")
        for text in refused:
            output.say(f"  the tenant's own API refuses {text}")
        if not known:  # while the syncer and DNS start, and the tenant's own controllers
            await publish()
        with progress.step("controllers"):
            await bootstrap.staffed(tenant, left(), progress)
            progress.result("at work")
    with progress.step("control plane"):
        await waiting.until_ready(host, spec.namespace, workloads, left(), progress)
        progress.result("ready")
    await _mark_published(host, spec, material)
    return outcomes


async def verify(host: Client, objects: Iterable[Obj]) -> None:
    """Raises HostError if an object that isolates the tenant did not stand on the host as it was rendered."""
    isolating = [obj for obj in objects if obj["kind"] in ISOLATION]
    for obj, outcome in zip(isolating, await applying.apply_all(host, isolating), strict=True):
        if outcome != "unchanged":
            what = f"{obj['kind']} {obj['metadata']['name']}"
            raise HostError(
                f"{what} did not stay on the host as applied, so no kubeconfig is given out",
                hint="something on the host changes or removes it; run the command again",
            )


async def _publication(host: Client, spec: Spec, material: pki.Material) -> Obj:
    """The Secret with the admin's kubeconfig, by the best address there is for somebody outside of vcp."""
    service = await host.get(apis.SERVICES, spec.namespace, routes.SERVICE)
    outside = [route for route in routes.candidates(service, (), "") if route.kind == "load balancer"]
    server = outside[0].server if outside else _internal(spec)
    (secret,) = render.publication(spec, material, server).objects
    return secret


def _internal(spec: Spec) -> str:
    return f"https://{routes.SERVICE}.{spec.namespace}.svc"


async def _mark_published(host: Client, spec: Spec, material: pki.Material) -> None:
    notes = {inventory.PUBLISHED: "true"}
    if material.expires:
        notes[inventory.EXPIRES] = material.expires.isoformat()
    body = {"metadata": {"annotations": notes}}
    # Another field manager than the applying one, whose next apply would take the notes away.
    await host.patch(apis.SECRETS, spec.namespace, layout.RECORD, body, field_manager="vcp-create")


def _summary(outcomes: Sequence[applying.Outcome]) -> str:
    counts = {outcome: outcomes.count(outcome) for outcome in ("created", "changed")}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "unchanged"
