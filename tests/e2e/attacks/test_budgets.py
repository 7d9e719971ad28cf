"""One tenant's objects may not cost the host more than they are worth."""

import json
import time
from typing import Any

from ..conftest import eventually
from ..objects import pod, service
from ..workloads.conftest import Place


def test_variables_that_double_never_reach_a_kubelet(place: Place) -> None:
    """A pod of some kilobytes would fill the memory of the node."""
    env = [{"name": "V0", "value": "x" * 64}]
    env += [{"name": f"V{number}", "value": f"$(V{number - 1})" * 2} for number in range(1, 40)]
    bomb = pod("bomb", "true")
    bomb["spec"]["containers"][0]["env"] = env
    just = pod("just", "sh", "-c", "echo ${#V10}; sleep 3600")
    just["spec"]["containers"][0]["env"] = env[:11]
    place.apply(bomb, just)
    (message,) = eventually("an Event", lambda: place.events("bomb", "Refused"))
    assert "expands to 131076 bytes; at most 131071" in message
    place.wait("--for=condition=Ready", "pod/just")
    eventually("its output", lambda: place.logs("just").strip() == "65536")
    assert list(place.on_host()) == ["just"]


def test_a_pod_of_too_many_parts_says_the_number_and_the_limit(place: Place) -> None:
    crowd = pod("crowd", "true")
    first = crowd["spec"]["containers"][0]
    crowd["spec"]["containers"] = [first | {"name": f"c{number}"} for number in range(65)]
    place.apply(crowd)
    (message,) = eventually("an Event", lambda: place.events("crowd", "Refused"))
    assert "65 containers; at most 64 (allowed by sync.pods.limits.containers" in message
    conditions = place.get("pod", "crowd")["status"]["conditions"]
    assert "65 containers; at most 64" in conditions[0]["message"]
    assert place.on_host() == {}


def test_many_services_do_not_make_pods_too_large(place: Place) -> None:
    """Told to each of twelve containers, these would be more than the host's etcd takes."""
    ports = [{"name": f"port-number-{number}", "port": 8000 + number} for number in range(20)]
    services = [service(f"a-service-with-a-rather-long-name-{number}", ports=ports) for number in range(25)]
    place.apply(*services)
    crowd = pod("crowd", "sleep", "3600")
    first = crowd["spec"]["containers"][0]
    crowd["spec"]["containers"] = [first | {"name": f"c{number}"} for number in range(12)]
    place.apply(crowd)
    place.wait("--for=condition=Ready", "pod/crowd")
    told = place.run("crowd", "env", container="c11")
    assert len(told) * 12 > 1_572_864, len(told)
    assert "A_SERVICE_WITH_A_RATHER_LONG_NAME_24_PORT_8019_TCP_PROTO=tcp" in told
    host = place.on_host()["crowd"]
    assert len(json.dumps(host)) < 64 * 1024


def test_forty_updates_of_a_fat_object_cost_the_host_a_few(place: Place) -> None:
    """The last state arrives all the same."""
    fat = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "fat", "annotations": {"vcp.dev/sync": "true"}},
        "data": {"x": "y" * 600_000, "n": "-1"},
    }
    place.kubectl("create", "-f", "-", stdin=json.dumps(fat))
    there = eventually("it is on the host", lambda: mirrored(place, "fat"))
    first = int(there["metadata"]["resourceVersion"])
    seen, began = {first}, time.monotonic()
    for number in range(40):
        patch = json.dumps({"data": {"n": str(number)}})
        place.kubectl("patch", "configmap", "fat", "--type=merge", "-p", patch)
        seen.add(int((mirrored(place, "fat") or there)["metadata"]["resourceVersion"]))
    eventually("the last state", lambda: (mirrored(place, "fat") or there)["data"]["n"] == "39")
    seen.add(int((mirrored(place, "fat") or there)["metadata"]["resourceVersion"]))
    assert len(seen) <= 6 + (time.monotonic() - began) / 10, seen  # one takes ten seconds' share


def mirrored(place: Place, name: str) -> dict[str, Any] | None:
    """The ConfigMap on the host."""
    marks = f"vcp.dev/tenant={place.tenant.name},vcp.dev/namespace={place.namespace}"
    found = place.tenant.vcp.lab.get("-n", place.tenant.work, "configmaps", "-l", marks)["items"]
    return next((one for one in found if one["metadata"]["annotations"]["vcp.dev/name"] == name), None)


def test_a_policy_that_changes_each_status_is_not_fought_without_end(place: Place) -> None:
    """The tenant is told, and the pod's status is right again once the policy is gone."""
    kind = "admissionregistration.k8s.io/v1"
    name = f"change-{place.namespace}"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["pods/status"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}}
    expression = 'Object{status: Object.status{message: "not so"}}'
    policy = {
        "apiVersion": kind,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "Never",
            "mutations": [
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
            ],
        },
    }
    binding = {
        "apiVersion": kind,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    place.apply(pod("disputed", "sleep", "3600"))
    place.wait("--for=condition=Ready", "pod/disputed")
    place.apply(policy, binding)
    try:
        # A policy takes effect after some seconds; then any change of the status begins the fight.
        def disputed() -> bool:
            change = json.dumps({"status": {"reason": str(time.time_ns())}})
            place.kubectl("patch", "pod", "disputed", "--subresource=status", "--type=merge", "-p", change)
            return bool(place.events("disputed", "Contended"))

        eventually("an Event", disputed)
        before = int(place.get("pod", "disputed")["metadata"]["resourceVersion"])
        versions = set()
        ends = time.monotonic() + 10
        while time.monotonic() < ends:
            versions.add(int(place.get("pod", "disputed")["metadata"]["resourceVersion"]))
        assert len(versions - {before}) <= 6, versions
    finally:
        place.kubectl("delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", name)
    eventually("the host's status", lambda: "message" not in place.get("pod", "disputed")["status"], 150)
