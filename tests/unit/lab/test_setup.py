"""Setting up stops with a sentence that says what is missing and what to do."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# What hack/setup itself is made of; everything else it looks for.
OWN = ("bash", "sh", "dirname", "readlink", "flock", "cat", "sha256sum", "mktemp", "tail", "rm", "env")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with hardly anything on it."""
    for name in OWN:
        found = shutil.which(name)
        assert found, name
        (tmp_path / name).symlink_to(found)
    return tmp_path


def setup(part: str, path: Path) -> tuple[int, str]:
    command = [ROOT / "hack" / "setup", part]
    result = subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)
    return result.returncode, result.stderr


def say(path: Path, name: str, text: str) -> None:
    (path / name).write_text(f"#!/bin/sh\n{text}\n")
    (path / name).chmod(0o755)


def test_a_machine_without_apt_is_told_which_packages_are_missing(tools: Path) -> None:
    code, message = setup("machine", tools)
    assert code == 1
    assert "these Debian packages are missing:" in message
    assert "mmdebstrap" in message
    assert "no apt-get" in message


def test_who_is_not_root_is_told_to_install_them_as_root(tools: Path) -> None:
    say(tools, "id", "echo 1000")
    say(tools, "apt-get", "exit 0")
    code, message = setup("machine", tools)
    assert code == 1
    assert "Install them as root: apt-get install" in message


def test_an_unreachable_mirror_is_named(tools: Path) -> None:
    say(tools, "id", "echo 0")
    say(tools, "apt-get", "echo 'Could not resolve' >&2; exit 100")
    code, message = setup("machine", tools)
    assert code == 1
    assert "Could not resolve" in message
    assert "Debian's package lists cannot be fetched; check the network." in message


def test_a_word_that_it_does_not_know_is_refused(tools: Path) -> None:
    assert setup("everything", tools) == (1, "hack/setup: usage: hack/setup python|machine\n")
