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


@pytest.mark.parametrize(
    "attack",
    [
        "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
        "\x1b[2J\x1b[1;1Hall is well",
        "\x9b31mred",
        "\x1b]0;title\x07",
        "failed\rdone  ",
        "\u202egnp.exe",
        "\u2066hidden\u2069",
        "line\u2028line",
        "\x08\x08\x08",
        "\x7f\x00",
    ],
)
def test_what_a_tenant_writes_moves_nothing_on_a_terminal(
    attack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.say(attack)
    output.data(output.table([{"name": attack, "state": "\tok"}]))
    output.data(output.encode({"name": attack}, "json"))
    output.data(output.encode({"name": attack}, "yaml"))
    out, err = capsys.readouterr()
    assert all(sign.isprintable() or sign in "\n\t" for sign in out + err), (out, err)
    assert json.loads(output.encode({"name": attack}, "json")) == {"name": attack}


def test_ordinary_text_stays_as_it_is() -> None:
    text = "größer → 漢字 🎉 tab\there\nnext"
    assert output.plain(text) == text


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
