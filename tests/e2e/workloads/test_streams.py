"""Logs, exec, attach, copies, port-forward and debug containers, as kubectl users have them."""

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import pty
import re
import secrets
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labkit import images

from ..conftest import LabUser, eventually
from ..objects import pod, web
from ..tenants.conftest import DISTROS, Tenant, Vcp, new_name
from .conftest import Place

SPDY = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}
TRANSPORTS = pytest.mark.parametrize("transport", [{}, SPDY], ids=["websocket", "spdy"])
# Only one of the two streams: the runtime reads them apart, so lines of both come in any order.
TALK = "echo one; echo two; echo three; i=0; while sleep 1; do i=$((i+1)); echo tick $i; done"


class Kubectl:
    """kubectl in a place, as bytes go through it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.environment = os.environ | place.tenant.vcp.environment

    def words(self, *arguments: str) -> list[str]:
        tenant = self.place.tenant
        inside = ["nsenter", f"--net={tenant.vcp.lab.lab.namespace}", "kubectl", "--context", tenant.context]
        return [*inside, "-n", self.place.namespace, *arguments]

    def run(
        self, *arguments: str, stdin: bytes = b"", **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.words(*arguments),
            input=stdin,
            env=self.environment | environment,
            capture_output=True,
            timeout=120,
            check=False,
        )

    @contextlib.contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            self.words(*arguments),
            env=self.environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture(scope="module", params=DISTROS)
def talking(
    request: pytest.FixtureRequest, lab: LabUser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A tenant of each distro with some pods that talk."""
    vcp = Vcp(lab, tmp_path_factory.mktemp("streams"))
    tenant = Tenant(vcp, new_name())
    vcp.run("create", tenant.name, "--distro", request.param, "--ephemeral")
    place = Place(tenant, f"e2e-{secrets.token_hex(4)}")
    init = pod("first", "sh", "-c", "echo made ready; echo oops >&2")["spec"]["containers"][0] | {
        "name": "first"
    }
    place.apply(
        pod("talker", "sh", "-c", TALK, initContainers=[init]),
        pod("failing", "sh", "-c", "echo run; sleep 1; exit 3"),
        pod("idle"),
        web("web"),
    )
    place.wait("--for=condition=Ready", "pod/talker", "pod/idle", "pod/web")
    yield place
    vcp.run("delete", tenant.name, "--yes", "--unprotect")


@pytest.fixture
def kubectl(talking: Place) -> Kubectl:
    return Kubectl(talking)


