"""What is done about a pod, for each state that the two sides can be in."""

import copy
import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest

from kube import apis
from kube.objects import Key, Obj
from syncer.core import marks, policy
from syncer.core.actions import Absent, Action, Create, Delete, Ensure, Patch, Report, Side, Tokens
from syncer.core.kind import Item
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.kinds.pods import lifecycle, metadata
from syncer.kinds.pods.pods import Pods
from syncer.kinds.registry import registry
from tests.unit import podcases
from tests.unit.podcases import (
    HOST_KEY,
    HOST_UID,
    KEY,
    NODE,
    UID,
    deleting,
    host_pod,
    running,
    tenant_pod,
    with_token,
)

KINDS = registry(policy.Sync())
SECRET = Key("vcp-work", f"{HOST_KEY.name}.tokens")
NEW_UID = "33333333-3333-3333-3333-333333333333"


def plan(tenant: Obj | None, host: Obj | None, scope: Scope | None = None) -> list[Action]:
    return KINDS.by_name["pods"].plan(KEY, tenant, host, scope or podcases.scope())


def end_tenant(grace: int = 0) -> Delete:
    return Delete("tenant", apis.PODS, KEY, UID, grace)


# What a late store cannot be trusted with.
NO_HOST_POD = Absent("host", apis.PODS, HOST_KEY)
NO_TENANT_POD = Absent("tenant", apis.PODS, KEY, UID)


def end_host(grace: int = 0) -> Delete:
    return Delete("host", apis.PODS, HOST_KEY, HOST_UID, grace)


def test_a_settled_pod_costs_no_write() -> None:
    assert plan(*running()) == []


def test_neither_pod_nothing() -> None:
    assert plan(None, None) == []


# -- Creation


def test_a_new_pod_is_created_after_what_it_mounts() -> None:
    volumes = [
        {"name": "c", "configMap": {"name": "settings"}},
        {"name": "s", "secret": {"secretName": "password"}},
        {"name": "p", "persistentVolumeClaim": {"claimName": "data"}},
    ]
    *mounted, create = plan(tenant_pod(volumes=volumes), None)
    assert mounted == [
        Ensure("configmaps", Key("default", "settings")),
        Ensure("secrets", Key("default", "password")),
    ]
    assert isinstance(create, Create)
    assert (create.side, create.obj["metadata"]["name"]) == ("host", HOST_KEY.name)


def test_tokens_come_before_the_pod_that_mounts_them() -> None:
    tokens, create = plan(with_token(tenant_pod(serviceAccountName="robot")), None)
    assert isinstance(tokens, Tokens)
    assert isinstance(create, Create)
    assert (tokens.current, tokens.service_account) == ("", "robot")
    assert tokens.secret["type"] == "Opaque"
    assert tokens.secret["metadata"]["name"] == SECRET.name
    assert marks.key_of(tokens.secret) == KEY
    assert tokens.secret["metadata"]["annotations"][marks.RESOURCE] == "pods"
    assert tokens.secret["metadata"]["annotations"][marks.UID] == UID


def test_a_gated_pod_stays_at_home() -> None:
    assert plan(tenant_pod(schedulingGates=[{"name": "example.org/wait"}]), None) == []


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_that_never_ran_is_not_started(phase: str) -> None:
    tenant = tenant_pod()
    tenant["status"]["phase"] = phase
    assert plan(tenant, None) == []


def test_a_pod_is_refused_as_a_whole() -> None:
    with pytest.raises(Refused):
        plan(tenant_pod(hostNetwork=True), None)


def test_a_pod_created_with_a_node_name_did_not_vanish() -> None:
    """Binding is told by PodScheduled; without it the host pod never existed, and translation decides."""
    assert not lifecycle.was_on_host(tenant_pod(nodeName=NODE))


# -- Binding


