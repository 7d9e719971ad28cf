"""What was measured is kept whatever happens to the cells after it. The cells themselves run on the lab."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchkit import bench, cli
from benchkit.bench import Bench
from benchkit.measures import Size, throughput
from benchkit.measures.throughput import Cell

NOWHERE: Any = None  # the lab and its API, which no cell asks here


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "out" / cli.RESULTS


def measured(
    results: Path, monkeypatch: pytest.MonkeyPatch, failing: dict[int, BaseException]
) -> dict[str, Any]:
    """Three cells, of which some end badly."""
    numbers = itertools.count()

    async def cell(_: Bench, one: Cell) -> dict[str, Any]:
        if error := failing.get(next(numbers)):
            raise error
        return {"pods": one.pods, "tenants": one.tenants}

    monkeypatch.setattr(throughput, "_measured", cell)
    monkeypatch.setattr(throughput, "_FULL", (Cell(1, 1, 1), Cell(2, 1, 1), Cell(3, 1, 1)))
    made = Bench(NOWHERE, results.parent, NOWHERE, keep=lambda found: cli.keep(results, dict(found)))
    return asyncio.run(throughput.measure(made, Size(full=True)))


def kept(results: Path) -> Any:
    return msgspec.json.decode(results.read_bytes())["throughput"]


def test_a_cell_that_fails_is_named_and_the_next_is_measured(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(results, monkeypatch, {0: RuntimeError("no tenant"), 1: TimeoutError()})
    assert found["cells"] == [{"pods": 3, "tenants": 1}]
    assert [(one["pods"], one["why"]) for one in found["missing"]] == [
        (1, "RuntimeError no tenant"),
        (2, "no end in time"),
    ]


def test_the_end_of_the_time_loses_no_cell_that_was_measured(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(asyncio.CancelledError):
        measured(results, monkeypatch, {2: asyncio.CancelledError()})
    assert [one["pods"] for one in kept(results)["cells"]] == [1, 2]
    assert kept(results)["missing"] == [{"pods": 3, "tenants": 1, "why": "no time"}]


def test_nothing_measured_replaces_nothing(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.written(results, {"throughput": {"cells": ["of an earlier run"]}})
    with pytest.raises(RuntimeError):
        measured(results, monkeypatch, dict.fromkeys(range(3), RuntimeError("no lab")))
    assert kept(results)["cells"] == ["of an earlier run"]


def test_the_whole_matrix_fits_its_time() -> None:
    """At the rates of two CPUs: pods per second made and deleted, direct and through a tenant."""
    per_pod = 1 / 110 + 1 / 165 + 1 / 24 + 1 / 48
    seconds = sum(cell.pods * cell.repeat * per_pod + 5 * cell.tenants for cell in throughput._FULL)
    assert seconds < 40 * 60
    assert all(cell.limit > 2 * cell.pods * cell.repeat * per_pod for cell in throughput._FULL)
