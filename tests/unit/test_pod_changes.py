"""What of a running pod follows the tenant's edits, and what of the host's is left alone."""

import copy
from typing import Any

import pytest

from kube.objects import Obj
from syncer.core.actions import Action, Patch, Report
from syncer.core.scope import Scope
from syncer.kinds.pods.changes import host_changes
from syncer.kinds.pods.metadata import host_annotations
from tests.unit import podcases
from tests.unit.podcases import HOST_KEY, HOST_UID, condition, running

Pair = tuple[Obj, Obj]
FOREVER = {"key": "example.org/spot", "operator": "Exists", "effect": "NoSchedule"}
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}


def changes(tenant: Obj, host: Obj, scope: Scope | None = None, *, running: bool = True) -> list[Action]:
    return host_changes(tenant, host, scope or podcases.scope(), running=running)


def body(tenant: Obj, host: Obj, subresource: str = "", scope: Scope | None = None) -> Any:
    """The one patch there is, which is safe and of this subresource."""
    (patch,) = changes(tenant, host, scope)
    assert isinstance(patch, Patch)
    assert (patch.side, patch.key, patch.uid) == ("host", HOST_KEY, HOST_UID)
    assert (patch.subresource, patch.type) == (subresource, "strategic")
    return patch.body


def test_a_settled_pod_has_no_changes() -> None:
    assert changes(*running()) == []


# -- Labels and annotations


def test_edited_labels_and_annotations_follow() -> None:
    tenant, host = running()
    tenant["metadata"]["labels"] = {"app": "web", "tier": "front"}
    tenant["metadata"]["annotations"] = {"note": "changed"}
    patch = body(tenant, host)["metadata"]
    assert patch["labels"] == {"tier": "front"}
    assert patch["annotations"]["note"] == "changed"


def test_removed_keys_go_and_keys_added_by_the_host_stay() -> None:
    tenant, host = running()
    host["metadata"]["labels"]["host.example/zone"] = "a"
    host["metadata"]["annotations"]["cni.example/ip"] = "10.42.0.5"
    assert changes(tenant, host) == []
    tenant["metadata"]["labels"], tenant["metadata"]["annotations"] = {}, {}
    patch = body(tenant, host)["metadata"]
    assert patch["labels"] == {"app": None}
    assert patch["annotations"]["note"] is None
    assert "cni.example/ip" not in patch["annotations"]


def test_what_the_host_changed_of_ours_is_repaired_without_an_old_copy() -> None:
    tenant, host = running()
    host["metadata"]["labels"]["app"] = "other"
    assert body(tenant, host) == {"metadata": {"labels": {"app": "web"}}}


def test_a_garbled_list_of_keys_takes_nothing_away_and_is_repaired() -> None:
    tenant, host = running()
    keys = host["metadata"]["annotations"]["vcp.dev/keys"]
    host["metadata"]["annotations"] |= {"vcp.dev/keys": "{", "cni.example/ip": "10.42.0.5"}
    assert body(tenant, host) == {"metadata": {"annotations": {"vcp.dev/keys": keys}}}


def test_labels_of_the_namespace_follow_also_when_they_go() -> None:
    tenant, host = running()
    host["metadata"]["labels"]["ns.vcp.dev/old"] = "yes"
    namespace: Obj = {"kind": "Namespace", "metadata": {"name": "default", "labels": {"team": "a"}}}
    selecting = podcases.selecting("other", "team")
    labels = body(tenant, host, scope=podcases.scope(tenant=[namespace, selecting]))["metadata"]["labels"]
    assert labels == {"ns.vcp.dev/team": "a", "ns.vcp.dev/old": None}


# -- Spec


def test_an_image_is_patched_by_name() -> None:
    tenant, host = running()
    host["spec"]["containers"].insert(0, {"name": "proxy", "image": "mesh/proxy:2"})
    tenant["spec"]["containers"][0]["image"] = "example.org/app:2"
    assert body(tenant, host)["spec"] == {"containers": [{"name": "app", "image": "example.org/app:2"}]}


def test_images_of_init_containers_follow() -> None:
    tenant, host = running()
    tenant["spec"]["initContainers"] = [{"name": "init", "image": "example.org/init:2"}]
    host["spec"]["initContainers"] = [{"name": "init", "image": "example.org/init:1"}]
    assert body(tenant, host)["spec"] == {"initContainers": [{"name": "init", "image": "example.org/init:2"}]}


