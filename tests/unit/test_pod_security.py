"""The Pod Security levels: what each refuses, field by field, and what it lets pass."""

from typing import Any

import pytest

from kube.objects import Obj
from syncer.kinds.pods import security
from tests.pod_scope import container, pod

RESTRICTED: Obj = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
    "capabilities": {"drop": ["ALL"]},
}


def refused(tenant: Obj, level: Any) -> list[str]:
    return [problem.field for problem in security.problems(tenant, level)]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"hostNetwork": True}, "spec.hostNetwork"),
        ({"hostPID": True}, "spec.hostPID"),
        ({"hostIPC": True}, "spec.hostIPC"),
        ({"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}, "spec.volumes[0].hostPath"),
        (
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            "spec.securityContext.sysctls[0]",
        ),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            "spec.securityContext.seccompProfile.type",
        ),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}},
            "spec.securityContext.windowsOptions.hostProcess",
        ),
    ],
)
def test_baseline_refuses_of_a_pod(spec: Obj, field: str) -> None:
    assert refused(pod(spec), "baseline") == [field]
    assert field in refused(pod(spec), "restricted")
    assert refused(pod(spec), "privileged") == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 81}]}, "ports[1].hostPort"),
        ({"securityContext": {"privileged": True}}, "securityContext.privileged"),
        ({"securityContext": {"procMount": "Unmasked"}}, "securityContext.procMount"),
        ({"securityContext": {"capabilities": {"add": ["NET_RAW"]}}}, "securityContext.capabilities.add"),
        (
            {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}},
            "securityContext.seLinuxOptions.type",
        ),
        ({"securityContext": {"seLinuxOptions": {"user": "u"}}}, "securityContext.seLinuxOptions.user"),
        ({"securityContext": {"seLinuxOptions": {"role": "r"}}}, "securityContext.seLinuxOptions.role"),
        (
            {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
            "securityContext.appArmorProfile.type",
        ),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}},
            "securityContext.windowsOptions.hostProcess",
        ),
        ({"livenessProbe": {"httpGet": {"host": "192.0.2.1"}}}, "livenessProbe.httpGet.host"),
        ({"startupProbe": {"tcpSocket": {"host": "192.0.2.1"}}}, "startupProbe.tcpSocket.host"),
        (
            {"lifecycle": {"postStart": {"httpGet": {"host": "192.0.2.1"}}, "stopSignal": "SIGTERM"}},
            "lifecycle.postStart.httpGet.host",
        ),
    ],
)
def test_baseline_refuses_of_a_container(fields: Obj, field: str) -> None:
    assert refused(container(**fields), "baseline") == [f"spec.containers[0].{field}"]
    assert refused(container(**fields), "privileged") == []
    setup = pod({"initContainers": [{"name": "setup", **fields}]})
    assert refused(setup, "baseline") == [f"spec.initContainers[0].{field}"]


@pytest.mark.parametrize("value", ["", "runtime/default", "localhost/mine"])
def test_baseline_lets_profiles_of_the_node_pass(value: str) -> None:
    key = "container.apparmor.security.beta.kubernetes.io/app"
    assert refused(pod(annotations={key: value}), "baseline") == []
    assert refused(
        pod(annotations={key: f"{value}x" if value == "runtime/default" else "unconfined"}), "baseline"
    )


def test_restricted_lets_a_modest_pod_pass() -> None:
    assert refused(container(securityContext=RESTRICTED), "restricted") == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
        ({"runAsNonRoot": False}, "runAsNonRoot"),
        ({"runAsNonRoot": None}, "runAsNonRoot"),
        ({"runAsUser": 0}, "runAsUser"),
        ({"seccompProfile": None}, "seccompProfile.type"),
        ({"capabilities": {"drop": ["NET_RAW"]}}, "capabilities.drop"),
        ({"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}, "capabilities.add"),
        ({"capabilities": None}, "capabilities.drop"),
    ],
)
def test_restricted_refuses_of_a_container(change: Obj, field: str) -> None:
    tenant = container(securityContext=RESTRICTED | change)
    assert refused(tenant, "restricted") == [f"spec.containers[0].securityContext.{field}"]


def test_restricted_takes_what_the_pod_says_for_its_containers() -> None:
    tenant = container(securityContext={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}})
    tenant["spec"]["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}
    assert refused(tenant, "restricted") == []


@pytest.mark.parametrize("kind", ["nfs", "hostPath", "iscsi"])
def test_restricted_lists_volume_types(kind: str) -> None:
    tenant = container(securityContext=RESTRICTED)
    tenant["spec"]["volumes"] = [{"name": "a", "csi": {}}, {"name": "b", kind: {}}]
    assert refused(tenant, "restricted") == [f"spec.volumes[1].{kind}"]


def test_a_user_namespace_relaxes_what_concerns_root() -> None:
    tenant = container(securityContext=RESTRICTED | {"runAsNonRoot": None, "runAsUser": 0})
    tenant["spec"]["hostUsers"] = False
    assert refused(tenant, "restricted") == []
    unmasked = container(securityContext=RESTRICTED | {"procMount": "Unmasked"})
    unmasked["spec"]["hostUsers"] = False
    assert refused(unmasked, "baseline") == []
    assert refused(unmasked, "restricted") == ["spec.containers[0].securityContext.procMount"]


def test_windows_pods_cannot_set_what_linux_pods_must() -> None:
    tenant = container(securityContext={"runAsNonRoot": True})
    tenant["spec"]["os"] = {"name": "windows"}
    assert refused(tenant, "restricted") == []


def test_problems_name_the_level_and_what_would_allow_it() -> None:
    (problem,) = security.problems(pod({"hostPID": True}), "baseline")
    assert str(problem) == (
        "spec.hostPID: must not be true at Pod Security level baseline"
        " (allowed by spec.podSecurity of the tenant's spec)"
    )
