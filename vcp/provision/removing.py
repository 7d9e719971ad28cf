"""Takes a tenant off the host: what vcp made, and nothing else.

Namespaces that vcp made go whole. In others the labelled objects go one by one: first what writes and what
runs, and once no pod is left, what kept the pods in their place, the record last. So an interrupted delete
can be continued, and nothing runs unbound in the meantime.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import NamedTuple

from kube import apis
from kube import errors as kube
from kube.cache import Cache, watching
from kube.client import Client
from kube.objects import Obj
from kube.reflector import View
from vcp import inventory, layout, output
from vcp.errors import DeadlineError
from vcp.provision import ownership, pruning

# In the order of deletion: what writes or runs, and what binds the pods and says that there is a tenant.
WRITERS = (
    (apis.DEPLOYMENTS, apis.STATEFUL_SETS, apis.CONFIG_MAPS),
    (apis.SERVICES, apis.POD_DISRUPTION_BUDGETS, apis.ROLE_BINDINGS, apis.ROLES),
)
BOUNDS = (
    (
        apis.SERVICE_ACCOUNTS,
        apis.RESOURCE_QUOTAS,
        apis.LIMIT_RANGES,
        apis.NETWORK_POLICIES,
        apis.LEASES,
    ),
)
DATA = (apis.PERSISTENT_VOLUME_CLAIMS, apis.SECRETS)
KINDS = (*WRITERS, *BOUNDS)
_GOES_ON = "the deletion goes on by itself; the same command waits again"
_LONGEST_GRACE = 30  # seconds for a workload to end, whatever it asks for: what Kubernetes gives by default
_AT_ONCE = 50  # pods
_EMPTY = "vcp.dev/empty"  # on a namespace that goes, to have it looked at


class Going(NamedTuple):
    """What is on its way out: a namespace, or, if it stays, the tenant's pods in it, and then what bound
    them; with `keep_data`, neither claims nor Secrets."""

    namespace: str
    pods_of: str = ""
    keep_data: bool = False


async def remove(
    host: Client, tenant: inventory.Tenant, *, keep_data: bool, progress: output.Progress
) -> list[Going]:
    """Asks the host to delete everything of the tenant; returns what takes its time to go.

    With `keep_data` the claims and Secrets stay (the keys belong to the data), and their namespace. Raises
    RefusedError before anything is deleted if a namespace is another tenant's."""
    control, work = tenant.namespace, tenant.workload_namespace or tenant.namespace
    made = [
        name
        for name in dict.fromkeys((work, control))
        if await ownership.is_made(host, name, tenant.name, control)
    ]
    whole = [name for name in made if not (keep_data and name == control)]
    with progress.step("delete"):
        # The workload namespace first: should we die in between, the record still names it.
        for name in whole:
            with contextlib.suppress(kube.NotFoundError):
                await host.delete(apis.NAMESPACES, "", name)
        # Before the collector deletes the pods: a grace period that has begun is hardly shortened any more.
        await _hurry(host, control, tenant.name, keep_data=keep_data)
        stay = [name for name in dict.fromkeys((work, control)) if name not in whole]
        for name in stay:
            await _remove_labelled(host, name, tenant.name, WRITERS)
        await _end_workloads(host, work, tenant.name)
        await pruning.remove_cluster_roles(host, tenant.name)
    left = [Going(name, tenant.name, keep_data and name == control) for name in stay]
    return [*map(Going, whole), *left]


async def _hurry(host: Client, namespace: str, tenant: str, *, keep_data: bool) -> None:
    """Ends the control plane now: the namespace controller begins only after five seconds, and would then
    give each pod its whole grace period. Only an etcd whose data stays gets that; an API server without its
    etcd would use it up."""
    labels = f"{layout.TENANT}={tenant},{layout.COMPONENT}"
    kept = f",{layout.COMPONENT}!=etcd" if keep_data else ""
    with contextlib.suppress(kube.ForbiddenError):  # for who may delete namespaces alone, it takes longer
        await _end_pods(host, namespace, f"{labels}{kept}", longest=1)
        if not keep_data:
            await _remove_kind(host, apis.PERSISTENT_VOLUME_CLAIMS, namespace, labels)


