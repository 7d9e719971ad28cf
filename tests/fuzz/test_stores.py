"""A broken object of a hostile API server is contained: once it is mended, it is as any other."""

import copy
import functools
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from kube import apis
from kube.objects import Obj
from syncer.core.kind import Item
from syncer.engine.store import Change, Store
from tests.fuzz.effort import examples
from tests.fuzz.mutations import mutated
from tests.worlds import Case, World, cases


@functools.cache
def known() -> list[tuple[Case, Obj]]:
    """Every tenant object of every golden case, as an API server stores it."""
    return [(case, obj) for case in cases() for obj in case.world().objects("tenant")]


@st.composite
def broken(draw: st.DrawFn) -> tuple[Case, Obj, Obj]:
    """A case, an object of it, and what somebody makes of that object."""
    case, good = draw(st.sampled_from(known()))
    bad = draw(mutated(good).filter(lambda obj: isinstance(obj, dict)))
    return case, good, bad


def arrives(store: Store, obj: Obj, version: int) -> None:
    """As an informer takes it: what fails is listed anew, and again from the next event on."""
    newer = copy.deepcopy(obj)
    for attempt in (lambda: store.put(newer), lambda: store.replace([store.kept(newer)], version)):
        try:
            newer["metadata"]["resourceVersion"] = str(version)
            attempt()
        except Exception:
            continue
        return


@examples(300)
@given(broken())
def test_a_mended_object_is_looked_at_again(given: tuple[Case, Obj, Obj]) -> None:
    case, good, bad = given
    world = World(case.scope, (), ())
    kinds = [
        kind
        for kind in world.kinds.values()
        if kind.api == apis.resource_of(good) and "tenant" in kind.watches
    ]
    for kind in kinds:
        store, queued = world.stored("tenant").of(kind.api), list[Item]()
        assert store is not None
        store.on_change = _queueing(world, kind, queued)
        arrives(store, bad, 10**6)
        queued.clear()
        arrives(store, good, 10**6 + 1)
        expected = [Item(kind.name, key) for key in kind.concerned("tenant", good)]
        assert set(expected) <= set(queued), "the mended object is not looked at"


def _queueing(world: World, kind: object, queued: list[Item]) -> Callable[[Change], None]:
    def on_change(change: Change) -> None:
        queued.extend(world.registry.affected(kind, "tenant", *change, world.scope))  # type: ignore[arg-type]

    return on_change
