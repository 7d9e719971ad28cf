"""The laws that hold for every kind, present and future, on real stores filled from each golden case.

A kind that breaks one is named with its case. A new kind is held to them as soon as it is registered and has
a case below tests/golden.
"""

import copy
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from kube import apis
from kube.objects import Key, Obj, annotations_of, key_of, labels_of, uid_of
from syncer.core import marks, names
from syncer.core.actions import Absent, Action, Create, Delete, Ensure, Patch, Tokens, Try
from syncer.core.kind import Item
from syncer.core.policy import Budget, Network, Sync, everything
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.kinds.registry import registry
from tests.worlds import SIDES, Case, World, active, cases

CASES = cases()
KINDS = {kind.name: kind for sync in (Sync(metrics=False), Sync(), everything()) for kind in registry(sync)}
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
every_kind = pytest.mark.parametrize("kind", KINDS)

# Whoever reads these fields of a host object selects objects by them.
_SELECTORS = {"labelSelector", "podSelector", "matchLabelKeys"}


def plans(world: World) -> Iterator[tuple[Item, list[Action]]]:
    """The plan of every key; what is refused has none."""
    for item in world.items():
        try:
            yield item, world.plan(item)
        except Refused:
            yield item, []


def flat(actions: list[Action]) -> Iterator[Any]:
    for action in actions:
        if isinstance(action, Try):
            yield action.first
            yield from flat(list(action.otherwise))
        else:
            yield action


def written(world: World, side: str) -> Iterator[tuple[Item, Any, Any]]:
    """What plans write to a side until all is settled: the key, the action, and the object or patch."""
    for _ in range(6):
        acted = False
        for item, plan in list(plans(world)):
            for action in flat(plan):
                if isinstance(action, Create) and action.side == side:
                    yield item, action, action.obj
                elif isinstance(action, Patch) and action.side == side:
                    yield item, action, action.body
                elif isinstance(action, Tokens) and side == "host":
                    yield item, action, action.secret
            try:
                wanted = active(world.plan(item))
            except Refused:
                continue
            world.apply(wanted)
            acted = acted or bool(wanted)
        if not acted:
            return


@every_kind
def test_a_kind_says_for_the_page_what_of_it_is_on_the_host(kind: str) -> None:
    assert KINDS[kind].on_host


@every_kind
def test_a_kind_has_a_case(kind: str) -> None:
    assert any(case.kind == kind for case in CASES), f"no case below tests/golden for {kind}"


@every_case
def test_a_case_is_about_its_kind(case: Case) -> None:
    world = case.world()
    there = {apis.resource_of(obj).plural for side in SIDES for obj in world.objects(side)}
    assert case.kind in there | {item.resource for item in world.items()}


@every_case
def test_a_plan_that_was_applied_is_not_made_again(case: Case) -> None:
    world = case.world()
    world.settle()
    for item, plan in plans(world):
        assert active(plan) == [], item


@every_case
def test_a_plan_of_what_the_stores_keep_is_the_plan_of_the_whole(case: Case) -> None:
    kept, whole = case.world(), case.world(trim=False)
    for _ in range(4):
        assert dict(plans(kept)) == dict(plans(whole))
        for world in (kept, whole):
            for item in world.items():
                try:
                    world.apply(active(world.plan(item)))
                except Refused:
                    continue


@every_case
def test_what_is_kept_of_an_object_stays_the_same_when_it_is_kept_again(case: Case) -> None:
    world = case.world()
    world.settle()
    for side in SIDES:
        for obj in world.objects(side):
            kind = KINDS.get(apis.resource_of(obj).plural)
            if kind is not None and side in kind.watches:
                once = kind.kept(side, copy.deepcopy(obj))
                assert kind.kept(side, copy.deepcopy(once)) == once


@every_case
def test_a_plan_changes_nothing_that_it_is_given(case: Case) -> None:
    world = case.world()
    before = copy.deepcopy(stored(world))
    list(plans(world))
    assert stored(world) == before


def stored(world: World) -> list[Obj | None]:
    """Every object as the stores have it."""
    return [
        world.stored(side).get(api, key_of(obj))
        for side in SIDES
        for obj in world.objects(side)
        if world.stored(side).of(api := apis.resource_of(obj))
    ]


@every_case
def test_every_host_object_is_marked_owned_named_and_in_our_namespace(case: Case) -> None:
    world = case.world()
    for item, action, obj in written(world, "host"):
        is_marked(world, item, action, obj)


def is_marked(world: World, item: Item, action: Any, obj: Any) -> None:
    """The law for what one action writes to the host."""
    if isinstance(action, Patch):
        told = obj.get("metadata") or {}
        for field in ("labels", "annotations"):
            taken = [key for key, value in (told.get(field) or {}).items() if value is None]
            assert not {marks.TENANT, marks.NAMESPACE, marks.NAME, marks.UID} & set(taken), item
        assert not {"namespace", "name", "ownerReferences"} & set(told), item
        return
    key = Key(labels_of(obj)[marks.NAMESPACE], annotations_of(obj)[marks.NAME])
    tenant = annotations_of(obj)[marks.UID]
    assert labels_of(obj)[marks.TENANT] == world.scope.name
    assert obj["metadata"]["namespace"] == world.scope.namespace
    assert obj["metadata"]["name"].split(".")[0] == names.host_name(world.scope.name, *key)
    assert [one["uid"] for one in obj["metadata"]["ownerReferences"]] == [world.scope.anchor]
    unseen = not key.namespace and world.get("tenant", apis.NAMESPACES, key) is None
    assert (unseen and not tenant) or tenant in [uid_of(one) for one in world.objects("tenant")]


