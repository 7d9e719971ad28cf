"""What the host or the tenant's spec does not allow is said where the tenant looks: on their pod."""

import copy
from typing import Any

import pytest

from ..conftest import eventually
from ..objects import pod
from .conftest import Place

HOST_PATH = {
    "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
    "container": {"volumeMounts": [{"name": "root", "mountPath": "/host"}]},
}
PRIVILEGED = {"container": {"securityContext": {"privileged": True}}}


def test_a_full_quota_is_told_and_the_pod_runs_when_there_is_room(place: Place) -> None:
    vcp, name = place.tenant.vcp, place.tenant.name
    vcp.run("create", name, "--set", "quota.pods=0")
    try:
        place.apply(pod("waiting"))
        described = eventually(
            "the quota in kubectl describe",
            lambda: told if "exceeded quota" in (told := describe(place, "waiting")) else "",
        )
        assert "Pending" in described
        seen = place.pod("waiting")
        assert seen is not None
        conditions = {one["type"]: one for one in seen["status"].get("conditions", [])}
        assert conditions["PodScheduled"]["status"] == "False"
        assert "exceeded quota" in conditions["PodScheduled"]["message"]
    finally:
        vcp.run("create", name, "--set", "quota.pods=200")
    place.wait("--for=condition=Ready", "pod/waiting", seconds=90)


@pytest.mark.parametrize(
    ("name", "spec", "field", "key"),
    [
        ("host-path", HOST_PATH, "spec.volumes[0]", "sync.pods.volumes"),
        ("privileged", PRIVILEGED, "spec.containers[0].securityContext.privileged", "podSecurity"),
        ("host-network", {"hostNetwork": True}, "spec.hostNetwork", "podSecurity"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_field_and_the_key_that_would_allow_it(
    place: Place, name: str, spec: dict[str, Any], field: str, key: str
) -> None:
    place.apply(pod(name, **copy.deepcopy(spec)))
    told = eventually("the refusal", lambda: [text for text in place.events(name) if field in text])
    assert key in told[0]
    assert name not in place.on_host()


def describe(place: Place, name: str) -> str:
    return place.kubectl("describe", "pod", name).stdout
