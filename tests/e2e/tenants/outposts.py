"""A machine beside the nodes: a network namespace on the lab's fabric that is no node."""

import contextlib
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

from labkit.network import FABRIC

from ..conftest import LabUser, eventually


@contextlib.contextmanager
def outpost(lab: LabUser, there: Path, address: str) -> Iterator[None]:
    """Holds a network namespace by the file `there`; it has a route to its own /24 and to nothing else."""
    there.touch()
    port = f"out{secrets.token_hex(3)}"
    inside, outside = ["nsenter", f"--net={lab.lab.namespace}"], ["nsenter", f"--net={there}"]
    subprocess.run(["unshare", f"--net={there}", "true"], check=True)
    try:
        with subprocess.Popen([*outside, "sleep", "infinity"]) as holder:
            try:
                peer = ["type", "veth", "peer", "name", "eth0", "netns", str(holder.pid)]
                eventually("the process inside", lambda: _entered(holder.pid, there))
                subprocess.run([*inside, "ip", "link", "add", port, *peer], check=True)
            finally:
                holder.kill()
        subprocess.run([*inside, "ip", "link", "set", port, "master", FABRIC, "up"], check=True)
        for words in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            subprocess.run([*outside, "ip", *words], check=True)
        yield
        subprocess.run([*inside, "ip", "link", "delete", port], check=True)
    finally:
        subprocess.run(["umount", str(there)], check=True)


def _entered(pid: int, namespace: Path) -> bool:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino == namespace.stat().st_ino
