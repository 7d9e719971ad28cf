"""What `vcp create --timings` prints is what the bench reads."""

import pytest

from benchkit import timings
from vcp import output


def test_the_steps_of_a_create_are_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    progress = output.Timed(output.Lines())
    for name in ("plan", "control plane", "tenant"):
        with progress.step(name):
            progress.result("10 created, 2 changed")
    with progress.step("tenant"):
        pass
    output.say(progress.report())
    lines = capsys.readouterr().err.splitlines()
    assert [step for line in lines if (step := timings.ended(line))] == [
        "plan",
        "control plane",
        "tenant",
        "tenant",
    ]
    assert list(timings.steps(lines)) == ["plan", "control plane", "tenant"]


def test_other_lines_are_no_steps() -> None:
    lines = ["  waiting: api-0 is not ready (3.0 s) yet", "Context vcp-a is written.", "STEP   SECONDS"]
    assert not any(map(timings.ended, lines))
    assert timings.steps([*lines, "all   12.30", "API   7.25"]) == {"API": 7.25}
