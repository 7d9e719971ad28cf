"""The load generator: makes and deletes pods at one or more API servers and notes when each step was seen.

It is a process of its own, so that measuring takes no part in what is measured, and decodes of a watch only
the fields that it looks at. The same code drives the host and a tenant. Commands come as JSON lines on stdin,
one answer line each on stdout; all times are seconds of CLOCK_MONOTONIC, which all processes of a machine
share.
"""

import asyncio
import contextlib
import functools
import sys
import time
from collections import Counter
from typing import Any

import aiohttp
import msgspec

from benchkit.podapi import Api, Event, Pod, Status
from benchkit.pods import NAME
from kube import kubeconfig as kubeconfigs
from syncer.core.marks import NAME as TENANT_NAME

STEPS = ("sent", "answered", "bound", "running", "ready", "deleting", "gone")
_GIVEN_UP = 3  # answers of 429 or a broken connection, for one pod
_CHUNK = 1 << 20


class Target(msgspec.Struct, kw_only=True):
    """Where to make pods. `observed` is a namespace at the host whose pods stand for those of this target."""

    name: str
    kubeconfig: str
    context: str
    namespace: str
    observed: str = ""
    host_context: str = ""
    count: int = 0
    in_flight: int = 1
    delay: float = 0.0


class Command(msgspec.Struct, kw_only=True):
    """`create`, `delete`: all pods of all targets at once; `serial`: one pod at a time, in turn."""

    do: str
    deadline: float
    pod: dict[str, Any] = {}
    prefix: str = "b"


class Seen(msgspec.Struct, kw_only=True):
    """Times by pod name and step."""

    steps: dict[str, dict[str, float]] = {}
    host: dict[str, dict[str, float]] = {}


class Answer(msgspec.Struct, kw_only=True):
    """`seen` by target; `cpu` seconds are the generator's own; `failed` counts answers by code."""

    seen: dict[str, Seen]
    started: float
    ended: float
    cpu: float
    complete: bool
    failed: dict[str, int]


class Aim:
    """One target at work: its pods, what was seen of them, and who waits for them."""

    def __init__(self, target: Target, api: Api) -> None:
        self.target, self.api = target, api
        self.seen = Seen(steps={}, host={})
        self.failed: Counter[str] = Counter()
        self.changed = asyncio.Event()
        self.ready = self.gone = 0

    @property
    def pods(self) -> int:
        return len(self.seen.steps)

    async def watch(self, listening: asyncio.Event) -> None:
        namespace = self.target.namespace
        version = await self.api.version(namespace)
        listening.set()
        async for event in self.api.events(namespace, version):
            self._note(event)

    def _note(self, event: Event) -> None:
        steps = self.seen.steps.get(event.object.metadata.name)
        if steps is None:
            return
        now = time.monotonic()
        if event.type == "DELETED":
            self.gone += "gone" not in steps
            steps.setdefault("gone", now)
            self.changed.set()
            return
        was_ready = "ready" in steps
        _progress(steps, event.object, now)
        if not was_ready and "ready" in steps:
            self.ready += 1
            self.changed.set()

    async def observe(self, host: Api, listening: asyncio.Event) -> None:
        """Notes the same steps of the host's pods."""
        namespace = self.target.observed
        version = await host.version(namespace)
        listening.set()
        async for event in host.events(namespace, version):
            name = event.object.metadata.annotations.get(TENANT_NAME)
            if name:
                steps, now = self.seen.host.setdefault(name, {}), time.monotonic()
                if event.type == "DELETED":
                    steps.setdefault("gone", now)
                else:
                    steps.setdefault("made", now)
                    _progress(steps, event.object, now)

    async def make(self, name: str, template: bytes) -> None:
        steps = self.seen.steps[name] = {"sent": time.monotonic()}
        path = f"/api/v1/namespaces/{self.target.namespace}/pods"
        body = template.replace(NAME.encode(), name.encode())
        if await self._accepted("POST", path, body, (201,)):
            steps["answered"] = time.monotonic()

    async def remove(self, name: str) -> None:
        self.seen.steps[name]["deleting"] = time.monotonic()
        path = f"/api/v1/namespaces/{self.target.namespace}/pods/{name}"
        await self._accepted("DELETE", path, None, (200, 202, 404))

    async def _accepted(self, method: str, path: str, body: bytes | None, codes: tuple[int, ...]) -> bool:
        for _ in range(_GIVEN_UP):
            try:
                status, answer = await self.api.send(method, path, body)
            except (aiohttp.ClientError, OSError) as error:
                self.failed[type(error).__name__] += 1
                continue
            if status in codes:
                return True
            self.failed[f"{method} {status}"] += 1
            if status != 429:
                print(answer[:500].decode(errors="replace"), file=sys.stderr)
                break
        return False

    async def until(self, step: str, count: int) -> None:
        while getattr(self, step) < count:
            self.changed.clear()
            await self.changed.wait()


