"""The lab as the measurements see it: the host's API, fake nodes, tenants, and what all of it costs."""

import asyncio
import contextlib
import functools
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from benchkit import crowded, exposition, processes, timings
from benchkit.exposition import Sample
from benchkit.generator import piped
from benchkit.load import Target
from kube import apis, errors, requests
from kube import kubeconfig as kubeconfigs
from kube.client import Client
from labkit import nodes
from labkit.cluster import Cluster

HOST = "lab"  # the host's context in the lab's kubeconfig
_PODS_PER_NODE = 1000  # as the lab's fake nodes are
_QUIET = 0.25  # CPUs that the lab may still use when the next part starts
_EMPTYING = 180.0  # seconds for a namespace full of pods
_ENFORCING = 20.0  # seconds, until a policy is in force
_PAUSE = 0.05
_COMMAND = 240.0  # seconds for a `vcp` command, on a machine that does other things too
_DELETION = 300.0  # seconds until the ten thousand pods of a tenant are gone


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Made:
    """How a tenant came to be: seconds since the command began, and each step's own."""

    name: str
    steps: dict[str, float]
    usable: float
    returned: float


@dataclass
class Bench:
    """Everything here runs inside the lab's network namespace."""

    cluster: Cluster
    folder: Path
    host: Client
    tenants: list[str] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    fakes: list[str] = field(default_factory=list)
    keep: Callable[[Mapping[str, Mapping[str, Any]]], None] = field(default=lambda _: None)
    """Takes what is measured so far, by measurement, so that it is there whatever happens to the rest."""

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def spec(self) -> Path:
        return self.folder / "spec.json"

    def environment(self) -> dict[str, str]:
        return os.environ | self.cluster.environment() | {"KUBECONFIG": str(self.kubeconfig)}

    # -- what to load ------------------------------------------------------------------------------------

    async def have_fakes(self, pods: int) -> None:
        """Fake nodes for that many pods at once."""
        wanted = -(-pods // _PODS_PER_NODE) + 1
        if wanted > len(self.fakes):
            self.fakes += nodes.add_fake(self.cluster, wanted - len(self.fakes))

    async def have_tenants(self, count: int) -> list[str]:
        """So many, and no other: those that only stand beside take CPU, too."""
        await asyncio.gather(*(self.delete(name) for name in self.tenants[count:]))
        while len(self.tenants) < count:
            missing = min(count - len(self.tenants), 5)
            await asyncio.gather(*(self.create() for _ in range(missing)))
        return list(self.tenants)

    async def have_namespaces(self, count: int) -> list[str]:
        """Namespaces of the host with their default service account."""
        while len(self.namespaces) < count:
            name = f"bench-{secrets.token_hex(3)}"
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await self.host.create(apis.NAMESPACES, "", body)
            self.namespaces.append(name)
            await until(functools.partial(_exists, self.host, apis.SERVICE_ACCOUNTS, name, "default"), 60)
        return self.namespaces[:count]

    def direct(self, namespace: str, **how: Any) -> Target:
        return Target(
            name=namespace, kubeconfig=str(self.kubeconfig), context=HOST, namespace=namespace, **how
        )

    def through(self, tenant: str, *, observed: bool = False, **how: Any) -> Target:
        return Target(
            name=tenant,
            kubeconfig=str(self.kubeconfig),
            context=f"vcp-{tenant}",
            namespace="default",
            observed=f"vcp-{tenant}-work" if observed else "",
            host_context=HOST if observed else "",
            **how,
        )

    # -- tenants -----------------------------------------------------------------------------------------

    async def create(self) -> Made:
        """`vcp create`, timed by the lines that it prints."""
        name = f"b-{secrets.token_hex(3)}"
        self.tenants.append(name)
        began, usable, said = time.monotonic(), 0.0, list[str]()
        arguments = ("create", name, "-f", str(self.spec), "--distro", "k8s", "--ephemeral", "--timings")
        async with asyncio.timeout(_COMMAND), self._vcp(*arguments) as process:
            async for raw in piped(process.stderr):
                said.append(line := raw.decode().rstrip())
                if timings.ended(line) == timings.USABLE:
                    usable = time.monotonic() - began
            if await process.wait():
                raise RuntimeError("\n".join(["vcp create failed:", *said]))
        took = time.monotonic() - began
        await self.host.create(apis.NETWORK_POLICIES, f"vcp-{name}", crowded.collector())
        await until(functools.partial(self._is_readable, name), _ENFORCING)
        return Made(name, timings.steps(said), usable, took)

    async def delete(self, name: str) -> float:
        """`vcp delete`; returns the seconds until the namespaces are gone."""
        began = time.monotonic()
        arguments = ("delete", name, "--yes", "--ignore-not-found", "--unprotect")
        limit = f"--timeout={_DELETION:.0f}s"
        async with asyncio.timeout(_DELETION + 30), self._vcp(*arguments, limit) as process:
            _, said = await process.communicate()
            if process.returncode:
                raise RuntimeError(f"vcp delete {name} failed:\n{said.decode()}")
        self.tenants.remove(name)
        return time.monotonic() - began

    @contextlib.asynccontextmanager
    async def _vcp(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The command on the host; killed if nobody waits for its end."""
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("vcp")),
            *("--context", HOST, *arguments),
            env=self.environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @contextlib.asynccontextmanager
    async def tenant(self, name: str) -> AsyncIterator[Client]:
        async with Client(kubeconfigs.find(str(self.kubeconfig), f"vcp-{name}")) as client:
            yield client

    # -- what it costs -----------------------------------------------------------------------------------

    async def snapshot(self, tenants: Iterable[str] | None = None) -> processes.Snapshot:
        """Of the host's components and of those tenants; of all that the bench made, if not said."""
        wanted = set(self.tenants if tenants is None else tenants)
        pods = await self.host.list(apis.PODS, labels="vcp.dev/component")
        owners = {
            pod["metadata"]["uid"]: pod["metadata"]["labels"]["vcp.dev/tenant"]
            for pod in pods
            if pod["metadata"]["labels"].get("vcp.dev/tenant") in wanted
        }
        return processes.snapshot(self.cluster.lab.name, self.cluster.components(), owners)

    async def quiet(self, seconds: float = 15.0) -> None:
        """Until the lab's own processes rest, at most so long."""
        deadline = time.monotonic() + seconds
        last = self._cpu()
        while time.monotonic() < deadline:
            await asyncio.sleep(1.0)
            now = self._cpu()
            if now - last < _QUIET:
                return
            last = now

    def _cpu(self) -> float:
        return sum(process.cpu for process in processes.processes(self.cluster.lab.name))

    async def syncer_pod(self, tenant: str) -> Mapping[str, Any]:
        selector = "vcp.dev/component=syncer"
        (pod,) = await self.host.list(apis.PODS, f"vcp-{tenant}", labels=selector)
        return pod

    async def syncer(self, tenant: str, *names: str) -> dict[Sample, float]:
        """What the tenant's syncer tells Prometheus."""
        pod = await self.syncer_pod(tenant)
        return await scrape(pod["status"]["podIP"], *names)

    async def _is_readable(self, tenant: str) -> bool:
        """Whether the firewall has taken the policy in that lets the bench read the syncer's metrics."""
        try:
            await self.syncer(tenant)
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def api_metrics(self, client: Client, *names: str) -> dict[Sample, float]:
        """What an API server tells Prometheus."""
        return exposition.parse((await client.read(requests.raw("/metrics"))).decode(), *names)

    # -- the end -----------------------------------------------------------------------------------------

    async def clean(self) -> None:
        """Removes all that the bench made."""
        namespaces, self.namespaces = self.namespaces, []
        for name in namespaces:
            with contextlib.suppress(errors.NotFoundError):
                await self.host.delete(apis.NAMESPACES, "", name)
        outcomes = await asyncio.gather(
            *(self.delete(name) for name in list(self.tenants)), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                say(f"  not removed: {outcome}")
        self.tenants.clear()
        for name in namespaces:
            with contextlib.suppress(TimeoutError):
                await until(functools.partial(_absent, self.host, apis.NAMESPACES, "", name), _EMPTYING)
        fakes, self.fakes = self.fakes, []
        if fakes:
            nodes.remove_fake(self.cluster, fakes)


@contextlib.asynccontextmanager
async def prepared(cluster: Cluster, folder: Path) -> AsyncIterator[Bench]:
    """A bench on a lab that is up; all that it made is gone at the end. `folder` takes its kubeconfig."""
    shutil.copy(cluster.lab.kubeconfig, folder / "kubeconfig")
    async with Client(kubeconfigs.find(str(folder / "kubeconfig"), HOST), timeout=60) as host:
        bench = Bench(cluster, folder, host)
        written(bench.spec, crowded.spec())
        try:
            yield bench
        finally:
            say("… removing what the bench made")
            await bench.clean()


async def scrape(address: str, *names: str) -> dict[Sample, float]:
    """A syncer's metrics, from the address of its pod."""
    timeout = aiohttp.ClientTimeout(total=5)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"http://{address}:8080/metrics") as response,
    ):
        return exposition.parse(await response.text(), *names)


async def until(probe: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Asks again until the answer is yes. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            if await probe():
                return
            await asyncio.sleep(_PAUSE)


async def _absent(client: Client, kind: apis.ApiResource, namespace: str, name: str) -> bool:
    return not await _exists(client, kind, namespace, name)


async def _exists(client: Client, kind: apis.ApiResource, namespace: str, name: str) -> bool:
    try:
        await client.get(kind, namespace, name)
    except errors.NotFoundError:
        return False
    return True


def machine(cluster: Cluster) -> dict[str, Any]:
    """What the numbers were measured on."""
    from labkit import pins  # noqa: PLC0415

    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(int(memory) / (1 << 20), 1),
        "kernel": os.uname().release,
        "kubernetes": pins.KUBERNETES,
        "nodes": len(cluster.lab.nodes()),
        "load": [round(one, 2) for one in os.getloadavg()],
    }


def written(path: Path, data: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_suffix(".tmp")
    partly.write_text(json.dumps(data, indent=1) + "\n")
    partly.replace(path)  # whoever is killed meanwhile leaves the old file or the new one
