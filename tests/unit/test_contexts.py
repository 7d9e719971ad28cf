"""Writing to a kubeconfig that others write to as well."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vcp import contexts
from vcp.errors import RefusedError


def test_a_new_file_is_private_even_in_a_new_folder(tmp_path: Path) -> None:
    file = tmp_path / ".kube" / "config"
    assert contexts.update(file, lambda text: f"{text}a")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("a", 0o600)
    assert not contexts.update(file, lambda text: text)
    assert [entry.name for entry in file.parent.iterdir()] == ["config"]


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "config"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: contexts.update(file, lambda text: f"{text}{number}\n"), range(20)))
    assert sorted(map(int, file.read_text().split())) == list(range(20))


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    contexts.update(tmp_path / "link", lambda _: "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "x"


def test_a_failing_change_leaves_the_file_and_no_lock(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("old")
    with pytest.raises(ZeroDivisionError):
        contexts.update(file, lambda _: str(1 / 0))
    assert [entry.name for entry in tmp_path.iterdir()] == ["config"]
    assert file.read_text() == "old"


def test_a_lock_that_stays_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "_PATIENCE", 0.05)
    (tmp_path / "config.lock").touch()
    with pytest.raises(RefusedError) as caught:
        contexts.update(tmp_path / "config", lambda text: text)
    assert caught.value.hint == f"if there is none, remove {tmp_path}/config.lock"
