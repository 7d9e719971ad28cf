"""`python -m syncer`: the entry point of the syncer image."""

import argparse
import asyncio
import resource
import sys
from importlib.metadata import version
from pathlib import Path

from syncer import app, logs, settings
from syncer.kube import auth, errors

_FILES = 16384


def main() -> None:
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
        logs.configure(read.log_level, read.log_format)
        _allow_files(_FILES)
        asyncio.run(_run(read, arguments.kubeconfig))
    except (settings.SettingsError, errors.ConfigError) as error:
        sys.exit(f"syncer: {error}")


def _allow_files(wanted: int) -> None:
    """Each stream takes two file descriptors, and many hosts allow 1,024 until somebody asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def _run(read: settings.Settings, host: str) -> None:
    stop = asyncio.Event()
    app.stop_on_signals(stop)
    if host:
        from syncer.kube import kubeconfig  # noqa: PLC0415  in a pod nobody needs it

        access = kubeconfig.find(host)
    else:
        access = auth.in_cluster()
    await app.run(read, access, stop)


if __name__ == "__main__":
    main()
