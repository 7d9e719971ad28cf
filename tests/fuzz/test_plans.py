"""The laws of kinds on objects that are nearly right, made from the golden cases of every kind.

A tenant's API server knows the types of built-in kinds, so objects of these types never make a plan fail. A
hostile server, or one that an aggregated API stands in for, sends any JSON: then a plan may fail, which the
controller contains, but what it plans obeys the same laws.
"""

import copy
import functools
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube import apis
from kube.objects import Obj, labels_of
from syncer.core import marks, names, sizes
from syncer.core.actions import Action, Create, Patch, Tokens, Wait
from syncer.core.kind import Item
from syncer.core.paths import Paths
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.kinds.pods import references, tokens
from tests.fuzz.effort import examples
from tests.fuzz.mutations import lacking, mutated, retyped
from tests.golden import test_status
from tests.unit import podcases
from tests.unit.test_kind_laws import flat, is_marked
from tests.worlds import SIDES, Case, World, cases, merge

# What no tenant may have on the host: where it would belong, and put where it has no business.
_OF_PODS = {
    **dict.fromkeys(("hostNetwork", "hostPID", "hostIPC", "automountServiceAccountToken"), True),
    "serviceAccountName": "default",
    "nodeName": "node-1",
    "priorityClassName": "system-node-critical",
    "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
}
_OF_CONTAINERS = {
    "securityContext": {"privileged": True},
    "ports": [{"containerPort": 22, "hostPort": 22}],
    "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
}
_COVETED = {
    **_OF_PODS,
    **_OF_CONTAINERS,
    "hostPath": {"path": "/"},
    "privileged": True,
    "capabilities": {"add": ["SYS_ADMIN"]},
    "hostPort": 22,
    "selector": {"app": "x"},
    "namespaceSelector": {},
    "labels": {"vcp.dev/tenant": "other", "vcp.dev/namespace": "other"},
    "annotations": {"vcp.dev/name": "other", "vcp.dev/uid": "other", "vcp.dev/sync": "true"},
    "ownerReferences": [{"uid": "other"}],
    "externalIPs": ["192.0.2.1"],
    "ephemeral": {},
    "downwardAPI": {"items": [{"path": "x", "fieldRef": {"fieldPath": "spec.nodeName"}}]},
}
_HOST_WIDE = ("hostNetwork", "hostPID", "hostIPC")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def _terms(field: str) -> Iterator[str]:
    for kind in ("podAffinity", "podAntiAffinity"):
        when = "DuringSchedulingIgnoredDuringExecution[]"
        yield f"spec.affinity.{kind}.required{when}.{field}"
        yield f"spec.affinity.{kind}.preferred{when}.podAffinityTerm.{field}"


_SELECTORS = Paths(
    dict.fromkeys(
        ["spec.selector", "spec.topologySpreadConstraints[].labelSelector", *_terms("labelSelector")], ""
    )
)
_NAMESPACE_SELECTORS = Paths(dict.fromkeys(_terms("namespaceSelector"), ""))


@functools.cache
def known() -> list[Case]:
    """Every golden case: as it is, and as it is when all of it is on the host."""
    fresh = cases()
    settled = []
    for case in fresh:
        world = case.world()
        world.settle()
        sides = {"tenant": tuple(world.objects("tenant")), "host": tuple(world.objects("host"))}
        settled.append(msgspec.structs.replace(case, name=f"{case.name}-settled", **sides))
    return [*fresh, *settled, *_statuses()]


def _statuses() -> Iterator[Case]:
    for folder in test_status.CASES:
        tenant, host = test_status.pods(folder)
        scope = podcases.scope()
        plain = scope.reading(Scope("", "", "").tenant, Scope("", "", "").host)
        yield Case("pods", f"status-{folder.name}", plain, (tenant,), (host,))


@st.composite
def nearly(draw: st.DrawFn, side: str, change: Any) -> Case:
    """A golden case of which some objects of a side are changed."""
    found = [case for case in known() if getattr(case, side)]
    kind = draw(st.sampled_from([*dict.fromkeys(case.kind for case in found), "pods", "pods", "pods"]))
    case = draw(st.sampled_from([case for case in found if case.kind == kind]))
    objects = list(getattr(case, side))
    for place in draw(st.sets(st.integers(0, len(objects) - 1), min_size=1, max_size=2)):
        objects[place] = draw(change(objects[place]))
    return msgspec.structs.replace(case, **{side: tuple(objects)})


def filled(case: Case) -> World:
    """The stores of a syncer that meets these objects; what a store cannot take has not come."""
    world = World(case.scope, (), ())
    for side, objects in (("tenant", case.tenant), ("host", case.host)):
        for obj in objects:
            try:
                world.put(side, obj)  # type: ignore[arg-type]
            except Exception:
                continue
    return world


def items(world: World) -> list[Item]:
    found: list[Item] = []
    for (side, api, _), obj in list(world._objects.items()):
        for kind in world.kinds.values():
            if kind.api == api and side in kind.watches:
                try:
                    found += world.registry.affected(kind, side, None, obj, world.scope)
                except Exception:
                    continue
    return list(dict.fromkeys(found))


def is_lawful(world: World, item: Item, plan: list[Action]) -> None:
    """All that a plan may do to the host."""
    assert isinstance(sizes.problems(plan), list)
    for action in flat(plan):
        if isinstance(action, Wait):
            assert math.isfinite(action.seconds)
            assert action.seconds > 0
        if isinstance(action, Tokens):
            is_marked(world, item, action, action.secret)
        if isinstance(action, Create | Patch) and action.side == "host":
            body = action.obj if isinstance(action, Create) else action.body
            is_marked(world, item, action, body)
            selects_its_own(world, written(world, action))
            if action.api == apis.PODS:
                is_harmless(body, world.scope)
            if isinstance(action, Create) and action.api == apis.PODS:
                refers_to_its_own(body, world)


