"""Data on stdout, words on stderr."""

import json
from datetime import timedelta

import pytest
import yaml

from vcp import output


def test_a_table_is_aligned_under_its_titles() -> None:
    rows = [{"name": "a", "the_state": "Ready"}, {"name": "long-name", "the_state": ""}]
    assert output.table(rows).splitlines() == ["NAME        THE STATE", "a           Ready", "long-name"]
    assert output.table([]) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (45, "45s"), (119, "119s"), (150, "2m"), (7500, "2h5m"), (90000, "25h"), (172800, "2d")],
)
def test_ages(seconds: int, text: str) -> None:
    assert output.age(timedelta(seconds=seconds)) == text


def test_encoded_data_can_be_read_back() -> None:
    value = [{"b": 1, "a": "ü"}]
    assert json.loads(output.encode(value, "json")) == value
    assert yaml.safe_load(output.encode(value, "yaml")) == value


def test_progress_without_a_terminal_is_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    progress = output.progress()
    with progress.step("etcd"):
        progress.waiting("etcd-0 is Pending")
        progress.waiting("etcd-0 is Pending")
        progress.result("unchanged")
    with pytest.raises(ValueError, match="x"), progress.step("api"):
        raise ValueError("x")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "  waiting: etcd-0 is Pending",
        "etcd: unchanged (0.0 s)",
        "api: not done after 0.0 s",
    ]
