"""What the tenant sees of a pod's status, rule by rule; whole pods are in tests/golden/status."""

import copy
from typing import Any

import pytest

from kube.objects import Obj
from syncer.kinds.pods.references import wording_of
from syncer.kinds.pods.status import status_changes, to_tenant
from tests.unit import podcases
from tests.unit.podcases import HOST_KEY, HOST_UID, UID, condition, container_status, running, tenant_pod


def changes(tenant: Obj, host: Obj, *, settled: bool = True) -> dict[str, Any]:
    return status_changes(tenant, host, podcases.scope(), settled=settled)


def test_a_settled_status_is_not_written() -> None:
    assert to_tenant(*running(), podcases.scope(), settled=True) is None


def test_qos_class_is_never_copied() -> None:
    tenant, host = running()
    host["status"]["qosClass"] = "Guaranteed"
    assert changes(tenant, host) == {}


def test_the_observed_generation_counts_in_tenant_terms() -> None:
    tenant, host = running()
    tenant["metadata"]["generation"], tenant["status"]["observedGeneration"] = 7, 6
    host["metadata"]["generation"], host["status"]["observedGeneration"] = 3, 3
    assert changes(tenant, host) == {"observedGeneration": 7}
    tenant["status"]["observedGeneration"] = 7
    assert changes(tenant, host) == {}


def test_the_observed_generation_waits_for_the_host() -> None:
    tenant, host = running()
    tenant["metadata"]["generation"], tenant["status"]["observedGeneration"] = 7, 6
    host["metadata"]["generation"], host["status"]["observedGeneration"] = 3, 2
    assert changes(tenant, host) == {}
    host["status"]["observedGeneration"] = 3
    assert changes(tenant, host, settled=False) == {}


def test_the_observed_generation_of_a_condition_counts_in_tenant_terms() -> None:
    tenant, host = running()
    tenant["metadata"]["generation"], host["metadata"]["generation"] = 7, 3
    for one in host["status"]["conditions"]:
        one["observedGeneration"] = 3
    patched = podcases.merged(tenant["status"], changes(tenant, host))
    observed = {one["type"]: one.get("observedGeneration") for one in patched["conditions"]}
    assert observed.pop("PodScheduled") is None  # the tenant's own
    assert set(observed.values()) == {7}
    tenant["status"] = patched
    assert changes(tenant, host) == {}


def test_only_the_condition_that_changed_is_written() -> None:
    tenant, host = running()
    host["status"]["conditions"][2] = condition("Ready", "False", reason="ContainersNotReady", message="app")
    assert changes(tenant, host) == {
        "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "app"}]
    }


def test_a_reason_that_is_over_is_taken_back() -> None:
    tenant, host = running()
    tenant["status"]["conditions"][2] |= {"status": "False", "reason": "ContainersNotReady", "message": "app"}
    (change,) = changes(tenant, host)["conditions"]
    assert change == {"type": "Ready", "status": "True", "reason": None, "message": None}


def test_conditions_of_readiness_gates_are_not_the_hosts_to_say() -> None:
    tenant, host = running()
    for pod in (tenant, host):
        pod["spec"]["readinessGates"] = [{"conditionType": "example.org/ready"}, {"conditionType": "warm"}]
    tenant["status"]["conditions"] += [condition("example.org/ready"), condition("warm")]
    host["status"]["conditions"] += [condition("warm", "False")]
    assert changes(tenant, host) == {}


def test_what_the_tenant_alone_wrote_stays() -> None:
    """An eviction through the tenant's API marks the tenant pod; a controller may add its own types."""
    tenant, host = running()
    tenant["status"]["conditions"] += [condition("DisruptionTarget"), condition("example.org/seen")]
    assert changes(tenant, host) == {}


def test_conditions_that_hosts_invent_stay_there() -> None:
    tenant, host = running()
    host["status"]["conditions"] += [condition("target-health.elbv2.k8s.aws/x")]
    assert changes(tenant, host) == {}


def test_a_condition_that_the_host_takes_back_goes() -> None:
    tenant, host = running()
    tenant["status"]["conditions"].append(condition("PodResizeInProgress"))
    assert changes(tenant, host) == {"conditions": [{"type": "PodResizeInProgress", "$patch": "delete"}]}


def test_the_order_of_conditions_means_nothing() -> None:
    tenant, host = running()
    tenant["status"]["conditions"].reverse()
    assert changes(tenant, host) == {}


def test_a_missing_last_probe_time_and_a_null_are_the_same() -> None:
    tenant, host = running()
    del tenant["status"]["conditions"][0]["lastProbeTime"]
    assert changes(tenant, host) == {}


