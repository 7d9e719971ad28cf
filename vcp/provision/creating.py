"""Brings a host to a plan: namespaces, lock, objects, waiting, verification, tenant bootstrap, publication.

Every step may be repeated, and the record is written first and marked as published last, so a create that
died anywhere is continued by the same command and removed by `vcp delete`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from syncer.core import apis
from syncer.kube import auth
from syncer.kube import errors as kube
from syncer.kube.client import Client
from vcp import inventory, lock, output
from vcp.errors import HostError
from vcp.provision import applying, bootstrap, permissions, waiting

Obj = Mapping[str, Any]

# What keeps a tenant in its place. A kubeconfig is handed out only while all of these stand as rendered.
_ISOLATION = {"LimitRange", "Namespace", "NetworkPolicy", "ResourceQuota", "Role", "RoleBinding"}


class Step(Protocol):
    """Objects that may be applied in any order; a step needs those before it."""

    @property
    def name(self) -> str: ...

    @property
    def objects(self) -> Sequence[Obj]: ...


@dataclass(frozen=True)
class Plan:
    """What is to stand on the host, and what is to be done in the tenant when it answers."""

    tenant: str
    namespace: str
    namespace_named: bool  # whether the user named the namespaces, so that they may exist already
    steps: Sequence[Step]
    published: Obj  # the Secret with the kubeconfig
    record: Obj  # the Secret with the spec as applied
    access: auth.Access  # system:masters of the tenant; its server does not matter
    tenant_objects: Sequence[Obj]

    @property
    def objects(self) -> list[Obj]:
        return [obj for step in self.steps for obj in step.objects]

    @property
    def namespaces(self) -> list[Obj]:
        return [obj for obj in self.objects if obj["kind"] == "Namespace"]

    @property
    def workloads(self) -> list[tuple[str, str]]:
        kinds = {"Deployment", "StatefulSet"}
        return [(obj["kind"], obj["metadata"]["name"]) for obj in self.objects if obj["kind"] in kinds]


async def check(host: Client, plan: Plan) -> None:
    """Refuses what cannot work, before anything is changed."""
    for namespace in plan.namespaces:
        try:
            current = await host.get(apis.NAMESPACES, "", namespace["metadata"]["name"])
        except (kube.NotFoundError, kube.ForbiddenError):
            continue
        applying.check_namespace(current, plan.tenant, named_by_user=plan.namespace_named)
    wanted = permissions.needs([*plan.objects, plan.published, plan.record], plan.namespace)
    await permissions.check(host, [need for need in wanted if need.resource is not apis.NAMESPACES])


async def carry_out(
    host: Client,
    plan: Plan,
    replan: Callable[[], Awaitable[Plan]],
    *,
    seconds: float,
    wait: bool,
    progress: output.Progress,
) -> bool:
    """Whether anything on the host was changed.

    `replan` is called once the lock is held, so that a plan which another create outdated is made again."""
    with progress.step("namespaces"):
        outcomes = [
            await applying.ensure_namespace(host, namespace, named_by_user=plan.namespace_named)
            for namespace in plan.namespaces
        ]
        progress.result(_summary({outcome: outcomes.count(outcome) for outcome in outcomes}))
    changed = set(outcomes) != {"unchanged"}
    async with lock.held(host, plan.namespace, applying.labels(plan.tenant), lock.identity()):
        plan = await replan()
        changed |= await applying.apply(host, plan.record) != "unchanged"
        for step in plan.steps:
            with progress.step(step.name):
                counts = await applying.apply_all(
                    host, [obj for obj in step.objects if obj["kind"] != "Namespace"]
                )
                progress.result(_summary(counts))
            changed |= bool(counts["created"] + counts["changed"])
        if wait:
            changed |= await _finish(host, plan, seconds, progress)
    return changed


async def _finish(host: Client, plan: Plan, seconds: float, progress: output.Progress) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds

    def left() -> float:
        return max(1.0, deadline - asyncio.get_running_loop().time())

    with progress.step("control plane"):
        await waiting.until_ready(host, plan.namespace, plan.workloads, left(), progress)
        progress.result("ready")
    with progress.step("tenant"):
        await bootstrap.run(
            host, plan.namespace, plan.access, plan.tenant_objects, seconds=left(), progress=progress
        )
        progress.result("answers")
    with progress.step("isolation"):
        await verify(host, plan.objects)
        progress.result("verified")
    outcome = await applying.apply(host, plan.published)
    await _mark_published(host, plan.record)
    return outcome != "unchanged"


async def verify(host: Client, objects: Iterable[Obj]) -> None:
    """Raises HostError if an object that isolates the tenant did not stand on the host as it was rendered."""
    for obj in objects:
        if obj["kind"] in _ISOLATION and await applying.apply(host, obj) != "unchanged":
            what = f"{obj['kind']} {obj['metadata']['name']}"
            raise HostError(
                f"{what} did not stay on the host as applied, so no kubeconfig is given out",
                hint="something on the host changes or removes it; run the command again",
            )


async def _mark_published(host: Client, record: Obj) -> None:
    meta = record["metadata"]
    note = {"metadata": {"annotations": {inventory.PUBLISHED: "true"}}}
    await host.patch(apis.SECRETS, meta["namespace"], meta["name"], note, field_manager="vcp-create")


def _summary(counts: Mapping[applying.Outcome, int]) -> str:
    if not counts.get("created") and not counts.get("changed"):
        return "unchanged"
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
