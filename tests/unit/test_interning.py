"""What stores hold: no plan misses what was left out, and sharing changes no object."""

import copy
import dataclasses
from typing import Any

import msgspec
import podcases
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube.objects import Obj, key_of, labels_of
from syncer.core.actions import Side
from syncer.core.scope import Scope
from syncer.engine.interning import Sharing
from syncer.engine.store import Store
from syncer.kinds.pods import spec
from syncer.kinds.pods.pods import Pods
from syncer.kinds.secrets import Secrets
from tests import benchpods
from tests.pod_scope import WHOLE, Objects
from tests.unit.test_pod_properties import ACCEPTED, pods, read, steady

values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.floats(0, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=3),
    max_leaves=12,
)
RESOURCE = Pods()


def fresh(value: Any) -> Any:
    """As from the wire: nothing of it is shared with anything."""
    return msgspec.json.decode(msgspec.json.encode(value))


def kept(side: Side, obj: Obj) -> Obj:
    return RESOURCE.kept(side, fresh(obj))


def on_host(tenant: Obj, scope: Scope, **status: Any) -> Obj:
    """Its host pod as the host's API server and somebody's webhook leave it."""
    host = fresh(spec.host_pod(tenant, scope))
    host["metadata"] |= {"uid": "host-uid", "resourceVersion": "9", "generation": 1}
    host["spec"] |= {"nodeName": "node-1", "priority": 0, "schedulerName": "default-scheduler"}
    host["spec"]["containers"].append({"name": "injected", "image": "proxy", "resources": {}})
    host["status"] = {"phase": "Running", "startTime": "2027-01-15T08:00:00Z", **status}
    return host


