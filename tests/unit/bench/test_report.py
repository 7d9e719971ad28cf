"""The report says what the results hold, whichever are there."""

from pathlib import Path

import msgspec
import pytest

from benchkit import goals, plots, report
from benchkit.comparing import compared

from .results import results

BENCH = Path(__file__).parents[3] / "docs" / "bench"


def test_every_goal_is_judged() -> None:
    judged = {
        goal.what: (value, goal.met(value)) for goal, value in goals.judged(results()) if value is not None
    }
    assert len(judged) == len(goals.GOALS)
    assert judged["create to usable API"] == (9.0, False)
    assert judged["pods created to Ready: rate over direct"] == (0.5, True)
    assert judged["create to Running, one at a time: added at p50"] == (pytest.approx(40.0), False)
    assert judged["CPU per 1,000 creates, everything"] == (25.0, True)
    assert judged["CPU per 1,000 creates, the syncer"] == (5.0, True)


@pytest.mark.parametrize("name", sorted(results()))
def test_one_measurement_alone_makes_a_report(name: str) -> None:
    text = report.markdown({name: results()[name]}, [f"{name}.png"])
    assert "not measured" in text
    assert f"![{name}]({name}.png)" in text


def test_the_whole_report_has_every_section_and_well_formed_tables() -> None:
    text = report.markdown(results(), [], results())
    for title in ("Create", "Latency", "Throughput", "Fairness", "Memory", "Restart", "Streams", "Profile"):
        assert f"## {title}\n" in text
    assert "## The limit\n" in text
    assert "Not measured: 5000 pods, 1 tenants (no time)." in text
    assert "| `plan (syncer/core/pods/plan.py)` | 70.0% |" in text
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, block


def test_two_runs_are_compared_number_by_number() -> None:
    old, new = results(), results()
    new["create"]["alone"]["usable"]["median"] = 4.5
    rows = {row[0]: row[1:] for row in compared(old, new)}
    assert rows["create to usable API, s"] == ("9", "4.5", "0.50")
    assert "creates, 100 pods, 1 tenants: ratio" in rows


def test_every_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="requirements/bench.lock is not installed")
    names = plots.draw(tmp_path, results())
    assert {"latency.png", "memory.png"} < set(names) == {path.name for path in tmp_path.iterdir()}


def test_the_published_report_is_that_of_the_published_results() -> None:
    found = msgspec.json.decode((BENCH / "results.json").read_bytes())
    images = [path.name for path in BENCH.glob("*.png")]
    # A comparison with an earlier run may follow.
    assert (BENCH / "report.md").read_text().startswith(report.markdown(found, images))
