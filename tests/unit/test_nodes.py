"""Which Nodes a tenant sees, what they say, and that they cost nothing once they are there."""

import copy
from typing import Any

import pytest

from kube import apis
from kube.objects import Key, Obj
from syncer.core.actions import Action, Create, Delete, Patch, Wait
from syncer.core.scope import Scope
from syncer.kinds.nodes import Nodes, RealNodes
from tests.unit import podcases
from tests.unit.podcases import NODE, NOW, host_pod, running, tenant_pod

KEY = Key("", NODE)
KUBELET = {"type": "InternalDNS", "address": "kubelet.vcp-tenant-a.svc"}
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def plan(nodes: Nodes, scope: Scope) -> list[Action]:
    return nodes.plan(KEY, *nodes.find(KEY, scope), scope)


def there(node: Obj, **annotations: str) -> Obj:
    """As the tenant's API server keeps it."""
    kept = copy.deepcopy(node)
    kept["metadata"] |= {"uid": "node-uid", "annotations": annotations}
    return kept


def created(nodes: Nodes, scope: Scope) -> Obj:
    (create,) = plan(nodes, scope)
    assert isinstance(create, Create)
    assert create.side == "tenant"
    return create.obj


def pseudo(pod: Obj | None = None) -> Obj:
    return created(Nodes(), podcases.scope(host=[pod or running()[1]]))


# -- Made from pods


def test_a_node_stands_where_a_pod_is_bound() -> None:
    node = pseudo()
    assert node["metadata"] == {
        "name": NODE,
        "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "vcp.dev/node": "pseudo"},
    }
    assert node["spec"] == {}
    status = node["status"]
    assert status["addresses"] == [
        {"type": "InternalIP", "address": "192.0.2.7"},
        {"type": "Hostname", "address": NODE},
        KUBELET,
    ]
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "Ready": "True",
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "PIDPressure": "False",
    }
    assert status["capacity"] == status["allocatable"] == {"pods": "110"}


def test_no_pod_no_node() -> None:
    assert plan(Nodes(), podcases.scope()) == []


def test_a_settled_node_costs_no_write() -> None:
    host = running()[1]
    assert plan(Nodes(), podcases.scope(tenant=[there(pseudo())], host=[host])) == []


def test_the_address_follows_when_a_pod_tells_it_and_stays_when_none_does() -> None:
    untold = host_pod(tenant_pod(), nodeName=NODE)
    node = there(pseudo(untold))
    assert [one["type"] for one in node["status"]["addresses"]] == ["Hostname", "InternalDNS"]
    (patch,) = plan(Nodes(), podcases.scope(tenant=[node], host=[running()[1]]))
    assert isinstance(patch, Patch)
    assert (patch.subresource, patch.type, list(patch.body["status"])) == ("status", "merge", ["addresses"])
    assert patch.body["status"]["addresses"][0] == {"type": "InternalIP", "address": "192.0.2.7"}
    assert plan(Nodes(), podcases.scope(tenant=[there(pseudo())], host=[untold])) == []


def test_the_taint_that_admission_adds_is_taken_away() -> None:
    node = there(pseudo())
    node["spec"]["taints"] = [NOT_READY]
    (patch,) = plan(Nodes(), podcases.scope(tenant=[node], host=[running()[1]]))
    assert isinstance(patch, Patch)
    assert (patch.subresource, patch.body) == ("", {"spec": {"taints": None}})


def test_what_the_tenant_adds_to_a_node_stays() -> None:
    node = there(pseudo())
    node["metadata"]["labels"]["team"] = "a"
    node["spec"] |= {"taints": [{"key": "mine", "effect": "NoSchedule"}], "unschedulable": True}
    assert plan(Nodes(), podcases.scope(tenant=[node], host=[running()[1]])) == []


def test_a_kubelet_address_changed_in_the_tenant_is_repaired() -> None:
    node = there(pseudo())
    node["status"]["addresses"][-1] = {"type": "InternalDNS", "address": "elsewhere.example.org"}
    (patch,) = plan(Nodes(), podcases.scope(tenant=[node], host=[running()[1]]))
    assert isinstance(patch, Patch)
    assert patch.body["status"]["addresses"][-1] == KUBELET


@pytest.mark.parametrize("since", ["inf", "nan", "-inf", "x", str(int(NOW) + 1)])
def test_the_tenant_cannot_keep_an_idle_node_by_its_annotation(since: str) -> None:
    idle = there(pseudo(), **{"vcp.dev/idle-since": since})
    first, *_ = plan(Nodes(), podcases.scope(tenant=[idle], now=NOW))
    assert isinstance(first, Delete) == (since == "-inf")
    if isinstance(first, Patch):
        assert first.body == {"metadata": {"annotations": {"vcp.dev/idle-since": str(int(NOW))}}}


def test_an_idle_node_goes_after_some_minutes() -> None:
    mark, wait = plan(Nodes(), podcases.scope(tenant=[there(pseudo())]))
    assert isinstance(mark, Patch)
    assert mark.body == {"metadata": {"annotations": {"vcp.dev/idle-since": str(int(NOW))}}}
    assert wait == Wait(300)
    idle = there(pseudo(), **{"vcp.dev/idle-since": str(int(NOW))})
    assert plan(Nodes(), podcases.scope(tenant=[idle], now=NOW + 100)) == [Wait(200)]
    end = Delete("tenant", apis.NODES, KEY, "node-uid")
    assert plan(Nodes(), podcases.scope(tenant=[idle], now=NOW + 300)) == [end]


