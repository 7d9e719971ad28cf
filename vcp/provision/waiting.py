"""Waits for a control plane by watching it, and says why it is not there yet."""

from collections.abc import Iterable

from kube import apis
from kube import errors as kube
from kube.cache import Cache, watching
from kube.client import Client
from kube.objects import Obj
from kube.reflector import View
from vcp import diagnosis, inventory, output
from vcp.errors import DeadlineError


async def until_ready(
    host: Client,
    namespace: str,
    workloads: Iterable[tuple[str, str]],
    seconds: float,
    progress: output.Progress,
) -> None:
    """Returns when all `workloads` (kind, name) are rolled out and ready.

    Raises DeadlineError that says what they are waiting for."""
    wanted = set(workloads)
    views = (
        View(apis.STATEFUL_SETS, namespace, inventory.SELECTOR),
        View(apis.DEPLOYMENTS, namespace, inventory.SELECTOR),
        View(apis.PODS, namespace, inventory.SELECTOR),
        View(apis.PERSISTENT_VOLUME_CLAIMS, namespace, inventory.SELECTOR, optional=True),
        View(apis.EVENTS, namespace, fields="type=Warning", optional=True),
    )

    def look(cache: Cache) -> bool | None:
        if not lagging(cache, wanted):
            return True
        progress.waiting("; ".join(why(cache)[:2]))
        return None

    async with watching(host, *views) as cache:
        try:
            await cache.until(look, seconds, "the control plane to be ready")
        except kube.DeadlineError as error:
            reasons = "\n".join(f"  {reason}" for reason in why(cache) or lagging(cache, wanted))
            raise DeadlineError(
                f"{error}; it waits because\n{reasons}",
                hint="the same command continues; `vcp status` shows more",
            ) from error


async def until_balanced(
    host: Client, namespace: str, service: str, seconds: float, progress: output.Progress
) -> Obj:
    """The Service, once its load balancer has an address."""

    def look(cache: Cache) -> Obj | None:
        found = cache.find(apis.SERVICES, service, namespace) or {}
        balancer = (found.get("status") or {}).get("loadBalancer") or {}
        progress.waiting("no address from the load balancer yet")
        return found if balancer.get("ingress") else None

    async with watching(host, View(apis.SERVICES, namespace, fields=f"metadata.name={service}")) as cache:
        return await cache.until(look, seconds, "an address from the load balancer")


def lagging(cache: Cache, wanted: set[tuple[str, str]]) -> list[str]:
    """The workloads that are not ready, each as `api 0/1 ready`."""
    found = {
        (obj["kind"], obj["metadata"]["name"]): rolled_out(obj)
        for obj in [*cache.items(apis.STATEFUL_SETS), *cache.items(apis.DEPLOYMENTS)]
    }
    return sorted(found.get(key, f"{key[1]} is not there") for key in wanted if found.get(key, "x"))


def rolled_out(workload: Obj) -> str:
    """Empty when every replica runs the current template and is ready, else what is missing."""
    ready = inventory.component(workload)
    if ready.why:
        return ready.why
    status = workload.get("status") or {}
    updated = status.get("updatedReplicas", 0)
    if updated < ready.desired:
        return f"{ready.name} {updated}/{ready.desired} updated"
    # A replica of the old template that still serves also hides that the new one is not ready.
    old = status.get("replicas", 0) - updated
    return f"{ready.name} {old} of the old template left" if old > 0 else ""


def why(cache: Cache) -> list[str]:
    return diagnosis.reasons(
        cache.items(apis.PODS), cache.items(apis.PERSISTENT_VOLUME_CLAIMS), cache.items(apis.EVENTS)
    )
