"""The lab's images, made from the built binaries and Debian packages, kept as archives in the cache.

An archive's name holds the fingerprint of all that it is made of: what did not change is neither rebuilt nor
imported again. Nothing here refers to a registry: every reference is `localhost/…`.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from labkit import pins
from labkit.archive import Image, write_archive, write_layer, write_tree
from labkit.build import cache_root
from labkit.steps import run, step

ROOT = Path(__file__).parents[2]
PAUSE_C = Path(__file__).parent / "images" / "pause.c"
UNUSED_AFTER = 86400.0  # seconds
SYNCER_UID = 65532
PROJECT_FOLDERS = ("vcp", "syncer", "kube", "manifests")

PAUSE = "localhost/pause:1"
ETCD = f"localhost/etcd:{pins.ETCD}"
COREDNS = f"localhost/coredns:{pins.COREDNS}"
KUBE = f"localhost/kube:{pins.KUBERNETES}"
KUBE_APISERVER = f"localhost/kube-apiserver:{pins.KUBERNETES}"
KUBE_CONTROLLER_MANAGER = f"localhost/kube-controller-manager:{pins.KUBERNETES}"
K3S_STANDIN = f"localhost/k3s-standin:{pins.KUBERNETES}"
AGNHOST = "localhost/agnhost:1"
TOOLS = "localhost/tools:1"
CRANE = f"localhost/crane:{pins.CRANE}"
KWOK = f"localhost/kwok:{pins.KWOK}"
VOLUMES = "localhost/volumes:1"
METRICS_SERVER = f"localhost/metrics-server:{pins.METRICS_SERVER}"
SYNCER = "localhost/vcp-syncer:dev"

# What the tool image offers beside a shell: name lookups through a real libc, an HTTP client, raw TCP.
TOOLS_PACKAGES = ("busybox", "dash", "coreutils", "libc-bin", "curl", "bind9-dnsutils", "netcat-openbsd")
K3S_PACKAGES = ("busybox-static",)  # k3s's image has a busybox, too
PYTHON_PACKAGES = ("python3-minimal", "python3", "ca-certificates", "media-types", "netbase", "tzdata")
# Nothing of these is read at run time, and they are half of a Debian root.
DEBIAN_BALLAST = (
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"),
    *("var/lib/apt", "var/cache", "dev"),
)


class Archive(NamedTuple):
    """One docker-archive: what it depends on, and how its images are made in a scratch folder."""

    name: str
    key: str
    images: Callable[[Path], list[Image]]


def archives(binaries: dict[str, Path]) -> list[Archive]:
    """All archives of the lab; those that a node needs first come first."""
    made = [
        Archive("pause", pins.fingerprint(PAUSE_C), _pause),
        _of_binary(binaries, "coredns", COREDNS),
        _of_binary(binaries, "volumes", VOLUMES),
        Archive("tools", pins.fingerprint(repr(TOOLS_PACKAGES), pins.DEBIAN_SUITE), _tools),
        Archive(
            "kube",
            pins.fingerprint(_folder_key(binaries, "kube"), repr(K3S_PACKAGES), pins.DEBIAN_SUITE),
            lambda scratch: _kube(binaries["kube"], scratch),
        ),
        Archive("etcd", _folder_key(binaries, "etcd"), lambda scratch: _etcd(binaries, scratch)),
        _of_binary(binaries, "agnhost", AGNHOST),
        _of_binary(binaries, "crane", CRANE),
        _of_binary(binaries, "metrics-server", METRICS_SERVER),
        _of_binary(binaries, "kwok", KWOK),
        Archive("syncer", _syncer_key(), _syncer),
    ]
    # The layout of an image is in this module and in `archive`, so they are part of every key.
    code = pins.fingerprint(Path(__file__), Path(__file__).with_name("archive.py"))
    return [archive._replace(key=pins.fingerprint(archive.key, code)) for archive in made]


def build_images(binaries: dict[str, Path], *, force: bool = False) -> dict[str, Path]:
    """Makes the archives that are missing and returns the path of every archive by name."""
    paths = {}
    for archive in archives(binaries):
        path = cache_root() / "images" / f"{archive.name}-{archive.key}.tar"
        if force or not path.exists():
            with step(f"image {archive.name}"), tempfile.TemporaryDirectory(prefix="vcp-lab-") as scratch:
                write_archive(path, archive.images(Path(scratch)))
            _drop_older(path, archive.name, ".tar")
        paths[archive.name] = path
    return paths


def _drop_older(path: Path, name: str, ending: str) -> None:
    """Removes what another state of the sources left behind, unless a checkout may still be using it."""
    for other in path.parent.glob(f"{name}-{'?' * 16}{ending}"):
        if other != path and time.time() - other.stat().st_mtime > UNUSED_AFTER:
            other.unlink(missing_ok=True)


def _folder_key(binaries: dict[str, Path], name: str) -> str:
    return pins.fingerprint(binaries[name].parent.name, name)


def _of_binary(binaries: dict[str, Path], name: str, reference: str) -> Archive:
    """An image that holds one static binary and a /tmp."""

    def images(scratch: Path) -> list[Image]:
        layer = write_layer(scratch / "layer", [(f"usr/local/bin/{name}", binaries[name]), ("tmp/", b"")])
        return [Image(reference, (layer,), entrypoint=(f"/usr/local/bin/{name}",))]

    return Archive(name, _folder_key(binaries, name), images)


def _pause(scratch: Path) -> list[Image]:
    run("cc", "-static", "-Os", "-s", "-o", scratch / "pause", PAUSE_C, hint="Install libc6-dev.")
    layer = write_layer(scratch / "layer", [("pause", scratch / "pause")])
    return [Image(PAUSE, (layer,), entrypoint=("/pause",), user="65535:65535")]


def _kube(kube: Path, scratch: Path) -> list[Image]:
    """The kube binary under each of its names; the references differ in what they start."""
    links = [(f"usr/local/bin/{name}", "kube") for name in pins.KUBE_COMPONENTS]
    layer = write_layer(scratch / "layer", [("usr/local/bin/kube", kube), ("tmp/", b""), *links])
    busybox = _debian_root(scratch, K3S_PACKAGES) / "bin" / "busybox"
    applets = [(f"bin/{name}", "busybox") for name in run(busybox, "--list").split() if name != "busybox"]
    standin = write_layer(
        scratch / "k3s", [("usr/local/bin/k3s", "kube"), ("bin/busybox", busybox), *applets]
    )
    starts = {
        KUBE: "kubectl",
        KUBE_APISERVER: "kube-apiserver",
        KUBE_CONTROLLER_MANAGER: "kube-controller-manager",
    }
    return [
        *(Image(ref, (layer,), entrypoint=(f"/usr/local/bin/{name}",)) for ref, name in starts.items()),
        Image(K3S_STANDIN, (layer, standin), entrypoint=("/usr/local/bin/k3s",)),
    ]


def _etcd(binaries: dict[str, Path], scratch: Path) -> list[Image]:
    tools = [(f"usr/local/bin/{name}", binaries[name]) for name in ("etcd", "etcdctl", "etcdutl")]
    return [Image(ETCD, (write_layer(scratch / "layer", tools),), entrypoint=("/usr/local/bin/etcd",))]


def _tools(scratch: Path) -> list[Image]:
    root = _debian_root(scratch, TOOLS_PACKAGES)
    applets = run(root / "bin" / "busybox", "--list").split()
    kept = {
        path.name for folder in ("bin", "sbin", "usr/bin", "usr/sbin") for path in (root / folder).iterdir()
    }
    links = [(f"usr/local/bin/{name}", "/bin/busybox") for name in sorted(set(applets) - kept - {"busybox"})]
    shell = [] if (root / "bin" / "sh").exists() else [("bin/sh", "dash")]
    base = write_tree(scratch / "base", root, exclude=DEBIAN_BALLAST)
    return [Image(TOOLS, (base, write_layer(scratch / "links", [*links, *shell])), entrypoint=("/bin/sh",))]


def _syncer_key() -> str:
    files = sorted(
        path for folder in PROJECT_FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()
    )
    code = [path for path in files if "__pycache__" not in path.parts]
    names = repr([str(path.relative_to(ROOT)) for path in code])
    return pins.fingerprint(_syncer_base_key(), names, *code, ROOT / "pyproject.toml")


def _syncer_base_key() -> str:
    return pins.fingerprint(repr(PYTHON_PACKAGES), pins.DEBIAN_SUITE, ROOT / "requirements" / "runtime.lock")


def _syncer(scratch: Path) -> list[Image]:
    """Debian's Python, the locked dependencies, and the project's wheel on top: only the last changes every
    day.
    """
    base, locked = (cache_root() / "layers" / f"{name}-{_syncer_base_key()}" for name in ("python", "locked"))
    root, site = scratch / "root", "opt/syncer"
    if not base.exists():
        _debian_root(scratch, PYTHON_PACKAGES)
        _precompile(root, "usr/lib/python3.11")
        write_tree(base, root, exclude=DEBIAN_BALLAST)
        _drop_older(base, "python", "")
    else:
        run("tar", "-xf", base, f"--one-top-level={root}")
    if not locked.exists():
        _pip_install(root / site, "--require-hashes", "-r", ROOT / "requirements" / "runtime.lock")
        _precompile(root, site)
        write_tree(locked, root / site, prefix=site)
        _drop_older(locked, "locked", "")
        shutil.rmtree(root / site)
    _pip_install(root / site, "--no-deps", _wheel(scratch))
    _precompile(root, site)
    top = write_tree(scratch / "top", root / site, prefix=site)
    env = (f"PYTHONPATH=/{site}", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", *Image("", ()).env)
    entrypoint = ("/usr/bin/python3", "-m", "syncer")
    return [
        Image(SYNCER, (base, locked, top), entrypoint=entrypoint, env=env, user=f"{SYNCER_UID}:{SYNCER_UID}")
    ]


def _wheel(scratch: Path) -> Path:
    source = scratch / "source"
    for name in PROJECT_FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    run(_python(), "-I", "-m", "build", "--wheel", "--no-isolation", "--outdir", scratch / "dist", source)
    return next((scratch / "dist").glob("*.whl"))


def _pip_install(target: Path, *what: str | Path) -> None:
    """Installs for the Python of the image, whatever Python runs the lab."""
    platforms = ("--platform=manylinux_2_28_x86_64", "--platform=manylinux2014_x86_64")
    for_image = ("--only-binary=:all:", "--python-version=3.11", "--implementation=cp", *platforms)
    hint = "The image needs the Python package index: check the network and pip's configuration."
    run(
        _python(),
        "-I",
        "-m",
        "pip",
        "install",
        "-q",
        "--no-compile",
        f"--target={target}",
        *for_image,
        *what,
        hint=hint,
    )


def _precompile(root: Path, folder: str) -> None:
    """Byte-compiles by the image's own Python: a pod with a read-only root would compile on every start."""
    run(
        "chroot",
        root,
        "python3",
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode=unchecked-hash",
        f"/{folder}",
    )


def _python() -> Path:
    return ROOT / ".venv" / "bin" / "python"


def _debian_root(scratch: Path, packages: tuple[str, ...]) -> Path:
    """Unpacks packages and what they depend on into a folder; no maintainer script runs."""
    root = scratch / "root"
    command = (
        "mmdebstrap",
        "--quiet",
        "--variant=extract",
        f"--include={','.join(packages)}",
        pins.DEBIAN_SUITE,
        root,
    )
    run(
        *command,
        hint="mmdebstrap needs Debian's package mirror: check the network and /etc/apt/sources.list.",
    )
    (root / "tmp").chmod(0o1777)
    (root / "etc" / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    )
    (root / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "etc" / "nsswitch.conf").write_text("hosts: files dns\n")
    return root
