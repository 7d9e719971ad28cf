"""What `vcp doctor NAME` says about a tenant, given the facts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kube import apis
from kube.objects import Key
from syncer.engine.metrics import Metrics
from vcp import inventory
from vcp.doctor import drift, lag, orphans, tenant_findings
from vcp.doctor.drift import Drift
from vcp.doctor.tenant_findings import Term
from vcp.spec import load

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def tenant(state: str, down: str = "") -> inventory.Tenant:
    part = inventory.Component(down or "api", "Deployment", 0, 1, why=f"{down} 0/1 ready" if down else "")
    made = inventory.named(load({"name": "a"}))
    return msgspec.structs.replace(made, state=state, reason=part.why, components=(part,))


def test_a_control_plane() -> None:
    assert tenant_findings.control_plane(tenant("Ready"), []).level == "ok"
    for state in ("Provisioning", "Terminating"):
        assert tenant_findings.control_plane(tenant(state), []).level == "broken"
    found = tenant_findings.control_plane(tenant("NotReady", "syncer"), ["syncer-1 is Pending"])
    assert (found.level, found.found) == ("broken", "syncer 0/1 ready; syncer-1 is Pending")
    assert "nothing of the tenant gets to the host" in found.meaning
    assert "vcp logs a" in found.action


@pytest.mark.parametrize(
    ("left", "level", "said"),
    [(300 * DAY, "ok", "300d"), (90 * DAY, "warning", "api.crt"), (-DAY, "broken", "ended on 2025-12-31")],
)
def test_certificates(left: timedelta, level: str, said: str) -> None:
    end = NOW + left
    terms = {"api.crt": Term(end - 365 * DAY, end), "ca.crt": Term(NOW - DAY, NOW + 3650 * DAY)}
    found = tenant_findings.certificates(terms, "a", NOW)
    assert (found.level, said in found.found) == (level, True), found.found
    assert "ca.crt" not in found.found
    assert tenant_findings.certificates({}, "a", NOW).level == "warning"


def test_drift_of_what_isolates_is_broken_and_comes_first() -> None:
    edited = Drift("Deployment", "vcp-a", "api", ("spec.replicas is 0, not 1",))
    gone = Drift("NetworkPolicy", "vcp-a", "vcp-deny", ())
    assert tenant_findings.drift([], "a").level == "ok"
    assert tenant_findings.drift([edited], "a").level == "warning"
    both = tenant_findings.drift([edited, gone], "a")
    assert both.level == "broken"
    assert both.found == (
        "NetworkPolicy vcp-deny in vcp-a is not there; Deployment api in vcp-a: spec.replicas is 0, not 1"
    )


def test_a_long_list_is_cut() -> None:
    many = [Drift("Deployment", "", str(number), ()) for number in range(9)]
    assert tenant_findings.drift(many, "a").found.endswith("; and 4 more")


def test_differences() -> None:
    live: dict[str, Any] = {"spec": {"replicas": 0, "args": ["-a", "-b"], "extra": 1}, "kind": "x"}
    wanted = {"spec": {"replicas": 1, "args": ["-a", "-c"], "new": "n" * 100}, "kind": "x"}
    assert list(drift.differences(live, wanted)) == [
        "spec.replicas is 0, not 1",
        "spec.args[1] is '-b', not '-c'",
        "spec.extra is 1, not absent",
        f"spec.new is absent, not '{'n' * 56}...",
    ]
    assert list(drift.differences(live, live)) == []
    told = list(drift.differences({"data": {"key": "c2VjcmV0"}}, {"data": {"key": "b3RoZXI="}}, secret=True))
    assert told == ["data.key differs"]


def metrics(*, leader: bool, lags: tuple[float, ...] = (), depth: int = 0, in_step: bool = True) -> str:
    """What a syncer that saw these would say."""
    made = Metrics()
    made.leader.set(leader)
    made.depth.labels("fresh").set(depth)
    made.in_step.labels("tenant", "pods").set(in_step)
    for seconds in lags:
        made.lag.labels("host", "pods").observe(seconds)
    return made.text().decode()


def test_lag_is_read_from_all_replicas_of_which_one_leads() -> None:
    found = lag.read(
        [metrics(leader=True, lags=(0.002,) * 98 + (4.0, 4.0), depth=3), metrics(leader=False, in_step=False)]
    )
    assert found == lag.Lag(leaders=1, depth=3, writes=100, middle=0.0025, most=5.0, incomplete=())


@pytest.mark.parametrize(
    ("texts", "level", "said"),
    [
        ([metrics(leader=True)], "ok", "nothing has been written"),
        ([metrics(leader=True, lags=(0.1,))], "ok", "99 % within 0.1 s"),
        ([metrics(leader=True, lags=(9.0,))], "warning", "99 % within 10 s"),
        ([metrics(leader=True, lags=(0.1,), depth=999)], "warning", "999 keys"),
        ([metrics(leader=True, in_step=False)], "warning", "no complete list of tenant pods"),
        ([metrics(leader=False)], "broken", "no pod of the syncer leads"),
        ([], "broken", "no pod of the syncer leads"),
    ],
)
def test_lag(texts: list[str], level: str, said: str) -> None:
    found = tenant_findings.lag(lag.read(texts), "a")
    assert (found.level, said in found.found) == (level, True), found.found


def host(name: str, uid: str, **notes: str) -> dict[str, Any]:
    marks = {
        "vcp.dev/name": name,
        "vcp.dev/uid": uid,
        **{f"vcp.dev/{key}": text for key, text in notes.items()},
    }
    labels = {"vcp.dev/tenant": "a", "vcp.dev/namespace": "default"}
    return {"metadata": {"name": f"{name}-x", "namespace": "w", "labels": labels, "annotations": marks}}


def test_orphans() -> None:
    leaving = host("leaving", "u")
    leaving["metadata"]["deletionTimestamp"] = "now"
    unmarked = {"metadata": {"name": "kube-root-ca.crt", "namespace": "w"}}
    pods = [host("lives", "u1"), host("gone", "u2"), host("again", "old"), leaving, unmarked]
    found = orphans.copies(apis.PODS, pods)
    found += orphans.copies(apis.SECRETS, [host("gone", "u2", resource="pods"), host("unknown", "u")])
    found += orphans.copies(apis.SERVICES, [host("waits", "u", pending="1")])
    there = {"pods": {Key("default", "lives"): "u1", Key("default", "again"): "new"}}
    lost = orphans.orphaned(found, there)
    assert [str(one) for one in lost] == [
        "Pod gone-x (for pods default/gone)",
        "Pod again-x (for pods default/again)",
        "Secret gone-x (for pods default/gone)",
    ]
    assert tenant_findings.orphans(lost, "a").level == "warning"
    assert tenant_findings.orphans([], "a").level == "ok"