def test_a_pod_that_comes_in_time_keeps_the_node() -> None:
    idle = there(pseudo(), **{"vcp.dev/idle-since": str(int(NOW))})
    (patch,) = plan(Nodes(), podcases.scope(tenant=[idle], host=[running()[1]], now=NOW + 299))
    assert isinstance(patch, Patch)
    assert patch.body == {"metadata": {"annotations": {"vcp.dev/idle-since": None}}}


@pytest.mark.parametrize("pods", [[], [running()[1]]])
def test_a_node_that_the_tenant_made_is_left_alone(pods: list[Obj]) -> None:
    node: Obj = {"kind": "Node", "metadata": {"name": NODE, "uid": "node-uid"}, "spec": {}, "status": {}}
    assert plan(Nodes(), podcases.scope(tenant=[node], host=pods)) == []


def test_nodes_made_from_pods_need_no_rights_on_the_host() -> None:
    assert [rule for rule in Nodes().rules() if rule.side == "host"] == []
    assert list(Nodes().watches) == ["tenant"]


def test_a_node_concerns_itself() -> None:
    assert list(Nodes().concerned("tenant", pseudo())) == [KEY]


# -- The host's own


def host_node(**status: Any) -> Obj:
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "lastHeartbeatTime": "2027-01-15T08:00:00Z",
        "lastTransitionTime": "2027-01-15T07:00:00Z",
    }
    return {
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "uid": "host-node-uid",
            "labels": {"kubernetes.io/arch": "arm64", "vcp.dev/pool": "a"},
            "annotations": {"internal": "yes"},
        },
        "spec": {
            "podCIDR": "10.42.0.0/24",
            "providerID": "x://1",
            "taints": [{"key": "gpu", "effect": "NoSchedule"}],
        },
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "192.0.2.7"},
                {"type": "ExternalIP", "address": "203.0.113.7"},
                {"type": "Hostname", "address": "rack-7"},
            ],
            "capacity": {"cpu": "8", "pods": "250"},
            "allocatable": {"cpu": "7", "pods": "250"},
            "conditions": [condition],
            "nodeInfo": {"kubeletVersion": "v1.36.3", "machineID": "m", "architecture": "arm64"},
            "images": [{"names": ["secret.example.org/app"]}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10255}},
            **status,
        },
    }


def test_a_real_node_is_copied_without_what_identifies_the_host() -> None:
    node = created(RealNodes(""), podcases.scope(host=[host_node()]))
    assert node["metadata"] == {
        "name": NODE,
        "labels": {"kubernetes.io/arch": "arm64", "vcp.dev/node": "real"},
    }
    assert node["spec"] == {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}
    status = node["status"]
    assert status["capacity"] == {"cpu": "8", "pods": "250"}
    assert status["nodeInfo"]["kubeletVersion"] == "v1.36.3"
    assert status["nodeInfo"]["machineID"] == ""
    assert "images" not in status
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}
    assert status["addresses"] == [
        {"type": "InternalIP", "address": "192.0.2.7"},
        {"type": "Hostname", "address": NODE},
        KUBELET,
    ]


def test_heartbeats_of_a_real_node_cost_no_write() -> None:
    node = there(created(RealNodes(""), podcases.scope(host=[host_node()])))
    beat = copy.deepcopy(host_node())
    beat["status"]["conditions"][0]["lastHeartbeatTime"] = "2027-01-15T08:05:00Z"
    assert plan(RealNodes(""), podcases.scope(tenant=[node], host=[beat])) == []
    beat["status"]["conditions"][0] |= {"status": "False", "reason": "KubeletNotReady"}
    (patch,) = plan(RealNodes(""), podcases.scope(tenant=[node], host=[beat]))
    assert isinstance(patch, Patch)
    assert list(patch.body["status"]) == ["conditions"]


def test_a_cordon_of_the_host_shows() -> None:
    node = there(created(RealNodes(""), podcases.scope(host=[host_node()])))
    cordoned = host_node()
    cordoned["spec"]["unschedulable"] = True
    (patch,) = plan(RealNodes(""), podcases.scope(tenant=[node], host=[cordoned]))
    assert isinstance(patch, Patch)
    assert patch.body == {"spec": {"unschedulable": True}}


def test_a_node_that_is_not_selected_is_made_from_its_pods() -> None:
    node = created(RealNodes("pool=a"), podcases.scope(host=[running()[1]]))
    assert node["metadata"]["labels"]["vcp.dev/node"] == "pseudo"


def test_a_real_node_that_left_the_host_goes_like_an_idle_one() -> None:
    node = there(created(RealNodes(""), podcases.scope(host=[host_node()])))
    mark, wait = plan(RealNodes(""), podcases.scope(tenant=[node]))
    assert isinstance(mark, Patch)
    assert wait == Wait(300)


def test_real_nodes_are_read_across_the_cluster_by_selector() -> None:
    nodes = RealNodes("pool=a")
    assert nodes.watches == {"tenant": "", "host": "pool=a"}
    (rule,) = [rule for rule in nodes.rules() if rule.side == "host"]
    assert (rule.api, rule.verbs, rule.cluster) == (apis.NODES, ("get", "list", "watch"), True)
