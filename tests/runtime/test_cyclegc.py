"""The interpreter's garbage collector during a first list, and after it."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from syncer import cyclegc


@pytest.fixture(autouse=True)
def _collecting() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    gc.enable()


async def test_what_was_listed_is_never_searched() -> None:
    listed = asyncio.Event()
    gc.disable()
    collecting = asyncio.create_task(cyclegc.collect_once(listed.wait()))
    await asyncio.sleep(0)
    held: dict[str, dict[str, str]] = {"pod": {}}
    assert not gc.isenabled()
    listed.set()
    await collecting
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(one is held for one in gc.get_objects())


async def test_a_list_that_never_ends_does_not_stop_it_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cyclegc, "_LONGEST", 0.01)
    gc.disable()
    await cyclegc.collect_once(asyncio.Event().wait())
    assert gc.isenabled()
