"""Container images without a container engine: a docker-archive is a tar of layers, a config and a manifest.

Everything in it is reproducible (no times, no user names), so equal inputs give an equal image ID.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """One image: its reference, its layers from the bottom up, and what runs in it."""

    reference: str
    layers: tuple[Path, ...]
    entrypoint: tuple[str, ...] = ()
    env: tuple[str, ...] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
    user: str = ""
    labels: dict[str, str] = field(default_factory=dict)


def write_layer(target: Path, files: Iterable[tuple[str, bytes | Path | str]]) -> Path:
    """Writes a layer of files: (path, content), where the content of a `str` is a symlink's target.

    A path that ends with `/` is an empty folder that everybody may write to, like /tmp.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as tar:
        for path, content in files:
            info = tarfile.TarInfo(path.strip("/"))
            info.mode = 0o755
            if path.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o1777
                tar.addfile(info)
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                data = content.read_bytes() if isinstance(content, Path) else content
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return partial.rename(target)


def write_tree(target: Path, tree: Path, prefix: str = "", exclude: tuple[str, ...] = ()) -> Path:
    """Writes a folder as a layer, below `prefix`, without the listed paths; owners and modes stay, times do
    not.
    """

    def strip(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        inside = info.name.removeprefix(prefix).strip("/")
        if any(inside == path or inside.startswith(f"{path}/") for path in exclude):
            return None
        info.mtime, info.uname, info.gname = 0, "", ""
        return info

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(tree.iterdir()):
            tar.add(path, f"{prefix}/{path.name}".strip("/"), filter=strip)
    return partial.rename(target)


def write_archive(target: Path, images: Iterable[Image]) -> Path:
    """Writes a docker-archive that holds several images; a layer that they share is in it once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    manifest: list[dict[str, object]] = []
    written: dict[Path, str] = {}
    with tarfile.open(partial, "w") as tar:
        for image in images:
            for layer in image.layers:
                if layer not in written:
                    written[layer] = digest = _sha256(layer)
                    tar.add(layer, f"{digest}/layer.tar")
            config = json.dumps(_config(image, [written[layer] for layer in image.layers])).encode()
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            info = tarfile.TarInfo(name)
            info.size = len(config)
            tar.addfile(info, io.BytesIO(config))
            layers = [f"{written[layer]}/layer.tar" for layer in image.layers]
            manifest.append({"Config": name, "RepoTags": [image.reference], "Layers": layers})
        data = json.dumps(manifest).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return partial.rename(target)


def _config(image: Image, digests: list[str]) -> dict[str, object]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": list(image.entrypoint) or None,
            "Env": list(image.env),
            "User": image.user,
            # Two references to one image ID would make the runtime report either of them.
            "Labels": image.labels | {"reference": image.reference},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created_by": "lab"} for _ in digests],
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
