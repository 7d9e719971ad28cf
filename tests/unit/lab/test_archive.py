"""Images made from files are docker-archives, equal for equal inputs, with shared layers once."""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from labkit.archive import Image, write_archive, write_layer, write_tree


def read_json(archive: Path, name: str) -> Any:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return json.load(file)


def test_an_archive_names_its_layers_by_their_digest(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "layer", [("bin/tool", b"content"), ("bin/alias", "tool"), ("tmp/", b"")])
    image = Image("localhost/tool:1", (layer,), entrypoint=("/bin/tool",), user="1:1")
    archive = write_archive(tmp_path / "tool.tar", [image])
    (entry,) = read_json(archive, "manifest.json")
    config = read_json(archive, entry["Config"])
    digest = hashlib.sha256(layer.read_bytes()).hexdigest()
    assert entry["RepoTags"] == ["localhost/tool:1"]
    assert entry["Layers"] == [f"{digest}/layer.tar"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
    assert config["config"]["Entrypoint"] == ["/bin/tool"]
    assert config["config"]["User"] == "1:1"


def test_files_links_and_folders_keep_their_kind_and_mode(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "layer", [("bin/tool", b"content"), ("bin/alias", "tool"), ("tmp/", b"")])
    with tarfile.open(layer) as tar:
        tool, alias, tmp = tar.getmembers()
    assert (tool.isfile(), tool.mode, tool.mtime) == (True, 0o755, 0)
    assert (alias.issym(), alias.linkname) == (True, "tool")
    assert (tmp.isdir(), tmp.mode) == (True, 0o1777)


def test_equal_inputs_make_equal_image_ids(tmp_path: Path) -> None:
    configs = []
    for folder in ("first", "second"):
        layer = write_layer(tmp_path / folder / "layer", [("file", b"same")])
        archive = write_archive(tmp_path / folder / "a.tar", [Image("localhost/same:1", (layer,))])
        configs.append(read_json(archive, "manifest.json")[0]["Config"])
    assert configs[0] == configs[1]


def test_two_references_to_one_layer_differ_in_id_and_share_the_layer(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "layer", [("file", b"shared")])
    archive = write_archive(tmp_path / "a.tar", [Image(f"localhost/{name}:1", (layer,)) for name in "ab"])
    first, second = read_json(archive, "manifest.json")
    assert first["Config"] != second["Config"]
    with tarfile.open(archive) as tar:
        assert [name for name in tar.getnames() if name.endswith("layer.tar")] == first["Layers"]


def test_a_tree_goes_below_its_prefix_without_what_is_excluded(tmp_path: Path) -> None:
    for name in ("usr/bin/python", "usr/share/doc/readme", "usr/share/docker"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(name)
    layer = write_tree(tmp_path / "layer", tmp_path / "root", prefix="opt", exclude=("usr/share/doc",))
    with tarfile.open(layer) as tar:
        names = {member.name for member in tar.getmembers() if member.isfile()}
    assert names == {"opt/usr/bin/python", "opt/usr/share/docker"}
