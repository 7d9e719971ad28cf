"""Each action against a fake API server: what makes it safe, and what the store knows afterwards."""

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fakeapi import FakeApi
from syncing import TENANT, WORK, config_map

from kube import apis, errors
from kube.client import Client
from kube.objects import Key, Obj, uid_of
from syncer.core import marks
from syncer.core.actions import RENEW, Absent, Create, Delete, Patch, TokenRequest, Tokens
from syncer.core.names import host_name
from syncer.engine.executor import Executor, NameTakenError, NotLeaderError
from syncer.engine.metrics import Metrics
from syncer.engine.store import Store, Stores

KEY = Key("default", "a")


class Bench:
    """An executor whose both sides are the same fake."""

    def __init__(self, api: FakeApi, client: Client) -> None:
        self.api, self.leads = api, True
        self.store = Store()
        stores = Stores()
        for resource in (apis.CONFIG_MAPS, apis.PODS, apis.SECRETS):
            stores.add(resource, self.store)
        clients, both = {"tenant": client, "host": client}, {"tenant": stores, "host": stores}
        self.executor = Executor(clients, both, Metrics(), lambda: self.leads, time.time)  # type: ignore[arg-type]


@pytest_asyncio.fixture
async def bench(api: FakeApi, client: Client) -> AsyncIterator[Bench]:
    yield Bench(api, client)


async def test_what_is_missing_is_asked_for_at_the_api_itself(bench: Bench) -> None:
    claim = Absent("tenant", apis.CONFIG_MAPS, KEY)
    await bench.executor.absent(claim)
    there = bench.api.put("configmaps", config_map("a"))
    with pytest.raises(errors.ConflictError):
        await bench.executor.absent(claim)
    assert bench.store.get(KEY) is not None, "the late store has caught up"
    with pytest.raises(errors.ConflictError):
        await bench.executor.absent(claim._replace(uid=uid_of(there)))
    await bench.executor.absent(claim._replace(uid="an earlier one"))


async def test_nobody_writes_who_does_not_lead(bench: Bench) -> None:
    bench.leads = False
    with pytest.raises(NotLeaderError):
        await bench.executor.create(Create("host", apis.CONFIG_MAPS, config_map("a")))
    assert bench.api.requests == []


async def test_a_binding_is_asked_for_once_until_the_watch_has_brought_it(bench: Bench) -> None:
    metadata = {"name": "a", "namespace": "default"}
    spec = {"containers": [{"name": "main"}]}
    pod = bench.api.put("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    binding: Obj = {"apiVersion": "v1", "kind": "Binding", "target": {"name": "node-1"}}
    binding["metadata"] = metadata | {"uid": uid_of(pod)}
    for _ in range(3):
        await bench.executor.create(Create("tenant", apis.PODS, binding, subresource="binding"))
    assert sum("binding" in line for line in bench.api.requests) == 1


async def test_a_patch_of_what_is_gone_or_another_is_a_conflict(bench: Bench) -> None:
    gone = bench.api.put("configmaps", config_map("a"))
    bench.store.put(gone)
    bench.api.remove("configmaps", "a", "default")
    patch = Patch("host", apis.CONFIG_MAPS, KEY, uid_of(gone), {"data": {"x": "1"}}, type="merge")
    with pytest.raises(errors.ConflictError):
        await bench.executor.patch(patch)
    assert bench.store.get(KEY) is None
    bench.api.put("configmaps", config_map("a", y="2"))
    with pytest.raises(errors.ConflictError):
        await bench.executor.patch(patch)
    assert (bench.api.find("configmaps", "a", "default") or {})["data"] == {"y": "2"}


async def test_a_deletion_spares_another_uid_and_takes_gone_for_done(bench: Bench) -> None:
    delete = Delete("host", apis.CONFIG_MAPS, KEY, "an earlier one")
    await bench.executor.delete(delete)
    bench.api.put("configmaps", config_map("a"))
    with pytest.raises(errors.ConflictError):
        await bench.executor.delete(delete)
    assert bench.api.find("configmaps", "a", "default")


async def test_only_our_own_object_counts_as_created_already(bench: Bench) -> None:
    name = host_name(TENANT, "default", "a")
    wanted = config_map(name, WORK, x="1")
    wanted["metadata"] |= {"labels": marks.labels(TENANT, KEY), "annotations": marks.annotations(KEY, "u-1")}
    create = Create("host", apis.CONFIG_MAPS, wanted)
    await bench.executor.create(create)
    await bench.executor.create(create)  # by a replica whose store has not seen it
    with pytest.raises(errors.ConflictError):  # of an earlier tenant object: it has to go first
        await bench.executor.create(
            create._replace(
                obj=wanted | {"metadata": wanted["metadata"] | {"annotations": marks.annotations(KEY, "u-2")}}
            )
        )
    bench.api.remove("configmaps", name, WORK)
    rival = wanted["metadata"] | {"labels": marks.labels("rival", KEY)}
    bench.api.put("configmaps", wanted | {"metadata": rival})
    with pytest.raises(NameTakenError):
        await bench.executor.create(create)


async def test_tokens_are_renewed_at_four_fifths_of_the_shortest_life(bench: Bench) -> None:
    pod = config_map("web") | {"kind": "Pod"}
    pod["metadata"]["uid"] = "pod-uid"
    secret: Obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t", "namespace": WORK}}
    requests = (TokenRequest("a", "", 3607), TokenRequest("b", "vault", 600))
    before = time.time()
    await bench.executor.tokens(Tokens(secret, "", pod, "default", requests))
    made = bench.api.find("secrets", "t", WORK) or {}
    assert set(made["data"]) == {"a", "b"}
    assert _is_renewed_after(480, made, before)
    await bench.executor.tokens(Tokens(secret, uid_of(made), pod, "default", requests[:1]))
    renewed = bench.api.find("secrets", "t", WORK) or {}
    assert _is_renewed_after(0.8 * 3607, renewed, before)
    assert uid_of(renewed) == uid_of(made)


async def test_a_refused_token_is_the_apis_own_error(bench: Bench) -> None:
    pod = config_map("web") | {"kind": "Pod"}
    pod["metadata"]["uid"] = "pod-uid"
    bench.api.fail_next("token", 404, "NotFound")
    secret: Obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t", "namespace": WORK}}
    with pytest.raises(errors.NotFoundError):
        await bench.executor.tokens(Tokens(secret, "", pod, "default", (TokenRequest("a", "", 3607),)))
    assert bench.api.find("secrets", "t", WORK) is None


def _is_renewed_after(seconds: float, secret: Obj, before: float) -> bool:
    """Whether the renewal is due so many seconds after some moment between `before` and now."""
    due = int(secret["metadata"]["annotations"][RENEW])
    return before + seconds - 2 <= due <= time.time() + seconds + 1
