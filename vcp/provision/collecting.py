"""Saves what a person needs to find out why something failed in a tenant that will be gone in a moment.

Secrets are not read. Each part is tried by itself: what cannot be had is named in `missing.txt`.
"""

import asyncio
from pathlib import Path
from typing import Any

from kube import apis, auth, portforward, requests
from kube import errors as kube
from kube.client import Client
from kube.objects import Obj
from vcp import layout, output, routes
from vcp.errors import VcpError
from vcp.spec import Spec

_PARALLEL = 4
_TAIL = 10_000  # lines of each log
_PART_LIMIT = 20.0


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.missing: list[str] = []
        self.count = 0

    def write(self, name: str, content: bytes | str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.count += 1


async def collect(host: Client, spec: Spec, path: Path, admin: auth.Access | None) -> int:
    """How many files were written. `admin` is who asks the tenant's API, None if there is none yet."""
    folder = _Folder(path)
    places = dict.fromkeys((spec.namespace, spec.workload_namespace))
    async with asyncio.TaskGroup() as group:
        for place in places:
            group.create_task(_part(folder, f"host {place}", _host(host, place, folder)))
        group.create_task(_part(folder, "the syncer's metrics", _metrics(host, spec, folder)))
        if admin:
            group.create_task(_part(folder, "the tenant's API", _tenant(host, spec, admin, folder)))
    if folder.missing:
        folder.write("missing.txt", "".join(f"{line}\n" for line in folder.missing))
    return folder.count


async def _part(folder: _Folder, what: str, work: Any) -> None:
    try:
        async with asyncio.timeout(_PART_LIMIT):
            await work
    except (kube.KubeError, VcpError, OSError, TimeoutError) as error:
        folder.missing.append(f"{what}: {str(error) or 'too slow'}")


async def _host(host: Client, place: str, folder: _Folder) -> None:
    """Pods, events and logs of one namespace of the host: control plane or workloads."""
    pods = await host.list(apis.PODS, place)
    folder.write(f"host/{place}/pods.yaml", output.encode(list(pods), "yaml"))
    folder.write(f"host/{place}/events.txt", events(await host.list(apis.EVENTS, place)))
    limit = asyncio.Semaphore(_PARALLEL)

    async def log(pod: Obj, container: str, *, previous: bool) -> None:
        name = pod["metadata"]["name"]
        request = requests.logs(place, name, container, tail=_TAIL)
        if previous:
            request = request._replace(query={**request.query, "previous": "true"})
        suffix = ".previous" if previous else ""
        async with limit:
            try:
                text = await host.read(request)
            except kube.KubeError as error:
                folder.missing.append(f"log of {place}/{name} {container}{suffix}: {error}")
                return
        folder.write(f"host/{place}/logs/{name}_{container}{suffix}.log", text)

    async with asyncio.TaskGroup() as group:
        for pod in pods:
            for container, restarted in containers(pod):
                group.create_task(log(pod, container, previous=False))
                if restarted:
                    group.create_task(log(pod, container, previous=True))


async def _metrics(host: Client, spec: Spec, folder: _Folder) -> None:
    labels = f"{layout.TENANT}={spec.name},{layout.COMPONENT}=syncer"
    for pod in await host.list(apis.PODS, spec.namespace, labels=labels):
        name = pod["metadata"]["name"]
        folder.write(f"metrics/{name}.txt", await metrics(host, spec.namespace, name))


async def metrics(host: Client, namespace: str, pod: str) -> bytes:
    """What a pod of the syncer tells Prometheus."""

    async def this() -> tuple[str, str]:
        return namespace, pod

    async with (
        portforward.forwarded(host, this, layout.PROBE_PORT) as port,
        Client(auth.Access(f"http://127.0.0.1:{port}"), attempts=1) as syncer,
    ):
        return await syncer.read(requests.raw("/metrics"))


async def _tenant(host: Client, spec: Spec, admin: auth.Access, folder: _Folder) -> None:
    async with (
        routes.route_in(host, spec.namespace, admin) as route,
        Client(routes.at(admin, route), attempts=1) as tenant,
    ):
        folder.write("tenant/events.txt", events(await tenant.list(apis.EVENTS)))
        folder.write("tenant/pods.yaml", output.encode(list(await tenant.list(apis.PODS)), "yaml"))


def containers(pod: Obj) -> list[tuple[str, bool]]:
    """Pure: the containers that have started, and whether each has before."""
    status = pod.get("status") or {}
    found = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return [
        (one["name"], bool(one.get("restartCount")))
        for one in found
        if not (one.get("state") or {}).get("waiting") or one.get("restartCount")
    ]


def events(found: list[Any]) -> str:
    """Pure: one line per event, oldest first."""
    lines = []
    for event in found:
        when = (
            event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
        )
        about = event.get("involvedObject") or {}
        place = f"{about['namespace']}/" if about.get("namespace") else ""
        what = f"{about.get('kind', '')} {place}{about.get('name', '')}"
        said = f"{event.get('type', '')} {event.get('reason', '')} {what}: {event.get('message', '')}"
        lines.append(f"{when or ''} {said}".strip())
    return "".join(f"{line}\n" for line in sorted(lines))