async def _end_workloads(host: Client, namespace: str, tenant: str) -> None:
    """Gives each of the tenant's pods a time to end that is bounded, though its own may be years."""
    with contextlib.suppress(kube.ForbiddenError):
        await _end_pods(host, namespace, f"{layout.TENANT}={tenant},!{layout.COMPONENT}", _LONGEST_GRACE)


async def _end_pods(host: Client, namespace: str, labels: str, longest: int) -> None:
    """Deletes pods that get at most so many seconds. Raises ForbiddenError."""

    async def end(pod: Obj) -> None:
        meta = pod["metadata"]
        asked = meta.get("deletionGracePeriodSeconds", pod["spec"].get("terminationGracePeriodSeconds"))
        grace = longest if asked is None else min(asked, longest)
        if "deletionTimestamp" in meta and grace == asked:
            return
        with contextlib.suppress(kube.NotFoundError, kube.ConflictError):
            await host.delete(apis.PODS, namespace, meta["name"], uid=meta["uid"], grace=grace)

    pods = await host.list(apis.PODS, namespace, labels=labels)
    for start in range(0, len(pods), _AT_ONCE):
        try:
            async with asyncio.TaskGroup() as group:
                for pod in pods[start : start + _AT_ONCE]:
                    group.create_task(end(pod), name=pod["metadata"]["name"])
        except* kube.ForbiddenError as some:
            raise some.exceptions[0] from None


async def unbind(host: Client, all_going: Iterable[Going]) -> None:
    """For a caller that does not wait: takes away what bound a tenant's pods if none is left, and says where
    some are. The record, in the namespace that comes last, stays with them."""
    held: set[str] = set()
    for going in all_going:
        if not going.pods_of or going.pods_of in held:
            continue
        if left := await host.list(apis.PODS, going.namespace, labels=f"{layout.TENANT}={going.pods_of}"):
            held.add(going.pods_of)
            output.say(
                f"{len(left)} pods in {going.namespace} still end, and what binds them stays until then; "
                "the same command removes it later"
            )
        else:
            await _unbind(host, going)


async def _unbind(host: Client, going: Going) -> None:
    kinds = BOUNDS if going.keep_data else (*BOUNDS, DATA)
    await _remove_labelled(host, going.namespace, going.pods_of, kinds)


async def until_gone(
    host: Client, all_going: Iterable[Going], seconds: float, progress: output.Progress
) -> None:
    """Returns when all that is gone. Raises DeadlineError that names what blocks it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    for going in all_going:
        left = max(0.0, deadline - loop.time())
        if going.pods_of:
            with progress.step(f"wait for the pods in {going.namespace} to go"):
                await _until_empty(host, going, left)
                await _unbind(host, going)
        else:
            with progress.step(f"wait for namespace {going.namespace} to go"):
                await _until_gone(host, going.namespace, left, progress)


async def _until_empty(host: Client, going: Going, seconds: float) -> None:
    """A ReplicaSet that is not collected yet replaces the API server's pod once more, so each is hurried."""
    view = View(apis.PODS, going.namespace, f"{layout.TENANT}={going.pods_of}")
    async with watching(host, view) as cache:
        try:
            async with asyncio.timeout(seconds):
                while pods := [pod["metadata"] for pod in cache.items(apis.PODS)]:
                    for meta in pods:
                        late = meta.get("deletionGracePeriodSeconds", 0) > 1
                        if late and meta["labels"].get(layout.COMPONENT) == "api":
                            with contextlib.suppress(kube.NotFoundError):
                                await host.delete(apis.PODS, going.namespace, meta["name"], grace=1)
                    await cache.change()
        except TimeoutError as error:
            left = "\n".join(f"  {_lingering(pod)}" for pod in cache.items(apis.PODS))
            raise DeadlineError(
                f"the pods in {going.namespace} to go: not within {seconds:g} s; what binds them and the "
                f"tenant's record stay. Left are\n{left}",
                hint="the same command goes on once they are gone",
            ) from error


