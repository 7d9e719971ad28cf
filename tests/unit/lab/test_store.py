"""A cloned image store shares what never changes and owns what does."""

from pathlib import Path

import pytest

from labkit.store import RECORD, clone, missing


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    folder = tmp_path / "seed"
    (folder / "content").mkdir(parents=True)
    (folder / "content" / "blob").write_text("immutable")
    (folder / "meta.db").write_text("mutable")
    (folder / RECORD).write_text('["pause-1.tar"]')
    return folder


def test_blobs_are_linked_and_databases_copied(seed: Path, tmp_path: Path) -> None:
    target = tmp_path / "node" / "store"
    clone(seed, target)
    assert (target / "content" / "blob").samefile(seed / "content" / "blob")
    (target / "meta.db").write_text("changed by a node")
    (target / RECORD).write_text("[]")
    assert (seed / "meta.db").read_text() == "mutable"
    assert missing(seed, [Path("pause-1.tar")]) == []


def test_a_clone_that_was_interrupted_is_made_anew(seed: Path, tmp_path: Path) -> None:
    target = tmp_path / "store"
    half = tmp_path / "store.partial"
    half.mkdir()
    (half / "stale").touch()
    clone(seed, target)
    assert not half.exists()
    assert not (target / "stale").exists()


def test_only_archives_without_a_record_are_missing(seed: Path) -> None:
    archives = [Path("cache/pause-1.tar"), Path("cache/pause-2.tar")]
    assert missing(seed, archives) == archives[1:]
    assert missing(seed / "nowhere", archives) == archives
