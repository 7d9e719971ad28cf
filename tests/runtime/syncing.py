"""A syncer between two fake API servers, in this process."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from fakeapi import FakeApi, Obj

from kube import apis
from kube.auth import Access
from kube.client import Client
from syncer.core.actions import Side
from syncer.core.kind import Kinds
from syncer.core.names import host_name
from syncer.core.policy import Sync
from syncer.core.scope import Scope
from syncer.engine.leadership import Leadership
from syncer.engine.manager import Manager, Parts
from syncer.engine.metrics import Metrics
from syncer.kinds.registry import registry
from vcp.render.syncer import in_tenant, on_host

TENANT, WORK, CONTROL = "acme", "vcp-acme-work", "vcp-acme"


SYNCER = "syncer"
LEASE = {"resources": ["leases"], "verbs": ["get", "create", "update"]}


def granted(rules: Iterable[Obj]) -> set[tuple[str, str]]:
    """(verb, resource) of RBAC rules."""
    return {(verb, resource) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


@dataclass
class Cluster:
    """Both sides, and syncers between them on demand."""

    tenant: FakeApi
    host: FakeApi
    scope: Scope = field(
        default_factory=lambda: Scope(name=TENANT, namespace=WORK, control_namespace=CONTROL, anchor="anchor")
    )

    @contextlib.asynccontextmanager
    async def syncer(self, name: str = "syncer-0", kinds: Kinds | None = None) -> AsyncIterator[Manager]:
        """A running syncer that is drained at the end."""
        kinds = kinds or registry(Sync())
        self.tenant.granted[SYNCER] = granted(in_tenant(kinds))
        self.host.granted[SYNCER] = granted([*on_host(kinds), *on_host(kinds, cluster=True), LEASE])
        async with (
            Client(Access(self.tenant.url, token=SYNCER), timeout=5) as tenant,
            Client(Access(self.host.url, token=SYNCER), timeout=5) as host,
        ):
            clients: dict[Side, Client] = {"tenant": tenant, "host": host}
            leadership = Leadership(host, self.scope.control_namespace, name)
            manager = Manager(Parts(clients, kinds, self.scope, leadership, Metrics(), time.time, 8))
            stop = asyncio.Event()
            task = asyncio.create_task(manager.run(stop), name="syncer")
            try:
                yield manager
            finally:
                stop.set()
                async with asyncio.timeout(10):
                    await task
        assert self.tenant.forbidden == []
        assert self.host.forbidden == []

    async def delete_tenant_pod(self, name: str, grace: int | None = None) -> None:
        """As a user does."""
        async with Client(Access(self.tenant.url), timeout=5) as user:
            await user.delete(apis.PODS, "default", name, grace=grace)

    def on_host(self, plural: str, name: str, namespace: str = "default") -> Obj | None:
        return self.host.find(plural, host_name(TENANT, namespace, name), WORK)


async def eventually(what: Callable[[], object], seconds: float = 15.0) -> None:
    """Returns once `what` is true; an AssertionError that it raises counts as not yet."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            if what():
                return
            problem = "still false"
        except AssertionError as error:
            problem = str(error)
        assert asyncio.get_running_loop().time() < deadline, problem
        await asyncio.sleep(0.01)


async def settled(cluster: Cluster, manager: Manager) -> None:
    """Returns when everything that was written so far has been seen and worked on."""

    def calm() -> bool:
        versions = [
            (informer.version, (cluster.tenant if informer.side == "tenant" else cluster.host).version)
            for informer in manager.informers
        ]
        return manager.queue.idle and all(seen >= now for seen, now in versions)

    await eventually(calm)


def config_map(name: str, namespace: str = "default", **data: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"vcp.dev/sync": "true"}},
        "data": data,
    }
