"""What the probe pods of `vcp doctor` run: its text is handed to the Python of the syncer's image, so it uses
nothing but the standard library.

`serve` listens; `ask` and `caged` try connections and write what they saw, as JSON, to where the kubelet
takes a container's last words from.
"""

import json
import selectors
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, cast

OPEN, CLOSED = 8080, 8081  # the policy lets the first in alone
LAST_WORDS = "/dev/termination-log"
CONNECT = 1.0  # seconds; a policy mostly drops silently
PATIENCE = 10.0  # until a Service that has just been made leads to its pod
SETTLE = 3.0  # until a network plugin has the policies of a pod that has just started


def reaches(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=CONNECT).close()
    except OSError:
        return False
    return True


def blocked(address: str, port: int) -> bool:
    """Whether it is out of reach, and stays so: one lost packet is not a policy."""
    return not any(reaches(address, port) for _ in range(3))


def within(seconds: float, true: Callable[[], bool]) -> bool:
    """Whether it becomes true in that time; asked at least once."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def resolved(name: str) -> list[str]:
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, OPEN, type=socket.SOCK_STREAM)})
    except OSError:
        return []


def serve() -> NoReturn:
    """Takes every connection, so that none fails for another reason than a policy; until it is killed."""
    with selectors.DefaultSelector() as selector:
        for port in (OPEN, CLOSED):
            selector.register(socket.create_server(("", port), backlog=64), selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                cast("socket.socket", key.fileobj).accept()[0].close()


def ask(name: str, service: str, pod: str) -> dict[str, object]:
    """From a pod that may go anywhere."""
    found: dict[str, object] = {"service": within(PATIENCE, lambda: reaches(service, OPEN))}
    started = time.monotonic()
    within(PATIENCE, lambda: bool(resolved(name)))
    found |= {"dns": resolved(name), "dns_seconds": round(time.monotonic() - started, 3)}
    found["pod"] = within(PATIENCE, lambda: reaches(pod, OPEN))
    found["blocked"] = within(SETTLE, lambda: blocked(pod, CLOSED))
    return found


def caged(pod: str) -> dict[str, object]:
    """From a pod that may go nowhere."""
    return {"blocked": within(SETTLE, lambda: blocked(pod, OPEN))}


def main(role: str, *arguments: str) -> None:
    if role == "serve":
        serve()
    found = ask(*arguments) if role == "ask" else caged(*arguments)
    Path(LAST_WORDS).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
