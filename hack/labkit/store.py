"""containerd's image store, unpacked once per set of images and cloned by hard links into every node.

Importing all images costs a node 20 s of hashing and unpacking; a clone costs 0.1 s and no disk. It is safe
because containerd never changes a blob or a committed snapshot in place: only its databases are written, and
those are copied.
"""

import json
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from labkit import pins
from labkit.build import cache_root
from labkit.steps import LabError, run, step, wait_until

RECORD = "images.json"  # beside a store: the names of the archives that it holds


def ensure_seed(archives: dict[str, Path], binaries: dict[str, Path]) -> Path:
    """The store that new nodes are cloned from, in the cache; what an older one holds already is not
    imported again.
    """
    folder = cache_root() / "stores"
    target = folder / pins.fingerprint(*(path.name for path in archives.values()))
    if (target / RECORD).exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    older = sorted(
        (path for path in folder.iterdir() if (path / RECORD).exists()), key=lambda path: path.stat().st_mtime
    )
    with step("unpack images"), tempfile.TemporaryDirectory(prefix="partial-", dir=folder) as scratch:
        partial = Path(scratch) / "store"
        if older:
            clone(older[-1], partial)
        _import_offline(partial, list(archives.values()), binaries)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    for path in older[:-1]:
        shutil.rmtree(path)
    return target


def clone(seed: Path, target: Path) -> None:
    """Makes a store of a node's own; a half-made one is never left under the final name."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    same_disk = seed.stat().st_dev == target.parent.stat().st_dev
    run("cp", "--archive", *(["--link"] if same_disk else []), seed, partial)
    for path in (*partial.rglob("*.db"), partial / RECORD):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    partial.rename(target)


def missing(store: Path, archives: list[Path]) -> list[Path]:
    """The archives that a store does not hold."""
    record = store / RECORD
    held = set(json.loads(record.read_text())) if record.exists() else set()
    return [path for path in archives if path.name not in held]


def import_into(store: Path, socket_path: Path, archives: list[Path], ctr: Path) -> None:
    """Brings a store up to the given archives through the containerd that runs on it."""
    for archive in missing(store, archives):
        run(ctr, "--address", socket_path, "--namespace", "k8s.io", "images", "import", archive)
    (store / RECORD).write_text(json.dumps(sorted(path.name for path in archives)))


def _import_offline(store: Path, archives: list[Path], binaries: dict[str, Path]) -> None:
    """Imports with a containerd that runs only for that, without CRI: it opens nothing but its socket."""
    with tempfile.TemporaryDirectory(prefix="vcp-lab-") as scratch:
        address = Path(scratch) / "containerd.sock"
        config = Path(scratch) / "config.toml"
        plugins = ("grpc.v1.cri", "cri.v1.images", "cri.v1.runtime", "nri.v1.nri")
        lines = (
            "version = 3",
            f'root = "{store}"',
            f'state = "{scratch}/state"',
            f"disabled_plugins = {json.dumps([f'io.containerd.{name}' for name in plugins])}",
            f'grpc = {{ address = "{address}" }}',
            f'plugins."io.containerd.internal.v1.opt" = {{ path = "{scratch}/opt" }}',
        )
        config.write_text("\n".join(lines))
        with (Path(scratch) / "log").open("w+") as log:
            daemon = subprocess.Popen([binaries["containerd"], "--config", config], stdout=log, stderr=log)
            try:
                wait_until("containerd's start", lambda: answers(address) or daemon.poll() is not None, 60)
                if daemon.poll() is not None:
                    log.seek(0)
                    raise LabError(f"containerd ended: {log.read()[-2000:]}")
                import_into(store, address, archives, binaries["ctr"])
            finally:
                daemon.terminate()
                daemon.wait(30)


def answers(address: Path) -> bool:
    """Whether something accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(address)) == 0
