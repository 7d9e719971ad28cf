"""Why something waits, in words."""

from typing import Any

import pytest

from vcp import diagnosis


def pod(status: dict[str, Any], **meta: str) -> dict[str, Any]:
    return {"metadata": {"name": "etcd-0", "uid": "u1", **meta}, "status": status}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"name": "etcd", "state": state}]}


UNSCHEDULED = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes"}]}
CRASHED = {"initContainerStatuses": [{"name": "init", "state": {"terminated": {"exitCode": 3}}}]}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({"conditions": [{"type": "Ready", "status": "True"}]}, []),
        ({}, ["etcd-0 is Pending"]),
        ({"phase": "Running"}, ["etcd-0 is running, not ready"]),
        (UNSCHEDULED, ["etcd-0 is not scheduled (0/2 nodes)"]),
        (waiting("ContainerCreating"), ["etcd-0 is Pending"]),
        (
            waiting("ImagePullBackOff", "no such image"),
            ["etcd-0 etcd is in ImagePullBackOff (no such image)"],
        ),
        (CRASHED, ["etcd-0 init exited with code 3"]),
    ],
)
def test_pods(status: dict[str, Any], text: list[str]) -> None:
    assert diagnosis.reasons([pod(status)]) == text


def test_the_newest_warning_of_the_object_is_quoted() -> None:
    events = [
        {"type": type_, "lastTimestamp": when, "message": when, "involvedObject": {"uid": uid}}
        for type_, when, uid in [("Warning", "1", "u1"), ("Warning", "2", "u1"), ("Normal", "3", "u1")]
    ]
    claim = {"metadata": {"name": "data-etcd-0", "uid": "u2"}, "status": {"phase": "Pending"}}
    assert diagnosis.reasons([pod({})], [claim], events) == [
        "etcd-0 is Pending: 2",
        "data-etcd-0 (claim) is Pending",
    ]
    assert diagnosis.reasons([pod({}, deletionTimestamp="now")]) == ["etcd-0 is terminating"]


def test_what_the_syncer_notes_on_its_lease() -> None:
    notes = {"vcp.dev/overdrawn": "7", "vcp.dev/replaced": "discovery.k8s.io/v1", "vcp.dev/fights": "2"}
    slow, replaced, fights = diagnosis.pressure([{"metadata": {"annotations": notes}}])
    assert "waits 7 s" in slow
    assert "another server answer for discovery.k8s.io/v1" in replaced
    assert "to 2 objects" in fights
    assert diagnosis.pressure([{"metadata": {}}]) == []
