"""Asks the host what the user may do before anything is changed, so that a create does not fail halfway."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from syncer.core import apis
from syncer.kube.client import Client
from vcp.errors import RefusedError
from vcp.provision import pruning

Obj = Mapping[str, Any]


class Need(NamedTuple):
    verb: str
    resource: apis.ApiResource
    namespace: str
    name: str = ""  # of the one object that it is about

    def __str__(self) -> str:
        group = f".{self.resource.group}" if self.resource.group else ""
        return f"{self.resource.plural}{group}{' ' if self.name else ''}{self.name}"


def needs(objects: Iterable[Obj], namespace: str, existing: Collection[str] = ()) -> list[Need]:
    """What applying these objects and waiting for them takes; `namespace` is the control plane's, and the
    namespaces in `existing` need not be made."""
    objects = list(objects)
    wanted = set()
    for obj in objects:
        resource, meta = apis.resource_of(obj), obj["metadata"]
        place = meta.get("namespace", "")
        if resource is not apis.NAMESPACES:
            wanted |= {Need(verb, resource, place) for verb in ("get", "create", "patch")}
            continue
        wanted |= {Need(verb, resource, "", meta["name"]) for verb in ("get", "patch")}
        if meta["name"] not in existing:
            wanted.add(Need("create", resource, ""))  # a name that is not there yet cannot be granted
    wanted.add(Need("list", apis.SECRETS, namespace))
    for place in {obj["metadata"].get("namespace", namespace) for obj in objects}:
        wanted |= {Need(verb, resource, place) for resource in pruning.KINDS for verb in ("delete", "list")}
    for resource in (apis.STATEFUL_SETS, apis.DEPLOYMENTS, apis.PODS):
        wanted |= {Need(verb, resource, namespace) for verb in ("list", "watch")}
    wanted |= {Need(verb, apis.LEASES, namespace) for verb in ("create", "delete", "list", "patch", "watch")}
    return sorted(wanted, key=lambda need: (need.namespace, need.resource, need.verb))


async def missing(host: Client, wanted: Sequence[Need]) -> list[Need]:
    """Those that a SelfSubjectAccessReview denies."""
    limit = asyncio.Semaphore(16)

    async def allowed(need: Need) -> bool:
        attributes = {
            "verb": need.verb,
            "group": need.resource.group,
            "resource": need.resource.plural,
            "name": need.name,
            "namespace": need.namespace,
        }
        review = {
            "apiVersion": apis.SELF_SUBJECT_ACCESS_REVIEWS.api_version,
            "kind": apis.SELF_SUBJECT_ACCESS_REVIEWS.kind,
            "spec": {"resourceAttributes": attributes},
        }
        async with limit:
            answer = await host.create(apis.SELF_SUBJECT_ACCESS_REVIEWS, "", review)
        return bool(answer["status"].get("allowed"))

    answers = await asyncio.gather(*(allowed(need) for need in wanted))
    return [need for need, answer in zip(wanted, answers, strict=True) if not answer]


async def check(host: Client, wanted: Sequence[Need]) -> None:
    """Raises RefusedError that lists exactly the missing verbs, one line per resource and namespace."""
    lacking = await missing(host, wanted)
    if not lacking:
        return
    lines: dict[tuple[str, str], list[str]] = {}
    for need in lacking:
        lines.setdefault((need.namespace, str(need)), []).append(need.verb)
    text = "\n".join(
        f"  {', '.join(verbs)} {resource}" + (f" in namespace {namespace}" if namespace else "")
        for (namespace, resource), verbs in lines.items()
    )
    raise RefusedError(f"you lack permissions on the host:\n{text}", hint="nothing has been changed")
