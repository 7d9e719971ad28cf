"""The user's kubeconfig file: changed under kubectl's own lock, atomically, and readable by nobody else."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vcp.errors import RefusedError

_PATIENCE = 5.0  # seconds; a writer holds the lock for milliseconds
_PAUSE = 0.02


def update(file: Path, change: Callable[[str], str]) -> bool:
    """Rewrites `file` (which need not exist) with `change` of its text; False if that changes nothing.

    A symbolic link stays one. Raises RefusedError if the file stays locked."""
    file = file.resolve()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(file):
        before = file.read_text() if file.exists() else ""
        after = change(before)
        if after == before:
            return False
        write(file, after)
    return True


def write(file: Path, text: str) -> None:
    """Replaces `file` in one step; nobody sees half of it or, its mode being 0600, any of it."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink()
        raise


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """`<file>.lock`, made exclusively, is how kubectl keeps writers apart (client-go, tools/clientcmd)."""
    marker = file.with_name(f"{file.name}.lock")
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            marker.touch(mode=0o600, exist_ok=False)
            break
        except FileExistsError as error:
            if time.monotonic() > deadline:
                raise RefusedError(
                    f"{file} is being written by another program",
                    hint=f"if there is none, remove {marker}",
                ) from error
            time.sleep(_PAUSE)
    try:
        yield
    finally:
        marker.unlink(missing_ok=True)