def test_the_tenant_node_comes_before_the_binding_and_the_status_after_it() -> None:
    tenant = tenant_pod()
    host = host_pod(tenant, nodeName=NODE)
    host["status"]["conditions"] = [podcases.condition("PodScheduled")]
    host["status"]["startTime"] = "2027-01-15T08:00:00Z"
    ensure, binding, status = plan(tenant, host)
    assert ensure == Ensure("nodes", Key("", NODE))
    assert isinstance(binding, Create)
    assert (binding.side, binding.subresource) == ("tenant", "binding")
    assert binding.obj["metadata"] == {"namespace": "default", "name": "web-0", "uid": UID}
    assert binding.obj["target"]["name"] == NODE
    assert isinstance(status, Patch)
    assert status.subresource == "status"


def test_a_binding_costs_no_status_of_its_own() -> None:
    """The tenant's API server writes PodScheduled when it binds; the kubelet has the next news."""
    tenant = tenant_pod()
    host = host_pod(tenant, nodeName=NODE)
    host["status"]["conditions"] = [podcases.condition("PodScheduled", observedGeneration=1)]
    assert [type(action) for action in plan(tenant, host)] == [Ensure, Create]
    tenant["spec"]["nodeName"] = NODE
    tenant["status"]["conditions"] = [
        podcases.condition("PodScheduled", lastTransitionTime="2027-01-15T08:00:01Z")
    ]
    assert plan(tenant, host) == []


def test_a_node_that_is_there_is_not_looked_at_for_each_pod() -> None:
    tenant = tenant_pod()
    host = host_pod(tenant, nodeName=NODE)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
    (binding,) = plan(tenant, host, podcases.scope([tenant, node]))
    assert isinstance(binding, Create)
    assert binding.subresource == "binding"


def test_a_pod_being_deleted_is_not_bound() -> None:
    """The API server refuses it."""
    tenant = tenant_pod()
    host = host_pod(tenant, nodeName=NODE)
    assert not any(isinstance(action, Create) for action in plan(deleting(tenant, 0), host))
    assert not any(isinstance(action, Create) for action in plan(tenant, deleting(host, 30)))


# -- Deletion


def test_a_deletion_is_passed_on_with_its_grace() -> None:
    tenant, host = running()
    assert plan(deleting(tenant, 17), host) == [end_host(17)]


def test_a_shortened_grace_is_passed_on_and_a_longer_one_is_not() -> None:
    tenant, host = running()
    assert plan(deleting(tenant, 5), deleting(host, 30)) == [end_host(5)]
    assert plan(deleting(tenant, 30), deleting(host, 30)) == []
    assert plan(deleting(tenant, 60), deleting(host, 30)) == []


def test_the_tenant_pod_goes_when_the_host_pod_is_gone() -> None:
    tenant, _ = running()
    assert plan(deleting(tenant, 30), None) == [end_tenant()]


def test_a_deletion_that_the_api_server_left_half_done_is_asked_for_again() -> None:
    tenant, _ = running()
    assert plan(deleting(tenant, 0), None) == [end_tenant()]


def test_a_pod_that_its_tenant_bound_goes_though_the_host_never_had_it() -> None:
    tenant = tenant_pod(nodeName=NODE)
    assert not lifecycle.was_on_host(tenant)
    assert plan(deleting(tenant, 30), None) == [end_tenant()]