def test_an_image_that_the_host_rewrote_stays_until_the_tenant_changes_it() -> None:
    tenant, host = running()
    host["spec"]["containers"][0]["image"] = "mirror.example/app:1"
    assert changes(tenant, host) == []
    tenant["spec"]["containers"][0]["image"] = "example.org/app:2"
    patch = body(tenant, host)
    assert patch["spec"] == {"containers": [{"name": "app", "image": "example.org/app:2"}]}
    host["metadata"]["annotations"] |= patch["metadata"]["annotations"]  # the host rewrites this one, too
    assert changes(tenant, host) == []


def test_tolerations_are_added_to_the_hosts_own() -> None:
    tenant, host = running()
    host["spec"]["tolerations"] = [UNREACHABLE]
    tenant["spec"]["tolerations"] = [FOREVER]
    assert body(tenant, host) == {"spec": {"tolerations": [UNREACHABLE, FOREVER]}}


def test_tolerations_that_the_host_added_are_no_drift() -> None:
    tenant, host = running()
    tenant["spec"]["tolerations"] = [FOREVER]
    host["spec"]["tolerations"] = [UNREACHABLE, FOREVER]
    assert changes(tenant, host) == []


def test_the_seconds_of_a_toleration_may_change() -> None:
    tenant, host = running()
    tenant["spec"]["tolerations"] = [UNREACHABLE | {"tolerationSeconds": 10}]
    host["spec"]["tolerations"] = [UNREACHABLE | {"tolerationSeconds": 300}, FOREVER]
    expected = [UNREACHABLE | {"tolerationSeconds": 10}, FOREVER]
    assert body(tenant, host) == {"spec": {"tolerations": expected}}


@pytest.mark.parametrize(
    ("ours", "theirs", "wanted"), [(60, None, 60), (60, 90, 60), (90, 60, None), (60, 60, None)]
)
def test_a_deadline_may_only_become_earlier(ours: int, theirs: int | None, wanted: int | None) -> None:
    tenant, host = running()
    tenant["spec"]["activeDeadlineSeconds"], host["spec"]["activeDeadlineSeconds"] = ours, theirs
    if wanted is None:
        assert changes(tenant, host) == []
    else:
        assert body(tenant, host) == {"spec": {"activeDeadlineSeconds": wanted}}


def test_the_one_change_of_the_termination_grace_period() -> None:
    tenant, host = running()
    tenant["spec"]["terminationGracePeriodSeconds"] = 1
    assert changes(tenant, host) == []
    host["spec"]["terminationGracePeriodSeconds"] = -1
    assert body(tenant, host) == {"spec": {"terminationGracePeriodSeconds": 1}}


def test_defaults_of_the_host_are_no_drift() -> None:
    tenant, host = running()
    tenant["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    host["spec"]["containers"][0]["resources"] = {
        "requests": {"cpu": "100m", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "128Mi"},
    }
    host["spec"] |= {
        "activeDeadlineSeconds": 600,
        "priority": 3,
        "volumes": [{"name": "mesh", "emptyDir": {}}],
    }
    assert changes(tenant, host) == []


def test_a_pod_on_its_way_out_changes_its_labels_only() -> None:
    tenant, host = running()
    tenant["spec"]["activeDeadlineSeconds"] = 60
    assert changes(tenant, host, running=False) == []
    tenant["metadata"]["labels"] = {"app": "retired"}
    (patch,) = changes(tenant, host, running=False)
    assert isinstance(patch, Patch)
    assert patch.body == {"metadata": {"labels": {"app": "retired"}}}


# -- Subresources


def test_ephemeral_containers_are_added_by_their_subresource() -> None:
    tenant, host = running()
    old, new = ({"name": name, "image": "busybox", "targetContainerName": "app"} for name in ("old", "new"))
    host["spec"]["ephemeralContainers"] = [old, {"name": "admin", "image": "busybox"}]
    tenant["spec"]["ephemeralContainers"] = [old]
    assert changes(tenant, host) == []
    tenant["spec"]["ephemeralContainers"] = [old, new]
    (container,) = body(tenant, host, "ephemeralcontainers")["spec"]["ephemeralContainers"]
    assert container["name"] == "new"


def test_a_refused_ephemeral_container_is_reported() -> None:
    tenant, host = running()
    privileged = {"name": "debug", "image": "busybox", "securityContext": {"privileged": True}}
    tenant["spec"]["ephemeralContainers"] = [privileged]
    (report,) = changes(tenant, host)
    assert isinstance(report, Report)
    assert (report.type, report.reason) == ("Warning", "Refused")
    assert "privileged" in report.message