def written(world: World, action: Create | Patch) -> Obj:
    """The host object once the action is done; of a pod, whose selectors never change, what is patched."""
    if isinstance(action, Create):
        return dict(action.obj)
    there = world.get("host", action.api, action.key)
    body: Obj = merge({} if action.api == apis.PODS else there, action.body)
    return body


def selects_its_own(world: World, body: Obj) -> None:
    """Wherever a host reads a selector. Elsewhere it refuses one, or ignores it."""
    for _, selector in _SELECTORS.found(body):
        assert isinstance(selector, dict)
        assert (selector.get("matchLabels") or selector).get(marks.TENANT) == world.scope.name
    assert not _NAMESPACE_SELECTORS.found(body)


def is_harmless(pod: Obj, scope: Scope) -> None:
    """Nothing of a host pod, or of a patch of one, reaches beyond the pod unless the policy lets it."""
    spec = pod.get("spec") or {}
    allowed = scope.sync.pods.volumes
    if scope.pod_security != "privileged":
        assert not [field for field in _HOST_WIDE if spec.get(field)]
        for container in (one for field in _CONTAINERS for one in spec.get(field) or ()):
            context = container.get("securityContext") or {}
            assert not context.get("privileged")
            assert "SYS_ADMIN" not in ((context.get("capabilities") or {}).get("add") or ())
            assert not [port for port in container.get("ports") or () if port.get("hostPort")]
    for volume in spec.get("volumes") or ():
        assert "hostPath" not in volume or ("hostPath" in allowed and scope.pod_security == "privileged")
    if "containers" in spec and "automountServiceAccountToken" in spec:
        accounts = scope.sync.service_accounts
        assert spec["automountServiceAccountToken"] is (accounts.enabled and accounts.tokens)
        assert accounts.enabled or spec["serviceAccountName"] == "vcp-workload"
        assert "nodeName" not in spec or scope.sync.pods.node_names


def refers_to_its_own(pod: Obj, world: World) -> None:
    """Every name in a host pod is that of a host object of the tenant's own."""
    namespace = labels_of(pod)[marks.NAMESPACE]
    theirs = {name for one in world.objects("tenant") for name in _texts(one)}
    mapped = {mapped for name in theirs for mapped in names.host_names(world.scope.name, namespace, name)}
    claims = {
        mapped
        for name in (one["metadata"].get("name") for one in world.objects("tenant"))
        for volume in (volume.get("name") for volume in pod["spec"].get("volumes") or ())
        if isinstance(name, str) and isinstance(volume, str)
        for mapped in names.host_names(world.scope.name, namespace, references.claim_name(name, volume))
    }
    own = {"vcp-workload", tokens.secret_name(pod["metadata"]["name"]), *mapped, *claims}
    told = f"{names.host_name(world.scope.name, '', namespace)}."  # of services, to all pods of the namespace
    assert not [
        key.name
        for _, key in references.DECLARED.referred(pod)
        if key.name not in own and not key.name.startswith(told)
    ]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


@examples(500)
@given(nearly("tenant", retyped))
def test_plans_of_tenant_objects_of_the_right_types(case: Case) -> None:
    never_fails(case)


@examples(300)
@given(nearly("host", retyped))
def test_plans_of_host_objects_of_the_right_types(case: Case) -> None:
    never_fails(case)


@pytest.mark.parametrize("side", SIDES)
def test_plans_of_objects_that_lack_a_field(side: str) -> None:
    """Each field once, as no few hundred random examples do."""
    for case in cases():
        objects = getattr(case, side)
        for place, obj in enumerate(objects):
            for changed in lacking(obj):
                others = (*objects[:place], changed, *objects[place + 1 :])
                never_fails(msgspec.structs.replace(case, **{side: others}))


def never_fails(case: Case) -> None:
    world = case.world()
    for item in world.items():
        try:
            plan = world.plan(item)
        except Refused:
            continue
        is_lawful(world, item, plan)


@examples(500)
@given(nearly("tenant", functools.partial(mutated, fields=_COVETED)))
def test_plans_of_any_tenant_objects(case: Case) -> None:
    may_fail(case)


@st.composite
def coveting(draw: st.DrawFn) -> Case:
    """A pod that asks for more than it may, and beside that is nearly right."""
    found = [case for case in known() if case.kind == "pods" and case.tenant]
    case = draw(st.sampled_from([case for case in found if case.tenant[-1]["kind"] == "Pod"]))
    *others, pod = copy.deepcopy(case.tenant)
    spec = pod.get("spec") or {}
    containers = [one for field in _CONTAINERS for one in spec.get(field) or ()]
    for holder, fields in ((spec, _OF_PODS), *((one, _OF_CONTAINERS) for one in containers)):
        for field in draw(st.sets(st.sampled_from(sorted(fields)), max_size=1)):
            holder[field] = fields[field]
    changed = draw(st.just(pod) | mutated(pod, fields=_COVETED, most=1))
    return msgspec.structs.replace(case, tenant=(*others, changed))


@examples(250)
@given(coveting())
def test_plans_of_pods_that_ask_for_more(case: Case) -> None:
    may_fail(case)


def may_fail(case: Case) -> None:
    world = filled(case)
    for item in items(world):
        before = copy.deepcopy(world._objects)
        try:
            plan = world.plan(item)
        except Exception:
            continue
        is_lawful(world, item, plan)
        assert world._objects == before