def test_logs_with_every_option(talking: Place) -> None:
    def logs(*options: str) -> list[str]:
        return talking.kubectl("logs", "talker", *options).stdout.splitlines()

    assert logs()[:3] == ["one", "two", "three"]
    assert sorted(logs("-c", "first")) == ["made ready", "oops"]
    assert {"made ready", "oops", "one"} <= set(logs("--all-containers"))
    assert len(logs("--tail=2")) == 2
    assert logs("--limit-bytes=4") == ["one"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z one", logs("--timestamps")[0])
    eventually("old lines", lambda: "one" not in logs("--since=2s"))
    assert logs("--since-time=2000-01-01T00:00:00Z")[0] == "one"
    assert any(line.startswith("[pod/talker/main] ") for line in logs("--prefix"))
    assert "one" in talking.kubectl("logs", "-l", "app=talker", "--tail=-1").stdout


def test_the_logs_of_the_run_before(talking: Place) -> None:
    def restarted() -> bool:
        statuses = (talking.pod("failing") or {})["status"].get("containerStatuses", [])
        return bool(statuses and statuses[0]["restartCount"])

    eventually("a restart", restarted)
    # Between two restarts, the kubelet may have just removed the container before.
    eventually("its log", lambda: talking.kubectl("logs", "failing", "--previous").stdout == "run\n")
    refused = talking.kubectl("logs", "idle", "--previous", check=False)
    assert refused.stderr == (
        'Error from server (BadRequest): previous terminated container "main" in pod "idle" not found\n'
    )


def test_a_followed_log_comes_as_it_is_written(kubectl: Kubectl) -> None:
    with kubectl.started("logs", "-f", "--tail=1", "talker", "-c", "main") as process:
        assert process.stdout
        process.stdout.readline()
        came = []
        for _ in range(3):
            assert process.stdout.readline().startswith("tick ")
            came.append(time.monotonic())
    assert min(later - earlier for earlier, later in itertools.pairwise(came)) > 0.3


def test_a_followed_log_ends_with_its_container(talking: Place, kubectl: Kubectl) -> None:
    talking.apply(pod("short", "sh", "-c", "sleep 4; echo last words", restartPolicy="Never"))
    talking.wait("--for=condition=Ready", "pod/short")
    followed = kubectl.run("logs", "-f", "short")
    assert (followed.returncode, followed.stdout) == (0, b"last words\n")


@TRANSPORTS
def test_exec_has_exit_codes_and_three_streams(kubectl: Kubectl, transport: dict[str, str]) -> None:
    script = "cat; echo err >&2; exit 7"
    result = kubectl.run("exec", "-i", "idle", "--", "sh", "-c", script, stdin=b"in\x00\xff", **transport)
    assert (result.returncode, result.stdout) == (7, b"in\x00\xff")
    assert result.stderr == b"err\ncommand terminated with exit code 7\n"
    missing = kubectl.run("exec", "idle", "--", "no-such-program", **transport)
    assert missing.returncode != 0
    assert b"no-such-program" in missing.stderr


@TRANSPORTS
def test_fifty_megabytes_into_a_pod_and_out_of_it(kubectl: Kubectl, transport: dict[str, str]) -> None:
    data = secrets.token_bytes(1 << 20) * 50
    result = kubectl.run("exec", "-i", "idle", "--", "sha256sum", stdin=data, **transport)
    assert result.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest(), result.stderr
    result = kubectl.run("exec", "-i", "idle", "--", "cat", stdin=data, **transport)
    assert (len(result.stdout), result.stdout == data) == (len(data), True), result.stderr


@TRANSPORTS
def test_a_terminal_has_a_size(kubectl: Kubectl, transport: dict[str, str]) -> None:
    words = " ".join(kubectl.words("exec", "-it", "idle", "--", "sh", "-c", "'sleep 1; tty; stty size'"))
    script = ["script", "-qec", f"stty rows 33 cols 77; {words}", "/dev/null"]
    result = subprocess.run(
        script, env=kubectl.environment | transport, capture_output=True, text=True, timeout=60, check=False
    )
    assert "/dev/pts/" in result.stdout
    assert "33 77" in result.stdout


@TRANSPORTS
def test_a_terminal_is_resized_while_it_is_written_to(kubectl: Kubectl, transport: dict[str, str]) -> None:
    lines = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done"
    settled = "i=0; until stty size | grep ' 200$' || [ $i -ge 300 ]; do i=$((i+1)); sleep 0.1; done"
    script = f"{lines}; {settled}"
    words = kubectl.words("exec", "-it", "idle", "--", "sh", "-c", script)
    terminal, end = pty.openpty()
    # kubectl hears of sizes only from the terminal that it was started on.
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *words],
        env=kubectl.environment | transport,
        stdin=end,
        stdout=end,
        stderr=end,
    )
    os.close(end)
    said, sizes = b"", 0
    try:
        while b"line 3000\r\n" not in said:
            said += os.read(terminal, 512)
            sizes += 1
            resize(terminal, 24 + sizes % 50, 80 + sizes % 99)
        # kubectl drops a size that comes while one before is on its way, be it the last: so give it another.
        for rows in itertools.count(100):
            resize(terminal, rows, 200)
            if select.select([terminal], [], [], 0.2)[0]:
                break
        with contextlib.suppress(OSError):  # how the end of a terminal reads
            while piece := os.read(terminal, 512):
                said += piece
    finally:
        os.close(terminal)  # which ends what still runs on it
        process.wait(10)
    assert [line for line in said.decode().split("\r\n") if line.startswith("line ")] == [
        f"line {number}" for number in range(1, 3001)
    ]
    assert re.search(r"\n1\d\d 200\r\n$", said.decode())
    assert sizes > 50