@every_case
def test_every_selector_on_the_host_is_narrowed_to_the_tenant(case: Case) -> None:
    world = case.world()
    for item, _, obj in written(world, "host"):
        for selector in selectors(obj):
            assert selector.get(marks.TENANT) == world.scope.name, (item, selector)
        assert "namespaceSelector" not in json.dumps(obj), item


def selectors(value: Any, field: str = "") -> Iterator[dict[str, str]]:
    """Every label selector in an object, as the labels that it asks for."""
    if isinstance(value, dict):
        if field in _SELECTORS or ("matchLabels" in value or "matchExpressions" in value):
            yield value.get("matchLabels") or {}
            return
        if field == "selector":
            yield value
            return
        for name, part in value.items():
            if name != "nodeAffinity":  # its terms select nodes
                yield from selectors(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from selectors(part)


@every_case
def test_nothing_written_to_the_tenant_names_the_host(case: Case) -> None:
    world = case.world()
    for item, action, body in written(world, "tenant"):
        secrets = {world.scope.namespace}
        for one in world.objects("host"):
            if one["kind"] not in {"Node", "Event"}:
                secrets |= {one["metadata"]["name"], uid_of(one)}
        text = json.dumps([body, action.subresource])
        assert not [one for one in secrets if one in text], (item, text)


@every_case
def test_a_host_object_whose_tenant_object_is_gone_is_deleted_only_after_asking(case: Case) -> None:
    world = case.world()
    world.settle()
    items = world.items()
    for obj in world.objects("tenant"):
        world.remove("tenant", apis.resource_of(obj), key_of(obj))
    deleted = 0
    for item in items:
        asked = False
        for action in flat(world.plan(item)):
            asked = asked or (isinstance(action, Absent) and action.side == "tenant")
            if isinstance(action, Delete) and action.side == "host":
                assert asked, item
                deleted += 1
    marked = [obj for obj in world.objects("host") if marks.key_of(obj)]
    assert deleted or not marked


@every_case
def test_all_that_a_plan_does_is_among_the_rights_of_its_kind(case: Case) -> None:
    world = case.world()
    for _ in range(6):
        acted = False
        for item in world.items():
            kind = world.kinds[item.resource]
            granted = {
                (rule.side, rule.api, verb, rule.subresource) for rule in kind.rules() for verb in rule.verbs
            }
            try:
                plan = world.plan(item)
            except Refused:
                tenant = kind.find(item.key, world.scope)[0]
                said = kind.refused(tenant, "Refused", "", "") if tenant else None
                plan = [said] if said else []
            for action in flat(plan):
                assert set(takes(action)) <= granted, (item, action)
            world.apply(wanted := active(plan))
            acted = acted or bool(wanted)
        if not acted:
            return


def takes(action: Any) -> Iterator[tuple[str, apis.ApiResource, str, str]]:
    """(side, API, verb, subresource) of the requests that the executor makes of an action."""
    match action:
        case Create():
            yield action.side, action.api, "create", action.subresource
        case Patch():
            yield action.side, action.api, "patch", action.subresource
        case Delete():
            yield action.side, action.api, "delete", ""
        case Absent():
            yield action.side, action.api, "get", ""
        case Tokens():
            yield "tenant", apis.SERVICE_ACCOUNTS, "create", "token"
            yield "host", apis.SECRETS, "patch" if action.current else "create", ""


@every_case
def test_items_and_what_is_ensured_are_of_registered_kinds(case: Case) -> None:
    world = case.world()
    for item, plan in plans(world):
        assert item.resource in world.kinds
        for action in flat(plan):
            if isinstance(action, Ensure):
                assert action.resource in world.kinds


def test_every_field_of_the_policy_is_honoured_by_a_kind() -> None:
    claimed = {path for kind in KINDS.values() for path in kind.honours}
    kept_by_the_engine = set(fields(Budget(), "sync.budget"))
    assert claimed == {*fields(Sync(), "sync"), "pod_security", "network"} - kept_by_the_engine


@pytest.mark.parametrize(
    ("kind", "path"), [(kind.name, path) for kind in KINDS.values() for path in kind.honours]
)
def test_a_field_of_the_policy_changes_what_its_kind_does(kind: str, path: str) -> None:
    for case in CASES:
        if case.kind == kind:
            default = with_default(case.scope, path)
            if default != case.scope and outcome(case, case.scope) != outcome(case, default):
                return
    pytest.fail(f"no case of {kind} changes with {path}")


def fields(value: Any, path: str) -> list[str]:
    if not isinstance(value, msgspec.Struct):
        return [path]
    return [one for name in value.__struct_fields__ for one in fields(getattr(value, name), f"{path}.{name}")]


def with_default(scope: Scope, path: str) -> Scope:
    """The scope with one field of the policy as it is by default."""
    if path == "pod_security":
        return dataclasses.replace(scope, pod_security="baseline")
    if path == "network":
        return dataclasses.replace(scope, network=Network())
    _, *inner = path.split(".")
    return dataclasses.replace(scope, sync=_defaulted(scope.sync, inner))


def _defaulted(struct: Any, path: list[str]) -> Any:
    name, *rest = path
    value = _defaulted(getattr(struct, name), rest) if rest else getattr(type(struct)(), name)
    return msgspec.structs.replace(struct, **{name: value})


def outcome(case: Case, scope: Scope) -> Any:
    """All that a kind is and does under a policy: rights, watches, plans and refusals."""
    world = World(scope, case.tenant, case.host)
    if (kind := world.kinds.get(case.kind)) is None:
        return "this policy has no such kind"
    told: list[Any] = [list(kind.rules()), dict(kind.watches)]
    for item in world.items():
        if item.resource == case.kind:
            try:
                told.append((item, world.plan(item)))
            except Refused as refused:
                told.append((item, [str(one) for one in refused.problems]))
    return told
