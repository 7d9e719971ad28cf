"""Builds the binaries from their pinned modules into a cache folder: one module at a time, each once per
pin.
"""

import functools
import os
import shutil
from pathlib import Path

from labkit import pins
from labkit.steps import LabError, run, step

# A cold build fetches 2 GB of modules and leaves 3 GB of compiled packages.
MINIMUM_FREE = 8 << 30


def cache_root() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vcp-lab"


@functools.cache
def _toolchain() -> str:
    return run("go", "env", "GOVERSION", "GOARCH")


def source_folder(source: pins.Source) -> Path:
    """Where a module's binaries are kept: the folder's name holds everything that they depend on."""
    files = sorted(path for path in (pins.SOURCES / source.name).iterdir() if path.is_file())
    key = pins.fingerprint(repr(source), _toolchain(), *files)
    return cache_root() / "bin" / f"{source.name}-{key}"


def binaries() -> dict[str, Path]:
    """The path of every binary by name, built or not."""
    folders = {source.name: source_folder(source) for source in pins.SOURCES_TABLE}
    made = {name: folders[source.name] / name for source in pins.SOURCES_TABLE for name in source.binaries}
    return made | {name: folders["kube"] / name for name in pins.KUBE_COMPONENTS}


def build(*, force: bool = False) -> dict[str, Path]:
    """Builds what is missing and returns the path of every binary by name.

    A binary is compiled under a temporary name and renamed, so an interrupted build goes on where it stopped.
    """
    check_toolchain()
    for source in pins.SOURCES_TABLE:
        folder = source_folder(source)
        if force:
            shutil.rmtree(folder, ignore_errors=True)
        missing = [name for name in (*source.binaries, *source.documents) if not (folder / name).exists()]
        if not missing:
            continue
        check_disk(folder)
        with step(f"build {', '.join(missing)}"):
            run(
                "go",
                "mod",
                "download",
                cwd=pins.SOURCES / source.name,
                env=_environment(source),
                hint=UNREACHABLE,
            )
            for name in missing:
                if name in source.binaries:
                    _compile(source, name, folder / name)
                else:
                    _join_documents(source, name, folder / name)
    made = binaries()
    for name in pins.KUBE_COMPONENTS:
        if not made[name].is_symlink():
            made[name].symlink_to("kube")
    return made


UNREACHABLE = (
    "The build needs the Go module proxy: check the network and `go env GOPROXY`, then run it again."
)


def check_toolchain() -> None:
    """The tools that a build needs and that Debian or the user brings."""
    for tool, cure in (
        ("go", "install Go 1.26 or newer and put it on the PATH"),
        ("cc", "install a C compiler: apt-get install gcc libc6-dev"),
    ):
        if shutil.which(tool) is None:
            raise LabError(f"`{tool}` is not on the PATH; {cure}.")


def check_disk(folder: Path) -> None:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < MINIMUM_FREE:
        raise LabError(
            f"only {free >> 30} GB are free at {existing}, and a build needs {MINIMUM_FREE >> 30}; "
            "free some space or point XDG_CACHE_HOME and GOPATH to a larger disk."
        )


def _environment(source: pins.Source) -> dict[str, str]:
    return os.environ | {
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly",
        "CGO_ENABLED": str(int(source.cgo)),
    }


def _compile(source: pins.Source, name: str, target: Path) -> None:
    flags = "-s -w"
    if source.name == "kube":
        major, minor, _ = pins.KUBERNETES.removeprefix("v").split(".")
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            for variable, value in (
                ("gitVersion", pins.KUBERNETES),
                ("gitMajor", major),
                ("gitMinor", minor),
            ):
                flags += f" -X {package}.{variable}={value}"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    run(
        *("go", "build", "-trimpath", "-buildvcs=false", f"-tags={source.tags}", f"-ldflags={flags}"),
        *("-o", partial, source.binaries[name]),
        cwd=pins.SOURCES / source.name,
        env=_environment(source),
    )
    partial.rename(target)


def _join_documents(source: pins.Source, name: str, target: Path) -> None:
    module, *files = source.documents[name]
    folder = run(
        "go", "list", "-m", "-f", "{{.Dir}}", module, cwd=pins.SOURCES / source.name, env=_environment(source)
    )
    target.write_text("\n---\n".join(Path(folder.strip(), file).read_text() for file in files))
