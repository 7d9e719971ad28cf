"""What `vcp doctor` says about a host, given the facts."""

from typing import Any

import pytest

from vcp import spec
from vcp.doctor import finding, host_findings, probe
from vcp.doctor.finding import Finding
from vcp.doctor.host_findings import Seen
from vcp.errors import HostError, UsageError
from vcp.render import doctor as rendering

FINE = Seen(pod_security=True, service=True, pod=True, dns=("10.0.0.1",), ingress=True, egress=True)


def spoken(one: Finding) -> bool:
    """Whether a finding that matters says what it means and what to do."""
    return one.level == "ok" or bool(one.meaning and one.action)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("v1.36.3", "ok"),
        ("v1.34.0-eks-1", "ok"),
        ("v1.33.9", "broken"),
        ("v1.99.0", "warning"),
        ("nginx", "broken"),
    ],
)
def test_versions(text: str, level: str) -> None:
    found = host_findings.version(text)
    assert (found.level, text in found.found, spoken(found)) == (level, True, True)


@pytest.mark.parametrize(("seconds", "level"), [(0.01, "ok"), (0.2, "warning"), (2.0, "broken")])
def test_latency_is_the_median(seconds: float, level: str) -> None:
    found = host_findings.latency([seconds, seconds, 5.0])
    assert found.level == level
    assert "at most 5000 ms" in found.found
    assert spoken(found)


def test_permissions_are_listed() -> None:
    assert host_findings.permissions([]).level == "ok"
    found = host_findings.permissions(["create secrets in namespace vcp-a", "get roles"])
    assert found.level == "broken"
    assert "create secrets in namespace vcp-a; get roles" in found.found


@pytest.mark.parametrize(
    ("classes", "wanted", "level", "said"),
    [
        ({"fast": True}, "", "ok", "fast"),
        ({"fast": False}, "", "warning", "default"),
        ({"fast": False}, "fast", "ok", "fast"),
        ({"fast": True}, "slow", "broken", "slow"),
        ({}, "", "warning", "default"),
        (None, "", "warning", "may not"),
    ],
)
def test_storage(classes: dict[str, bool] | None, wanted: str, level: str, said: str) -> None:
    found = host_findings.storage(classes, spec.load({"name": "a", "storage": {"class": wanted}}))
    assert (found.level, said in found.found, spoken(found)) == (level, True, True)


def test_service_cidr_and_metrics() -> None:
    assert host_findings.service_cidr("10.43.0.0/16").level == "ok"
    assert host_findings.service_cidr("").level == "broken"
    assert host_findings.metrics(None).level == "ok"
    assert host_findings.metrics("").found == "the host has no metrics API"
    assert "503" in host_findings.metrics("503").found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"pod_security": False}, {"Pod Security": "broken"}),
        ({"pod_security": None}, {}),
        ({"dns": ()}, {"DNS": "broken"}),
        ({"dns_seconds": 5.0}, {"DNS": "warning"}),
        ({"service": False}, {"pods": "broken"}),
        ({"ingress": False, "egress": False}, {"NetworkPolicies": "warning"}),
        ({"egress": False}, {"NetworkPolicies": "warning"}),
        ({"pod": False, "ingress": None, "egress": None}, {"pods": "broken", "NetworkPolicies": "warning"}),
        ({"failed": "no such image"}, {"pods": "broken"}),
    ],
)
def test_probes(change: dict[str, Any], expected: dict[str, str]) -> None:
    seen = Seen(**{field: getattr(FINE, field) for field in FINE.__struct_fields__} | change)
    found = list(host_findings.probes(seen))
    assert {one.check: one.level for one in found if one.level != "ok"} == expected
    assert all(map(spoken, found))


def test_which_direction_is_not_enforced_is_said() -> None:
    def said(**seen: bool) -> str:
        both = Seen(**{field: getattr(FINE, field) for field in FINE.__struct_fields__} | seen)
        return list(host_findings.probes(both))[-1].found

    assert "for ingress only" in said(egress=False)
    assert "for egress only" in said(ingress=False)
    assert "does not enforce them" in said(ingress=False, egress=False)


def test_the_exit_code_is_that_of_the_worst() -> None:
    assert finding.exit_code([Finding("a", "ok", ""), Finding("b", "warning", "")]) == 0
    assert finding.exit_code([Finding("a", "ok", ""), Finding("b", "broken", "")]) == finding.BROKEN == 7


async def test_a_check_that_fails_keeps_no_other() -> None:
    async def fails(error: BaseException) -> list[Finding]:
        raise error

    (one,) = await finding.checked("lag", fails(ExceptionGroup("", [HostError("no\n  way")])))
    assert (one.level, one.found) == ("warning", "not checked: no way")
    (one,) = await finding.checked("lag", fails(TimeoutError()))
    assert "TimeoutError" in one.found
    with pytest.raises(ExceptionGroup):
        await finding.checked("lag", fails(ExceptionGroup("", [UsageError("x"), ValueError("a bug")])))


def test_the_pods_bear_the_strictest_level_and_the_ports_agree() -> None:
    tenant = spec.load({"name": "a", "nodeSelector": {"pool": "ci"}, "tolerations": [{"operator": "Exists"}]})
    pod = rendering.pod("vcp-doctor", tenant, rendering.SERVER, "pass", ("serve",))
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["command"] == ["python3", "-c", "pass", "serve"]
    assert (pod["spec"]["nodeSelector"], pod["spec"]["tolerations"]) == (
        {"pool": "ci"},
        [{"operator": "Exists"}],
    )
    assert container["readinessProbe"]["tcpSocket"]["port"] == probe.OPEN
    policies = {
        obj["metadata"]["name"]: obj for obj in rendering.fixtures("x") if obj["kind"] == "NetworkPolicy"
    }
    (rule,) = policies["server"]["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [probe.OPEN]
    refused = rendering.privileged(pod)
    assert refused["spec"]["hostPID"]
    assert not pod["spec"].get("hostPID")


def test_what_a_killed_doctor_leaves_is_a_tenant_to_reap() -> None:
    meta = rendering.namespace("doctor-1")["metadata"]
    assert meta["name"] == "vcp-doctor-1"
    assert meta["labels"].items() >= {"vcp.dev/tenant": "doctor-1", "vcp.dev/made-namespace": "true"}.items()