def _progress(steps: dict[str, float], pod: Pod, now: float) -> None:
    status = pod.status
    if not isinstance(status, Status):
        return
    if pod.spec.nodeName:
        steps.setdefault("bound", now)
    if status.phase == "Running":
        steps.setdefault("running", now)
    if any(one.type == "Ready" and one.status == "True" for one in status.conditions):
        steps.setdefault("ready", now)


class Generator:
    """All targets at work, until stdin ends."""

    def __init__(self, aims: list[Aim]) -> None:
        self.aims = aims

    async def obey(self, command: Command) -> Answer:
        started, cpu = time.monotonic(), time.process_time()
        template = msgspec.json.encode(command.pod)
        complete = True
        try:
            async with asyncio.timeout(command.deadline):
                if command.do == "serial":
                    await self._serial(template, command.prefix)
                elif command.do == "create":
                    await self._each(self._create, template, command.prefix)
                else:
                    await self._each(self._delete, template, command.prefix)
        except TimeoutError:
            complete = False
            await self._explain()
        failed = sum((aim.failed for aim in self.aims), Counter[str]())
        return Answer(
            seen={aim.target.name: aim.seen for aim in self.aims},
            started=started,
            ended=time.monotonic(),
            cpu=time.process_time() - cpu,
            complete=complete,
            failed=dict(failed),
        )

    async def _explain(self) -> None:
        """Says what was not reached in time, and what the server has of it."""
        for aim in self.aims:
            late = [
                name for name, steps in aim.seen.steps.items() if "ready" not in steps or "gone" not in steps
            ]
            for name in late[:2]:
                path = f"/api/v1/namespaces/{aim.target.namespace}/pods/{name}"
                status, answer = await aim.api.send("GET", path)
                seen = ", ".join(aim.seen.steps[name])
                print(f"{path}: seen {seen}; now {status} {answer[-600:]!r}", file=sys.stderr)

    async def _each(self, work: Any, template: bytes, prefix: str) -> None:
        async with asyncio.TaskGroup() as group:
            for aim in self.aims:
                group.create_task(work(aim, template, prefix))

    async def _create(self, aim: Aim, template: bytes, prefix: str) -> None:
        await asyncio.sleep(aim.target.delay)
        names = iter([f"{prefix}-{number}" for number in range(aim.target.count)])
        before = aim.ready

        async def worker() -> None:
            for name in names:
                await aim.make(name, template)

        await _workers(worker, aim.target.in_flight)
        await aim.until("ready", before + aim.target.count)

    async def _delete(self, aim: Aim, template: bytes, prefix: str) -> None:
        there = [name for name, steps in aim.seen.steps.items() if "gone" not in steps]
        names, before = iter(there), aim.gone

        async def worker() -> None:
            for name in names:
                await aim.remove(name)

        await _workers(worker, aim.target.in_flight)
        await aim.until("gone", before + len(there))

    async def _serial(self, template: bytes, prefix: str) -> None:
        """Each target's next pod in turn, from its create until it is gone again."""
        for number in range(max(aim.target.count for aim in self.aims)):
            for aim in self.aims:
                name = f"{prefix}-{number}"
                await aim.make(name, template)
                await aim.until("ready", aim.ready + ("ready" not in aim.seen.steps[name]))
                gone = aim.gone
                await aim.remove(name)
                await aim.until("gone", gone + ("gone" not in aim.seen.steps[name]))


async def _workers(worker: Any, count: int) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(max(1, count)):
            group.create_task(worker())


async def serve(targets: list[Target]) -> None:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    async with (
        aiohttp.ClientSession(timeout=timeout, connector=connector, read_bufsize=_CHUNK) as session,
        asyncio.TaskGroup() as group,
    ):
        aims, watches = [], []
        for target in targets:
            aim = Aim(target, Api(session, kubeconfigs.find(target.kubeconfig, target.context)))
            aims.append(aim)
            wanted = [aim.watch]
            if target.observed:
                host = Api(session, kubeconfigs.find(target.kubeconfig, target.host_context))
                wanted.append(functools.partial(aim.observe, host))
            for watch in wanted:
                listening = asyncio.Event()
                watches.append(group.create_task(watch(listening)))
                await listening.wait()
        generator = Generator(aims)
        _say({"listening": True})
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            _say(await generator.obey(msgspec.json.decode(line, type=Command)))
        for task in watches:
            task.cancel()


def _say(answer: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    targets = msgspec.json.decode(sys.stdin.buffer.readline(), type=list[Target])
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(targets))


if __name__ == "__main__":
    main()