def _lingering(pod: Obj) -> str:
    """Pure: a pod that does not go, and what may hold it."""
    meta, node = pod["metadata"], pod["spec"].get("nodeName", "")
    why = [
        f"on node {node}" if node else "",
        f"kept by finalizers {', '.join(meta['finalizers'])}" if meta.get("finalizers") else "",
        f"has {grace} s to end" if (grace := meta.get("deletionGracePeriodSeconds")) else "",
        "" if "deletionTimestamp" in meta else "not deleted yet",
    ]
    return f"{meta['name']}: {'; '.join(filter(None, why))}".rstrip(": ")


async def _until_gone(host: Client, name: str, seconds: float, progress: output.Progress) -> None:
    def look(cache: Cache) -> bool | None:
        namespace = cache.find(apis.NAMESPACES, name)
        progress.waiting("; ".join(blocking(namespace)) if namespace else "")
        return None if namespace else True

    async with watching(host, View(apis.NAMESPACES, fields=f"metadata.name={name}")) as cache:
        nudging = asyncio.create_task(_nudge(host, name, seconds), name=f"nudge {name}")
        try:
            await cache.until(look, seconds, f"namespace {name} to go")
        except kube.DeadlineError as error:
            found = blocking(cache.find(apis.NAMESPACES, name) or {})
            with contextlib.suppress(kube.KubeError):
                found += [f"pod {_lingering(pod)}" for pod in await host.list(apis.PODS, name)]
            reasons = "\n".join(f"  {text}" for text in found)
            raise DeadlineError(
                f"{error}" + (f"; it is blocked by\n{reasons}" if reasons else ""),
                hint=_GOES_ON,
            ) from error
        finally:
            nudging.cancel()
            await asyncio.wait([nudging])


async def _nudge(host: Client, name: str, seconds: float) -> None:
    """Has the host look at the namespace again once its pods are gone. It reckons with half of the time that
    their specs ask for, and not with the time that they have got."""
    with contextlib.suppress(kube.KubeError):  # then it takes its time
        async with watching(host, View(apis.PODS, name)) as cache:
            if not cache.items(apis.PODS):
                return
            await cache.until(lambda now: None if now.items(apis.PODS) else True, seconds, "pods to go")
        body = {"metadata": {"annotations": {_EMPTY: "true"}}}
        await host.patch(apis.NAMESPACES, "", name, body)


def blocking(namespace: Obj) -> list[str]:
    """Pure: what a terminating namespace's conditions say is left in it."""
    conditions = (namespace.get("status") or {}).get("conditions") or ()
    return [one.get("message", one["type"]) for one in conditions if one.get("status") == "True"]


async def _remove_labelled(
    host: Client, namespace: str, tenant: str, kinds: Iterable[Iterable[apis.ApiResource]]
) -> None:
    labels = f"{inventory.SELECTOR},{layout.TENANT}={tenant}"
    for together in kinds:
        async with asyncio.TaskGroup() as group:
            for resource in together:
                group.create_task(_remove_kind(host, resource, namespace, labels), name=resource.plural)


async def _remove_kind(host: Client, resource: apis.ApiResource, namespace: str, labels: str) -> None:
    found = await host.list(resource, namespace, labels=labels)
    found.sort(key=lambda obj: obj["metadata"]["name"] == layout.RECORD)
    for obj in found:
        meta = obj["metadata"]
        # Gone already, or made anew by somebody else: not ours to delete.
        with contextlib.suppress(kube.NotFoundError, kube.ConflictError):
            await host.delete(resource, namespace, meta["name"], uid=meta["uid"], propagation="Background")
