"""Asks the host what the user may do before anything is changed, so that a create does not fail halfway."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from kube import apis
from kube.client import Client
from kube.objects import Obj
from vcp.errors import RefusedError
from vcp.provision import pruning, removing
from vcp.spec import Spec


class Need(NamedTuple):
    verb: str
    resource: apis.ApiResource
    namespace: str
    name: str = ""  # of the one object that it is about
    subresource: str = ""
    handed_on: bool = False  # not used, but granted to the syncer, which takes having it

    def __str__(self) -> str:
        group = f".{self.resource.group}" if self.resource.group else ""
        part = f"/{self.subresource}" if self.subresource else ""
        return f"{self.resource.plural}{group}{part}{' ' if self.name else ''}{self.name}"


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
            wanted.update(_handed_on(obj))
            continue
        wanted |= {Need(verb, resource, "", meta["name"]) for verb in ("get", "patch")}
        if meta["name"] not in existing:
            wanted.add(Need("create", resource, ""))  # a name that is not there yet cannot be granted
    wanted |= {Need("get", apis.NAMESPACES, "", name) for name in existing}
    wanted.add(Need("list", apis.SECRETS, namespace))
    for place in {obj["metadata"].get("namespace", namespace) for obj in objects}:
        wanted |= {Need(verb, resource, place) for resource in pruning.KINDS for verb in ("delete", "list")}
    for resource in (apis.STATEFUL_SETS, apis.DEPLOYMENTS, apis.PODS):
        wanted |= {Need(verb, resource, namespace) for verb in ("list", "watch")}
    wanted |= {Need(verb, apis.LEASES, namespace) for verb in ("create", "delete", "list", "patch", "watch")}
    return _sorted(wanted)


def ending(spec: Spec, existing: Collection[str] = ()) -> list[Need]:
    """What deleting a tenant again takes, beyond `needs`: whole namespaces, or what is in `existing` ones."""
    wanted = {Need("delete", apis.PODS, spec.namespace)}
    wanted |= {Need(verb, apis.PODS, spec.workload_namespace) for verb in ("delete", "list")}
    for place in {spec.namespace, spec.workload_namespace}:
        if place not in existing:
            wanted |= {Need(verb, apis.NAMESPACES, "", place) for verb in ("delete", "list", "watch")}
            continue
        kinds = [resource for together in (*removing.KINDS, removing.DATA) for resource in together]
        wanted |= {Need(verb, resource, place) for resource in kinds for verb in ("delete", "list")}
        wanted |= {Need(verb, apis.PODS, place) for verb in ("delete", "list", "watch")}
    return _sorted(wanted)


def looking_in(spec: Spec) -> list[Need]:
    """What a port-forward to the API takes, where no address of it answers, and `vcp run --collect`."""
    forward = {Need(verb, apis.PODS, spec.namespace, "", "portforward") for verb in ("create", "get")}
    evidence = {
        need
        for place in (spec.namespace, spec.workload_namespace)
        for need in (
            Need("list", apis.PODS, place),
            Need("list", apis.EVENTS, place),
            Need("get", apis.PODS, place, "", "log"),
        )
    }
    return _sorted(forward | evidence)


def _sorted(wanted: Iterable[Need]) -> list[Need]:
    return sorted(wanted, key=lambda need: (need.namespace, need.resource[:3], need.subresource, need.verb))


def _handed_on(obj: Obj) -> Iterator[Need]:
    """What a role grants: nobody may grant more than they have, unless they may escalate and bind."""
    if obj["kind"] not in {"Role", "ClusterRole"}:
        return
    place = obj["metadata"].get("namespace", "")
    for rule in obj["rules"]:
        for plural in rule["resources"]:
            name, _, subresource = plural.partition("/")
            resource = apis.ApiResource(rule["apiGroups"][0], "", name, "", namespaced=bool(place))
            for verb in rule["verbs"]:
                for only in rule.get("resourceNames", ("",)):
                    yield Need(verb, resource, place, only, subresource, handed_on=True)


async def missing(host: Client, wanted: Sequence[Need]) -> list[Need]:
    """Those that a SelfSubjectAccessReview denies."""
    limit = asyncio.Semaphore(16)

    async def allowed(need: Need) -> bool:
        attributes = {
            "verb": need.verb,
            "group": need.resource.group,
            "resource": need.resource.plural,
            "subresource": need.subresource,
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
    if lacking := await lacks(host, wanted):
        text = "\n".join(f"  {line}" for line in told(lacking))
        raise RefusedError(f"you lack permissions on the host:\n{text}", hint="nothing has been changed")


async def lacks(host: Client, wanted: Sequence[Need]) -> list[Need]:
    """As `missing`, but without what need not be had because the user may escalate and bind."""
    lacking = await missing(host, wanted)
    for place in {need.namespace for need in lacking if need.handed_on}:
        roles = apis.ROLES if place else apis.CLUSTER_ROLES
        if not await missing(host, [Need(verb, roles, place) for verb in ("bind", "escalate")]):
            lacking = [need for need in lacking if not need.handed_on or need.namespace != place]
    return lacking


def told(lacking: Iterable[Need]) -> list[str]:
    """Pure: one line per resource and namespace: `create, get secrets in namespace vcp-a`."""
    lines: dict[tuple[str, str], list[str]] = {}
    for need in lacking:
        verbs = lines.setdefault((need.namespace, str(need)), [])
        if need.verb not in verbs:
            verbs.append(need.verb)
    return [
        f"{', '.join(verbs)} {resource}" + (f" in namespace {namespace}" if namespace else "")
        for (namespace, resource), verbs in lines.items()
    ]
