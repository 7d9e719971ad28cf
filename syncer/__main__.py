"""`python -m syncer`: the entry point of the syncer image."""

import argparse
import gc
import resource
import socket
import sys
from importlib.metadata import version
from pathlib import Path

from syncer import logs, settings

_FILES = 16384


def main() -> None:
    gc.disable()  # until syncer.garbage enables it
    parser = argparse.ArgumentParser(
        prog="syncer",
        description="Synchronises one tenant cluster with its host, usually from inside the host.",
    )
    parser.add_argument("--version", action="version", version=version("vcp"))
    parser.add_argument("--settings", type=Path, required=True, help="the file that vcp rendered")
    parser.add_argument("--kubeconfig", default="", help="the host, for a syncer outside of it")
    arguments = parser.parse_args()
    try:
        read = settings.load(arguments.settings)
    except settings.SettingsError as error:
        sys.exit(f"syncer: {error}")
    logs.configure(read.log_level, read.log_format)
    _allow_files(_FILES)
    # Before the rest is imported, which takes the most of a start: a kubelet that asks now waits for the
    # answer. Refused, it would ask again a second later.
    listener = _listen(read.probe_port)
    from syncer import app  # noqa: PLC0415

    app.main(read, arguments.kubeconfig, listener)


def _listen(port: int) -> socket.socket:
    """On every address of both families, or of IPv4 where a pod has no other."""
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except OSError:
        return socket.create_server(("", port))


def _allow_files(wanted: int) -> None:
    """Each stream takes two file descriptors, and many hosts allow 1,024 until somebody asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


if __name__ == "__main__":
    main()