def test_a_tenant_pod_held_by_a_finalizer_is_deleted_once_and_ends_failed() -> None:
    tenant, _ = running()
    tenant["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
    (status,) = plan(deleting(tenant, 0), None)
    assert isinstance(status, Patch)
    assert status.body == {"status": {"phase": "Failed"}}
    tenant["status"]["phase"] = "Failed"
    assert plan(deleting(tenant, 0), None) == []


def test_a_vanished_pod_with_finalizers_is_a_disruption() -> None:
    tenant, _ = running()
    tenant["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
    verified, status, end = plan(tenant, None)
    assert verified == NO_HOST_POD
    assert isinstance(status, Patch)
    assert [c["type"] for c in status.body["status"]["conditions"]] == ["DisruptionTarget"]
    assert end == end_tenant()


@pytest.mark.parametrize("phase", ["Running", "Succeeded", "Failed"])
def test_a_host_pod_that_vanished_takes_the_tenant_pod_along(phase: str) -> None:
    tenant, _ = running()
    tenant["status"]["phase"] = phase
    assert plan(tenant, None) == [NO_HOST_POD, end_tenant()]


def test_a_tenant_pod_deleted_by_force_takes_the_host_pod_along() -> None:
    _, host = running()
    assert plan(None, host) == [NO_TENANT_POD, end_host(0)]
    assert plan(None, deleting(host, 30)) == [NO_TENANT_POD, end_host(0)]
    assert plan(None, deleting(host, 0)) == []


def test_an_eviction_on_the_host_deletes_the_tenant_pod_with_the_same_grace() -> None:
    tenant, host = running()
    host["status"]["conditions"].append(
        podcases.condition("DisruptionTarget", reason="EvictionByEvictionAPI")
    )
    status, end = plan(tenant, deleting(host, 25))
    assert isinstance(status, Patch)
    assert end == end_tenant(25)


def test_status_flows_while_both_terminate() -> None:
    tenant, host = running()
    host["status"]["phase"] = "Succeeded"
    (status,) = plan(deleting(tenant, 30), deleting(host, 30))
    assert isinstance(status, Patch)
    assert status.body == {"status": {"phase": "Succeeded"}}


def test_an_unbound_pod_being_deleted_waits_for_the_host_pod_only() -> None:
    tenant = tenant_pod()
    assert plan(deleting(tenant, 0), host_pod(tenant)) == [end_host(0)]
    assert plan(deleting(tenant, 0), None) == []


def test_an_earlier_pod_of_the_name_goes_first_and_nothing_else_happens() -> None:
    tenant, host = running()
    tenant["metadata"]["uid"] = NEW_UID
    assert plan(tenant, host) == [NO_TENANT_POD, end_host(0)]
    assert plan(tenant, deleting(host, 0)) == []


# -- Refusals


def test_a_refusal_shows_as_an_unscheduled_pod_once() -> None:
    tenant = tenant_pod()
    patch = Pods().refused(tenant, "HostRefused", "exceeded quota", "2027-01-15T08:00:00Z")
    assert patch is not None
    assert patch.body["status"]["conditions"] == [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "HostRefused",
            "message": "exceeded quota",
            "lastTransitionTime": "2027-01-15T08:00:00Z",
        }
    ]
    tenant["status"] = podcases.merged(tenant["status"], patch.body["status"])
    assert Pods().refused(tenant, "HostRefused", "exceeded quota", "2027-01-15T08:00:05Z") is None
    again = Pods().refused(tenant, "HostRefused", "exceeded more", "2027-01-15T08:00:05Z")
    assert again is not None
    assert "lastTransitionTime" not in again.body["status"]["conditions"][0]


def test_a_bound_pod_is_past_being_unschedulable() -> None:
    assert Pods().refused(running()[0], "HostRefused", "exceeded quota", "2027-01-15T08:00:00Z") is None


def test_a_refusal_by_the_host_is_told_without_host_names() -> None:
    told = Pods().told(
        RuntimeError(f'pods "{HOST_KEY.name}" is forbidden in vcp-work: quota'),
        tenant_pod(),
        podcases.scope(),
    )
    assert told == 'pods "web-0" is forbidden in default: quota'


def test_listed_annotations_of_the_host_are_shown_and_stay_the_hosts() -> None:
    key = "cni.example/ip"
    scope = dataclasses.replace(
        podcases.scope(),
        sync=policy.Sync(pods=policy.Pods(annotations=("*",), annotations_to_tenant=(key,))),
    )
    tenant, host = running()
    host["metadata"]["annotations"] |= {key: "10.42.0.5", "cni.example/other": "x"}
    (patch,) = plan(tenant, host, scope)
    assert patch == Patch("tenant", apis.PODS, KEY, UID, {"metadata": {"annotations": {key: "10.42.0.5"}}})
    tenant["metadata"]["annotations"][key] = "10.42.0.5"
    keys = metadata.host_annotations(tenant, scope)[marks.KEYS]
    assert host_patches(plan(tenant, host, scope)) == [{"metadata": {"annotations": {marks.KEYS: keys}}}]
    host["metadata"]["annotations"] |= {marks.KEYS: keys, key: "10.42.0.6"}
    (patch,) = plan(tenant, host, scope)
    assert patch == Patch("tenant", apis.PODS, KEY, UID, {"metadata": {"annotations": {key: "10.42.0.6"}}})


def host_patches(actions: list[Action]) -> list[Any]:
    return [action.body for action in actions if isinstance(action, Patch) and action.side == "host"]


# -- Who is looked at again


def affected(side: Side, old: Obj | None, new: Obj | None, scope: Scope) -> Iterable[Item]:
    return KINDS.affected(KINDS.by_name["pods"], side, old, new, scope)


def test_a_pod_concerns_what_it_mounts_and_where_it_runs() -> None:
    volumes = [{"name": "c", "configMap": {"name": "settings"}}]
    tenant = tenant_pod(volumes=volumes)
    scope = podcases.scope()
    assert list(affected("tenant", None, tenant, scope)) == [
        Item("pods", KEY),
        Item("configmaps", Key("default", "settings")),
    ]
    host = host_pod(tenant, nodeName=NODE)
    assert list(affected("host", None, host, scope)) == [Item("pods", KEY), Item("nodes", Key("", NODE))]


def test_a_change_concerns_others_only_where_they_read_the_pod() -> None:
    scope = podcases.scope()
    tenant = tenant_pod(volumes=[{"name": "c", "configMap": {"name": "settings"}}])
    host = host_pod(tenant, nodeName=NODE) | {"status": {"phase": "Running", "hostIP": "192.0.2.7"}}
    config_map, node = Item("configmaps", Key("default", "settings")), Item("nodes", Key("", NODE))
    for side, pod, others in (("tenant", tenant, config_map), ("host", host, node)):
        for old, new in ((None, pod), (pod, None)):
            assert list(affected(side, old, new, scope)) == [Item("pods", KEY), others]
        status = {**pod["status"], "conditions": [podcases.condition("Ready")]}
        assert list(affected(side, pod, {**pod, "status": status}, scope)) == [Item("pods", KEY)]
    fewer = {**tenant, "spec": {**tenant["spec"], "volumes": []}}
    assert config_map in affected("tenant", tenant, fewer, scope)
    moved = {**host, "status": {**host["status"], "hostIP": "192.0.2.8"}}
    assert node in affected("host", host, moved, scope)


def test_a_pod_on_the_network_of_its_node_has_no_address_of_its_own() -> None:
    for fields, own in (({}, ["192.0.2.7"]), ({"hostNetwork": True}, [])):
        host = host_pod(tenant_pod(), nodeName=NODE, **fields)
        host["status"] = {"phase": "Running", "podIPs": [{"ip": "192.0.2.7"}]}
        index = Pods().indexes["host"]["address"]
        assert list(index(Pods().kept("host", host), podcases.scope())) == own


def test_a_namespace_concerns_its_pods() -> None:
    other = copy.deepcopy(tenant_pod())
    other["metadata"]["namespace"] = "other"
    scope = podcases.scope(tenant=[tenant_pod(), other])
    namespace: Obj = {"kind": "Namespace", "metadata": {"name": "default"}}
    namespaces = KINDS.by_name["namespaces"]
    items = list(KINDS.affected(namespaces, "tenant", None, namespace, scope))
    assert [item for item in items if item.resource == "pods"] == [Item("pods", KEY)]
    assert namespaces.plan(Key("", "default"), namespace, None, scope) == []


def test_pods_are_found_by_host_name_and_by_reference() -> None:
    pod = tenant_pod(volumes=[{"name": "c", "configMap": {"name": "settings"}}])
    scope = podcases.scope(tenant=[pod])
    values: dict[str, Any] = {
        "host_name": HOST_KEY.name,
        "references": ("configmaps", Key("default", "settings")),
        "namespace": "default",
    }
    for index, value in values.items():
        assert scope.tenant.indexed(apis.PODS, index, value) == [pod]


def test_indexes_read_no_more_than_they_say() -> None:
    resource, scope = Pods(), podcases.scope()
    affinity = podcases.selecting("any", "team")["spec"]["affinity"]
    tenant = tenant_pod(volumes=[{"name": "c", "configMap": {"name": "settings"}}], affinity=affinity)
    told = {"configMapRef": {"name": "default-hash.digest"}}
    tenant["spec"]["containers"][0]["envFrom"] = [told]
    host = host_pod(tenant, nodeName=NODE) | {"status": {"phase": "Running", "podIPs": [{"ip": "10.42.0.9"}]}}
    for side, pod in (("tenant", tenant), ("host", host)):
        name = {field: pod["metadata"][field] for field in ("namespace", "name")}
        read = {"metadata": name, **{field: pod[field] for field in resource.indexed_by[side]}}  # type: ignore[index]
        for index in resource.indexes[side].values():  # type: ignore[index]
            assert list(index(read, scope)) == list(index(pod, scope)) != []


def test_rights_cover_the_subresources_that_are_written() -> None:
    host = [rule for rule in Pods().rules() if rule.side == "host"]
    rules = {(rule.api.plural, rule.subresource) for rule in host}
    assert {("pods", "status"), ("pods", "ephemeralcontainers"), ("pods", "resize"), ("secrets", "")} <= rules
    assert not any(rule.cluster for rule in host)


def test_a_refused_change_holds_back_nothing_else() -> None:
    tenant, host = running()
    host["status"]["phase"] = "Unknown"
    tenant["metadata"]["labels"]["vcp.dev/tenant"] = "tenant-b"
    tenant["spec"]["activeDeadlineSeconds"] = 60
    status, report, patch = plan(tenant, host)
    assert isinstance(status, Patch)
    assert isinstance(report, Report)
    assert isinstance(patch, Patch)
    assert patch.body == {"spec": {"activeDeadlineSeconds": 60}}


# -- Labels of namespaces


def test_pods_that_are_selected_by_their_namespace_are_labelled_before_the_first_that_selects_them() -> None:
    tenant, host = running()
    namespace: Obj = {"kind": "Namespace", "metadata": {"name": "default", "labels": {"team": "a", "x": "y"}}}
    first, second = podcases.selecting("first", "team", "other"), podcases.selecting("second", "team")
    scope = podcases.scope([tenant, namespace, first], [host])
    pods = KINDS.by_name["pods"]

    def concerned(new: Obj, where: Scope) -> list[Item]:
        found = KINDS.affected(pods, "tenant", None, new, where)
        return [item for item in found if item.resource == "pods" and item.key == KEY]

    ensure, create = (
        action
        for action in pods.plan(Key("apart", "first"), first, None, scope)
        if isinstance(action, Create) or action == Ensure("pods", KEY)
    )
    assert (ensure, type(create)) == (Ensure("pods", KEY), Create)
    assert concerned(first, scope) == [Item("pods", KEY)]
    assert [action.body for action in pods.plan(KEY, tenant, host, scope) if isinstance(action, Patch)] == [
        {"metadata": {"labels": {"ns.vcp.dev/team": "a"}}}
    ]

    host["metadata"]["labels"]["ns.vcp.dev/team"] = "a"
    later = podcases.scope([tenant, namespace, first, second], [host])
    assert Ensure("pods", KEY) not in pods.plan(Key("apart", "second"), second, None, later)
    assert concerned(second, later) == []