def test_injected_containers_do_not_show() -> None:
    tenant, host = running()
    host["spec"]["containers"].append({"name": "proxy", "image": "mesh/proxy:2"})
    host["status"]["containerStatuses"].append(container_status("proxy", "mesh/proxy:2"))
    host["spec"]["initContainers"] = [{"name": "mesh-init", "image": "mesh/init:2"}]
    host["status"]["initContainerStatuses"] = [container_status("mesh-init", "mesh/init:2")]
    assert changes(tenant, host) == {}


def test_injected_volumes_do_not_show() -> None:
    tenant, host = running()
    mounts = [{"name": "mesh", "mountPath": "/etc/mesh"}]
    host["status"]["containerStatuses"][0]["volumeMounts"] = mounts
    assert changes(tenant, host) == {}


def test_an_image_that_the_host_names_otherwise_shows_as_the_tenant_named_it() -> None:
    tenant, host = running()
    host["spec"]["containers"][0]["image"] = "mirror.host/app:1"
    host["status"]["containerStatuses"][0]["image"] = "mirror.host/app:1"
    assert changes(tenant, host) == {}


def test_messages_name_the_tenant_pod() -> None:
    tenant, host = running()
    text = f"back-off restarting failed container=app pod={HOST_KEY.name}_vcp-work({HOST_UID})"
    host["status"]["containerStatuses"][0]["state"] = {"waiting": {"message": text}}
    (status,) = changes(tenant, host)["containerStatuses"]
    expected = f"back-off restarting failed container=app pod=web-0_default({UID})"
    assert status["state"]["waiting"]["message"] == expected


def test_a_message_that_is_the_same_on_both_sides_is_not_shown_as_it_is() -> None:
    tenant, host = running()
    for pod in (tenant, host):
        pod["status"]["message"] = f"pod {HOST_KEY.name} was evicted"
    assert changes(tenant, host) == {"message": "pod web-0 was evicted"}


def test_messages_name_the_tenants_config_maps_and_secrets() -> None:
    scope = podcases.scope()
    pod = tenant_pod(volumes=[{"name": "c", "configMap": {"name": "settings"}}])
    host_name = scope.host_key(podcases.Key("default", "settings")).name
    text = f'configmap "{host_name}" not found in vcp-work; secret "{HOST_KEY.name}.tokens"'
    told = wording_of(pod, scope)(text)
    assert told == 'configmap "settings" not found in default; secret "web-0-token"'


@pytest.mark.parametrize(
    "text", ["", "vcp-worker and my-vcp-work are other words", "0/3 nodes are available"]
)
def test_other_words_stay(text: str) -> None:
    assert wording_of(tenant_pod(), podcases.scope())(text) == text


def test_addresses_are_replaced_as_a_whole() -> None:
    tenant, host = running()
    host["status"] |= {"podIP": "10.42.0.6", "podIPs": [{"ip": "10.42.0.6"}]}
    assert changes(tenant, host) == {
        "podIP": "10.42.0.6",
        "podIPs": [{"ip": "10.42.0.6"}, {"$patch": "replace"}],
    }


def test_what_the_host_cleared_is_cleared() -> None:
    tenant, host = running()
    tenant["status"] |= {"reason": "Evicted", "message": "disk", "nominatedNodeName": "node-2"}
    for field in ("podIP", "podIPs"):
        del host["status"][field]
    cleared = changes(tenant, host)
    assert cleared == dict.fromkeys(("reason", "message", "nominatedNodeName", "podIP", "podIPs"))


def test_a_bound_pod_is_nominated_no_more() -> None:
    tenant, host = running()
    host["status"]["nominatedNodeName"] = "node-2"
    assert changes(tenant, host) == {}
    tenant["status"]["nominatedNodeName"] = "node-2"
    assert changes(tenant, host) == {"nominatedNodeName": None}


def test_claims_of_the_host_do_not_show() -> None:
    tenant, host = running()
    host["status"]["resourceClaimStatuses"] = [{"name": "gpu", "resourceClaimName": "host-claim"}]
    assert changes(tenant, host) == {}


def test_resources_of_the_pod_follow() -> None:
    tenant, host = running()
    tenant["status"]["allocatedResources"] = {"cpu": "1", "memory": "1Gi"}
    host["status"]["allocatedResources"] = {"cpu": "2"}
    assert changes(tenant, host) == {"allocatedResources": {"memory": None, "cpu": "2"}}


def test_nothing_of_the_stores_is_changed() -> None:
    tenant, host = running()
    host["status"]["containerStatuses"][0]["state"] = {"waiting": {"message": HOST_KEY.name}}
    before = copy.deepcopy((tenant, host))
    changes(tenant, host)
    assert (tenant, host) == before
