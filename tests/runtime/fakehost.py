"""A host that runs pods without a kubelet: it binds and starts them, and ends them when they are deleted."""

import asyncio

from fakeapi import FakeApi, Key, Obj
from podrules import bound, strategic


class FakeHost:
    """Schedules, runs and ends the pods of a fake API."""

    def __init__(self, api: FakeApi, node: str = "node-1") -> None:
        self.api, self.node = api, node
        self.running = True
        self.pulled: asyncio.Event | None = None  # containers are created first, and run once it is set
        self._tasks: set[asyncio.Task[None]] = set()
        api.controllers.append(self._changed)

    def _changed(self, key: Key, _: Obj) -> None:
        if key.plural == "pods" and self.running:
            task = asyncio.ensure_future(self._act(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _act(self, key: Key) -> None:
        pod = self.api.objects.get(key)
        if pod is None:
            return
        if "deletionTimestamp" in pod["metadata"]:
            await asyncio.sleep(0.02)
            if self.api.objects.get(key) is not None:
                self.api.remove(key.plural, key.name, key.namespace)
        elif not pod["spec"].get("nodeName"):
            self.api.put("pods", bound(pod, {"target": {"name": self.node}}))
        elif pod["status"].get("phase") == "Pending":
            if self.pulled and "startTime" in pod["status"]:
                await self.pulled.wait()
            state = creating if self.pulled and "startTime" not in pod["status"] else running
            self.api.put("pods", strategic(pod, {"status": state(pod)}))


def creating(pod: Obj) -> Obj:
    """The first status that a kubelet writes."""
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    return {
        "phase": "Pending",
        "startTime": "2036-01-01T00:00:00Z",
        "conditions": [
            {"type": type_, "status": status}
            for type_, status in (("Initialized", "True"), ("ContainersReady", "False"), ("Ready", "False"))
        ],
        "hostIP": "172.30.0.2",
        "hostIPs": [{"ip": "172.30.0.2"}],
        "containerStatuses": [
            {
                "name": container["name"],
                "ready": False,
                "image": container.get("image", ""),
                "restartCount": 0,
            }
            | {"state": waiting}
            for container in pod["spec"]["containers"]
        ],
    }


def running(pod: Obj) -> Obj:
    """The status that a kubelet writes for a pod whose containers all run."""
    ready = [{"type": type_, "status": "True"} for type_ in ("Initialized", "ContainersReady", "Ready")]
    return {
        "phase": "Running",
        "conditions": ready,
        "hostIP": "172.30.0.2",
        "hostIPs": [{"ip": "172.30.0.2"}],
        "podIP": "10.42.0.9",
        "podIPs": [{"ip": "10.42.0.9"}],
        "observedGeneration": pod["metadata"].get("generation", 1),
        "containerStatuses": [
            {"name": container["name"], "ready": True, "image": container.get("image", ""), "restartCount": 0}
            for container in pod["spec"]["containers"]
        ],
    }