def changed(tenant: Obj) -> Obj:
    """All that may change of a pod while it runs."""
    pod = fresh(tenant)
    pod["metadata"]["labels"] = {**labels_of(pod), "new": "label"}
    for field in ("containers", "initContainers"):
        for container in pod["spec"].get(field) or ():
            container["image"] = f"{container['image']}-new"
            container["resources"] = {"requests": {"cpu": "7"}}
    pod["spec"]["tolerations"] = [*(pod["spec"].get("tolerations") or ()), {"key": "new"}]
    pod["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "debug"}]
    pod["spec"]["activeDeadlineSeconds"] = 5
    return pod


def same_plan(tenant: Obj, host: Obj, scope: Scope) -> list[Any]:
    scope = dataclasses.replace(scope, host=Objects([host]))
    key = key_of(tenant)
    whole = RESOURCE.plan(key, tenant, host, scope)
    assert RESOURCE.plan(key, kept("tenant", tenant), kept("host", host), scope) == whole
    return whole


@steady
@given(tenant=pods())
def test_a_plan_reads_nothing_that_is_left_out(tenant: Obj) -> None:
    host = on_host(tenant, WHOLE)
    same_plan(tenant, host, WHOLE)
    same_plan(tenant | {"spec": tenant["spec"] | {"nodeName": "node-1"}}, host, WHOLE)
    assert same_plan(changed(tenant), host, WHOLE)
    same_plan(podcases.deleting(tenant, 30), host, WHOLE)
    same_plan(tenant, podcases.deleting(host, 30), WHOLE)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_nor_does_one_of_the_cases(case: Any) -> None:
    tenant, scope = read(case)
    host = on_host(tenant, scope)
    same_plan(tenant, host, scope)
    assert same_plan(changed(tenant), host, scope)


def test_containers_are_known_by_the_images_that_are_kept() -> None:
    tenant, host = podcases.running()
    tenant["spec"]["containers"][0]["image"] = "other"  # what the tenant is shown depends on it
    assert same_plan(tenant, host, podcases.scope())


def test_most_of_a_host_pod_is_left_out_and_nothing_of_a_tenant_pod() -> None:
    tenant, host = podcases.running()
    host["spec"] |= {"volumes": [{"name": "a", "emptyDir": {}}], "dnsPolicy": "None"}
    host["spec"]["containers"][0]["env"] = [{"name": "A", "value": "b"}]
    host["metadata"]["managedFields"] = tenant["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    assert not {"volumes", "dnsPolicy"} & set(kept("host", host)["spec"])
    assert "env" not in kept("host", host)["spec"]["containers"][0]
    assert "managedFields" not in kept("host", host)["metadata"]
    del tenant["metadata"]["managedFields"]
    assert kept("tenant", tenant) == tenant
    assert RESOURCE.kept("host", kept("host", host)) == kept("host", host)


@pytest.mark.parametrize("side", ["tenant", "host"])
def test_what_is_decoded_of_a_pod_is_what_is_kept(side: Side) -> None:
    found = benchpods.held(*benchpods.typical())
    pod = found.tenant if side == "tenant" else found.host
    decoded = msgspec.json.decode(msgspec.json.encode(pod), type=RESOURCE.shapes[side])
    assert decoded == RESOURCE.kept(side, fresh(pod))
    assert decoded.keys() == pod.keys()
    assert decoded["metadata"].keys() == pod["metadata"].keys() - {"managedFields"}


def test_tokens_are_left_out_and_other_secrets_are_whole() -> None:
    secret = podcases.token_secret() | {"data": {"token": "eHl6"}}
    assert "data" not in Secrets().kept("host", fresh(secret))
    del secret["metadata"]["annotations"]["vcp.dev/resource"]
    assert Secrets().kept("host", fresh(secret)) == secret
    assert Secrets().kept("tenant", fresh(secret)) == secret


@steady
@given(objects=st.lists(st.dictionaries(st.sampled_from(["spec", "status"]), values, max_size=2), max_size=9))
def test_sharing_changes_no_object(objects: list[Obj]) -> None:
    sharing, old = Sharing(limit=3), None
    given = [fresh(obj) for obj in objects]
    texts = [msgspec.json.encode(obj) for obj in given]
    for obj in given:
        old = sharing.shared(obj, None)
    assert [msgspec.json.encode(obj) for obj in given] == texts, "true is not 1, and 1 is not 1.0"
    again = [sharing.shared(fresh(obj), old) for obj in objects]
    assert again == [fresh(obj) for obj in objects]


def test_equal_parts_are_one_part() -> None:
    sharing = Sharing()
    tenant, host = podcases.running()
    one, other = sharing.shared(fresh(host)), sharing.shared(fresh(tenant))
    assert one["status"]["conditions"][0] is other["status"]["conditions"][0]
    assert one["spec"]["containers"] is other["spec"]["containers"]
    assert one["metadata"]["labels"]["app"] is other["metadata"]["labels"]["app"]


def test_names_of_fields_are_held_once() -> None:
    """More of them than the decoder remembers."""
    names = [f"field-{number}" for number in range(2000)]
    sharing, spec = Sharing(), {name: {"of": name} for name in names}
    first, second = (sharing.shared(fresh({"spec": spec, "status": {"in": [spec]}})) for _ in range(2))
    for one, other in ((first["spec"], second["spec"]), (first["status"]["in"][0], second["spec"])):
        assert all(mine is theirs for mine, theirs in zip(one, other, strict=True))


def test_of_a_newer_version_only_what_is_new_takes_memory() -> None:
    sharing = Sharing(limit=0)
    _, host = podcases.running()
    old = sharing.shared(fresh(host))
    host["status"]["phase"] = "Succeeded"
    new = sharing.shared(fresh(host), old)
    assert new["spec"]["containers"] is old["spec"]["containers"]
    assert new["status"]["phase"] == "Succeeded"
    assert old["status"]["phase"] == "Running"


def test_what_is_remembered_is_bounded() -> None:
    sharing = Sharing(limit=10)
    for number in range(1000):
        sharing.shared({"data": {"key": f"value-{number}", "long": "x" * 2000}})
    held = {**sharing._earlier, **sharing._recent}
    assert len(held) <= 20
    assert not any(len(key) > 1024 for key in held)


def test_what_is_met_again_and_again_stays() -> None:
    sharing = Sharing(limit=10)
    first = sharing.shared({"spec": {"kind": {"a": "b"}}})
    for number in range(100):
        sharing.shared({"spec": {"name": f"name-{number}"}})
        assert sharing.shared({"spec": {"kind": {"a": "b"}}})["spec"]["kind"] is first["spec"]["kind"]


def test_a_store_keeps_what_its_function_says_of_what_is_news() -> None:
    asked = []

    def keep(obj: Obj, old: Obj | None) -> Obj:
        asked.append(old)
        return obj | {"kept": True}

    store = Store(keep=keep)
    pod = podcases.tenant_pod()
    assert store.put(copy.deepcopy(pod))
    assert not store.put(copy.deepcopy(pod))
    assert asked == [None], "nothing is done for what is no news"
    found = store.get(podcases.KEY)
    assert found
    assert found["kept"]
    newer = pod | {"metadata": pod["metadata"] | {"resourceVersion": "8"}}
    store.replace([store.kept(newer)], 8)
    assert asked == [None, found]
    assert [obj["kept"] for obj in store.objects()] == [True]