def test_a_refused_ephemeral_container_keeps_no_other_back() -> None:
    """It stays in the tenant's list for good: nothing there can be taken away."""
    tenant, host = running()
    bad = {"image": "busybox", "securityContext": {"privileged": True}}
    good = {"image": "busybox"}
    tenant["spec"]["ephemeralContainers"] = [
        {"name": name, **fields} for name, fields in (("b1", bad), ("g1", good), ("b2", bad), ("g2", good))
    ]
    patch, *reports = changes(tenant, host)
    assert isinstance(patch, Patch)
    assert [each["name"] for each in patch.body["spec"]["ephemeralContainers"]] == ["g1", "g2"]
    assert ["ephemeralContainers[0]" in report.message for report in reports] == [True, False]  # type: ignore[union-attr]
    host["spec"]["ephemeralContainers"] = patch.body["spec"]["ephemeralContainers"]
    assert len(changes(tenant, host)) == 2


@pytest.mark.parametrize(
    "forged",
    ["Ready", "ContainersReady", "PodScheduled", "Initialized", "DisruptionTarget", "PodResizePending"],
)
def test_no_gate_makes_a_condition_of_kubernetes_the_tenants(forged: str) -> None:
    tenant, host = running()
    for pod in (tenant, host):
        pod["spec"]["readinessGates"] = [{"conditionType": forged}, {"conditionType": "example.org/ready"}]
    others = [one for one in tenant["status"]["conditions"] if one["type"] != forged]
    tenant["status"]["conditions"] = [*others, condition(forged, "True", reason="Forged")]
    host["status"]["conditions"] = [condition(forged, "False", reason="Real")]
    assert changes(tenant, host) == []


def test_resources_are_resized_by_name() -> None:
    tenant, host = running()
    tenant["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2", "memory": "1Gi"}}
    host["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1", "memory": "1Gi"}}
    resized = {"containers": [{"name": "app", "resources": {"requests": {"cpu": "2"}}}]}
    assert body(tenant, host, "resize") == {"spec": resized}


def test_sidecars_and_the_pod_are_resized_and_init_containers_are_not() -> None:
    tenant, host = running()
    names = (("init", {}), ("sidecar", {"restartPolicy": "Always"}))
    for pod, cpu in ((tenant, "2"), (host, "1")):
        resources: Obj = {"limits": {"cpu": cpu}}
        pod["spec"]["resources"] = resources
        pod["spec"]["initContainers"] = [
            {"name": name, "image": "i", "resources": resources, **fields} for name, fields in names
        ]
    host["metadata"]["annotations"] |= host_annotations(tenant, podcases.scope())
    limits = {"limits": {"cpu": "2"}}
    expected = {"resources": limits, "initContainers": [{"name": "sidecar", "resources": limits}]}
    assert body(tenant, host, "resize") == {"spec": expected}


def gated() -> Pair:
    tenant, host = running()
    for pod in (tenant, host):
        pod["spec"]["readinessGates"] = [{"conditionType": "example.org/ready"}]
    return tenant, host


def test_conditions_of_readiness_gates_go_to_the_host_one_by_one() -> None:
    tenant, host = gated()
    tenant["status"]["conditions"].append(condition("example.org/ready", observedGeneration=4))
    (change,) = body(tenant, host, "status")["status"]["conditions"]
    assert (change["type"], change["status"]) == ("example.org/ready", "True")
    assert "observedGeneration" not in change
    host["status"] = podcases.merged(host["status"], {"conditions": [change]})
    assert changes(tenant, host) == []


def test_a_gate_condition_that_the_tenant_took_back_goes() -> None:
    tenant, host = gated()
    host["status"]["conditions"].append(condition("example.org/ready"))
    deleted = [{"type": "example.org/ready", "$patch": "delete"}]
    assert body(tenant, host, "status") == {"status": {"conditions": deleted}}


def test_nothing_of_the_stores_is_changed() -> None:
    tenant, host = gated()
    tenant["spec"]["tolerations"], host["spec"]["tolerations"] = [FOREVER], [UNREACHABLE]
    tenant["spec"]["containers"][0]["image"] = "example.org/app:2"
    before = copy.deepcopy((tenant, host))
    changes(tenant, host)
    assert (tenant, host) == before
