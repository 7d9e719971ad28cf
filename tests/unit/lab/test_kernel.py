"""The machine's settings come back as they were, whatever labs have come and gone in between."""

import json
from pathlib import Path

import pytest

from labkit import kernel

INSTANCES = "fs/inotify/max_user_instances"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /proc/sys."""
    monkeypatch.setenv("VCP_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(kernel, "_path", lambda name: tmp_path / "sys" / name)
    for name in (*kernel.SETTINGS, INSTANCES):
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("128\n")
    return tmp_path / "sys"


def test_what_is_too_low_is_raised_and_put_back(machine: Path, tmp_path: Path) -> None:
    kernel.prepare()
    assert (machine / INSTANCES).read_text() == "8192"
    assert (machine / "kernel/panic").read_text() == "128\n"
    (machine / "kernel/panic").write_text("10\n")  # as a kubelet does
    kernel.prepare()
    lab = tmp_path / "state" / "other"
    lab.mkdir()
    kernel.restore()
    assert (machine / INSTANCES).read_text() == "8192", "another lab needs it"
    lab.rmdir()
    kernel.restore()
    assert (machine / INSTANCES).read_text() == "128"
    assert (machine / "kernel/panic").read_text() == "128"


def test_what_is_high_enough_stays(machine: Path) -> None:
    (machine / INSTANCES).write_text("100000\n")
    kernel.prepare()
    assert (machine / INSTANCES).read_text() == "100000\n"


def test_a_record_of_an_older_state_of_the_code_is_completed(machine: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / ".kernel.json").write_text(json.dumps({"kernel/panic": "1"}))
    kernel.prepare()
    kernel.restore()
    assert (machine / "kernel/panic").read_text() == "1"
    assert (machine / INSTANCES).read_text() == "128"