def resize(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def test_attach_gives_stdin_to_the_container(talking: Place, kubectl: Kubectl) -> None:
    reading = {"stdin": True, "stdinOnce": True, "command": ["sh", "-c", "echo ready; cat; echo over"]}
    talking.apply(pod("reader", container=reading, restartPolicy="Never"))
    talking.wait("--for=condition=Ready", "pod/reader")
    result = kubectl.run("attach", "-i", "reader", stdin=b"hello\n")
    assert b"hello\n" in result.stdout, result
    talking.wait("--for=jsonpath={.status.phase}=Succeeded", "pod/reader")
    assert talking.kubectl("logs", "reader").stdout == "ready\nhello\nover\n"


def test_files_are_copied_in_and_out(talking: Place, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(secrets.token_bytes(5_000_000))
    talking.kubectl("cp", str(there), "idle:/tmp/file")
    talking.kubectl("cp", "idle:/tmp/file", str(back))
    assert back.read_bytes() == there.read_bytes()


@TRANSPORTS
def test_ports_are_forwarded(kubectl: Kubectl, transport: dict[str, str]) -> None:
    with kubectl.started("port-forward", "pod/web", ":8080", ":8080", **transport) as process:
        assert process.stdout
        ports = {}
        while len(ports) < 2:
            line = process.stdout.readline()
            assert line, "kubectl ended"
            if found := re.match(r"Forwarding from 127.0.0.1:(\d+)", line):
                ports[found[1]] = line
        lab = kubectl.place.lab
        for _ in range(5):
            for port in ports:
                assert lab.run("curl", "-sm5", f"http://127.0.0.1:{port}/hostname").stdout == "web"


def test_a_debug_container_is_the_tenants_too(talking: Place) -> None:
    words = ("--image", images.TOOLS, "--image-pull-policy=Never", "--profile=baseline", "-c", "debugger")
    talking.kubectl("debug", "idle", *words, "--", "sh", "-c", "echo looked; sleep infinity")
    eventually("the debug container's words", lambda: _words(talking, "idle", "debugger") == "looked\n")
    assert talking.kubectl("exec", "idle", "-c", "debugger", "--", "echo", "in").stdout == "in\n"


def _words(place: Place, name: str, container: str) -> str:
    return place.kubectl("logs", name, "-c", container, check=False).stdout


def test_what_pods_use_is_told(talking: Place) -> None:
    def told() -> str:
        return talking.kubectl("top", "pod", "talker", "--no-headers", check=False).stdout

    name, cpu, memory = eventually("the talker's figures", told).split()
    assert (name, cpu[-1], memory[-2:]) == ("talker", "m", "Mi")
    node = (talking.pod("talker") or {})["spec"]["nodeName"]
    nodes = talking.kubectl("top", "node", "--no-headers").stdout.splitlines()
    assert node in [line.split()[0] for line in nodes]


def test_the_nodes_proxy_leads_only_to_the_tenants_own_pods(talking: Place, working: Tenant) -> None:
    """The API server's own certificate is used here, for whatever path the tenant likes."""
    other = Place(working, f"e2e-{secrets.token_hex(4)}")
    other.apply(pod("secretive", "sh", "-c", "echo secret; sleep infinity"))
    other.wait("--for=condition=Ready", "pod/secretive")
    node = (talking.pod("talker") or {})["spec"]["nodeName"]
    root = f"/api/v1/nodes/{node}/proxy"

    def raw(path: str) -> subprocess.CompletedProcess[str]:
        return talking.tenant.kubectl("get", "--raw", f"{root}{path}", check=False)

    assert "one" in raw(f"/containerLogs/{talking.namespace}/talker/main").stdout
    theirs = other.on_host()["secretive"]["metadata"]["name"]
    syncer = talking.tenant.host_pods("syncer")[0]["metadata"]["name"]
    for path in (
        f"/containerLogs/{other.namespace}/secretive/main",
        f"/containerLogs/{working.work}/{theirs}/main",
        f"/containerLogs/{talking.tenant.namespace}/{syncer}/syncer",
        f"/containerLogs/{talking.namespace}/talker%2F..%2F{theirs}/main",
        "/pods",
        "/metrics",
        "/runningpods/",
        f"/run/{talking.namespace}/talker/main?cmd=id",
    ):
        answer = raw(path)
        assert (answer.returncode, answer.stdout) == (1, ""), path
        assert "NotFound" in answer.stderr, (path, answer.stderr)
    working.kubectl("delete", "namespace", other.namespace, "--wait=false")


def test_a_syncer_that_goes_ends_its_streams_and_the_next_one_serves(
    talking: Place, kubectl: Kubectl
) -> None:
    tenant = talking.tenant

    def ready() -> list[str]:
        found: list[dict[str, Any]] = tenant.host_pods("syncer")
        return [
            one["metadata"]["name"]
            for one in found
            if any(
                c["type"] == "Ready" and c["status"] == "True" for c in one["status"].get("conditions", [])
            )
        ]

    patch = json.dumps({"spec": {"replicas": 2}})
    talking.lab.kubectl("-n", tenant.namespace, "patch", "deployment/syncer", "-p", patch)
    eventually("two syncers", lambda: len(ready()) == 2)
    before = ready()

    def serves_without(name: str) -> None:
        eventually("exec", lambda: kubectl.run("exec", "idle", "--", "true").returncode == 0, 20)
        eventually("two syncers again", lambda: len(set(ready()) - {name}) == 2)

    running = ("exec", "idle", "--", "sleep", "600")
    with kubectl.started("logs", "-f", "talker", "-c", "main") as log, kubectl.started(*running) as command:
        assert log.stdout
        assert log.stdout.readline() == "one\n"
        for name in before:
            talking.lab.kubectl("-n", tenant.namespace, "delete", "pod", name, "--wait=false")
            serves_without(name)
        for ended in (log, command):
            ended.communicate(timeout=20)
