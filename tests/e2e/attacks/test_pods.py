"""What a tenant's pods ask for to get at the host, at other tenants, or at what acts on the host's pods."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ..conftest import eventually
from ..objects import pod
from ..tenants.conftest import Tenant
from ..workloads.conftest import Place

_DOUBLING = [
    {"name": "V0", "value": "x" * 64},
    *({"name": f"V{number}", "value": f"$(V{number - 1})" * 2} for number in range(1, 12)),
]
_EMPTY = {"name": "empty", "emptyDir": {}}
_MOUNT = {"name": "empty", "mountPath": "/empty", "subPathExpr": "$(V11)"}


def _with(**fields: Any) -> dict[str, Any]:
    """A pod spec whose one container has these fields besides."""
    return {"container": fields}


# What is asked for, and where the refusal says that it stands.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "args-double": (_with(env=_DOUBLING, args=["$(V11)"]), "spec.containers[0].args[0]"),
    "command-doubles": (_with(env=_DOUBLING, command=["sh", "$(V11)"]), "spec.containers[0].command[1]"),
    "mount-doubles": (
        {"volumes": [_EMPTY], **_with(env=_DOUBLING, volumeMounts=[_MOUNT])},
        "subPathExpr",
    ),
    "init-doubles": (
        {"initContainers": [{"name": "first", "image": "x", "env": _DOUBLING, "args": ["$(V11)"]}]},
        "spec.initContainers[0].args[0]",
    ),
    "many-variables": (
        _with(env=[{"name": f"A{number}", "value": "x"} for number in range(2000)]),
        "spec.containers[0].env",
    ),
    "many-volumes": (
        {"volumes": [{"name": f"v{number}", "emptyDir": {}} for number in range(400)]},
        "spec.volumes",
    ),
    "shares-processes": ({"shareProcessNamespace": True}, "spec.shareProcessNamespace"),
    "host-pid": ({"hostPID": True}, "spec.hostPID"),
    "host-ipc": ({"hostIPC": True}, "spec.hostIPC"),
    "host-port": (_with(ports=[{"containerPort": 80, "hostPort": 80}]), "hostPort"),
    "unconfined": ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, "seccompProfile"),
    "sysctl": ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "sysctls"),
    "capability": (_with(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}), "capabilities"),
    "nfs": ({"volumes": [{"name": "n", "nfs": {"server": "10.0.0.1", "path": "/"}}]}, "spec.volumes[0]"),
    "csi": ({"volumes": [{"name": "c", "csi": {"driver": "secrets-store.csi.k8s.io"}}]}, "spec.volumes[0]"),
    "runtime-class": ({"runtimeClassName": "kata"}, "spec.runtimeClassName"),
}


def asked(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    made = pod(name, **copy.deepcopy(spec))
    for one in made["spec"].get("initContainers", ()):
        one.setdefault("imagePullPolicy", "Never")
    return made


@pytest.fixture(scope="module")
def crowd(working: Tenant) -> Iterator[Place]:
    """All of them at once, for the waiting is the same."""
    place = Place(working, "crowd-of-attackers")
    kind = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "kata"}
    working.kubectl("apply", "-f", "-", stdin=json.dumps({**kind, "metadata": {"name": "kata"}}))
    place.apply(*(asked(name, spec) for name, (spec, _) in REFUSED.items()))
    yield place
    working.kubectl("delete", "namespace", place.namespace, "--wait=false")


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_where_it_stands(crowd: Place, name: str) -> None:
    told = eventually("a refusal", lambda: crowd.events(name, "Refused"))
    assert REFUSED[name][1] in told[0]
    assert name not in crowd.on_host()


ACTED_ON = {
    "k8s.v1.cni.cncf.io/networks": "kube-system/host-network",
    "cni.projectcalico.org/ipAddrs": '["10.42.0.1"]',
    "io.kubernetes.cri-o.Devices": "/dev/sda",
    "io.katacontainers.config.hypervisor.path": "/bin/sh",
    "vault.hashicorp.com/agent-inject": "true",
    "sidecar.istio.io/inject": "true",
    "backup.velero.io/backup-volumes": "data",
    "iam.amazonaws.com/role": "admin",
    "container.apparmor.security.beta.kubernetes.io/main": "unconfined",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
}
LABELS = {
    "sidecar.istio.io/inject": "true",
    "azure.workload.identity/use": "true",
    "istio.io/dataplane-mode": "ambient",
    "app.kubernetes.io/component": "api",
    "app": "etcd",
}
GATES = ("Ready", "ContainersReady", "PodScheduled", "Initialized")


def test_what_controllers_of_the_host_act_on_stays_at_home(place: Place) -> None:
    """Annotations, labels, tolerations, accounts, priorities, graces, forged conditions: of one pod."""
    eager = pod("eager")
    annotations = {key: value for key, value in ACTED_ON.items() if "apparmor" not in key}
    eager["metadata"] |= {"annotations": annotations, "labels": LABELS}
    eager["spec"] |= {
        "tolerations": [{"operator": "Exists"}, {"key": "pool", "operator": "Equal", "value": "tenant-b"}],
        "priorityClassName": "system-node-critical",
        "terminationGracePeriodSeconds": 315_360_000,
        "readinessGates": [{"conditionType": gate} for gate in GATES],
        "schedulerName": "default-scheduler",
    }
    place.apply(eager)
    host = eventually("the host pod", lambda: place.on_host().get("eager"))
    place.kubectl("delete", "pod", "eager", "--grace-period=0", "--force")  # or its hour would be waited for
    there = host["metadata"]["annotations"]
    assert not annotations.keys() & there.keys()
    assert not [key for key in there if not key.startswith("vcp.dev/") and "cni" in key]
    labels = host["metadata"]["labels"]
    assert {key for key in labels if key in LABELS} == {"app.kubernetes.io/component", "app"}
    assert labels["pod.vcp.dev/sidecar.istio.io_inject"] == "true"
    assert "vcp.dev/component" not in labels
    keys = {one.get("key") for one in host["spec"].get("tolerations", ())}
    assert keys <= {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
    assert host["spec"]["serviceAccountName"] == "vcp-workload"
    assert host["spec"]["automountServiceAccountToken"] is False
    assert host["spec"].get("priorityClassName") != "system-node-critical"
    assert host["spec"]["terminationGracePeriodSeconds"] <= 3600


@pytest.mark.parametrize(
    ("field", "key"),
    [("labels", "vcp.dev/component"), ("labels", "vcp.dev/tenant"), ("annotations", "vcp.dev/uid"),
     ("labels", "ns.vcp.dev/team"), ("labels", "pod.vcp.dev/team")],
)  # fmt: skip
def test_no_pod_passes_for_a_part_of_the_control_plane(place: Place, field: str, key: str) -> None:
    forged = pod("forged")
    forged["metadata"][field] = {key: "api"}
    place.apply(forged)
    told = eventually("a refusal", lambda: place.events("forged", "Refused"))
    assert f"metadata.{field}[{key}]: is reserved for vcp" in told[0]
    assert place.on_host() == {}


def test_labels_that_come_later_reach_no_controller_either(place: Place) -> None:
    place.apply(pod("later", "sleep", "3600"))
    place.wait("--for=condition=Ready", "pod/later")
    place.kubectl("label", "pod", "later", "sidecar.istio.io/inject=true", "plain=yes")
    place.kubectl("annotate", "pod", "later", "k8s.v1.cni.cncf.io/networks=host")

    def followed() -> dict[str, Any] | None:
        found: dict[str, Any] = place.on_host()["later"]["metadata"]
        return found if found["labels"].get("plain") == "yes" else None

    metadata = eventually("the label", followed)
    assert "sidecar.istio.io/inject" not in metadata["labels"]
    assert "k8s.v1.cni.cncf.io/networks" not in metadata["annotations"]
    place.kubectl("label", "pod", "later", "vcp.dev/component=api")
    eventually("a refusal", lambda: place.events("later", "Refused"))
    assert "vcp.dev/component" not in place.on_host()["later"]["metadata"]["labels"]


def test_a_container_that_is_added_later_is_looked_at_as_closely(place: Place) -> None:
    """And one that is refused keeps none of the others back."""
    place.apply(pod("host", "sleep", "3600"))
    place.wait("--for=condition=Ready", "pod/host")
    base = place.pod("host")
    assert base is not None
    image = base["spec"]["containers"][0]["image"]
    added = [
        {"name": "bomb", "image": image, "env": _DOUBLING, "args": ["$(V11)"]},
        {"name": "root", "image": image, "securityContext": {"privileged": True}},
        {"name": "plain", "image": image, "command": ["sleep", "3600"]},
    ]
    body = json.dumps({"spec": {"ephemeralContainers": added}})
    place.kubectl("patch", "pod", "host", "--subresource=ephemeralcontainers", "-p", body)

    def names() -> list[str]:
        return [one["name"] for one in place.on_host()["host"]["spec"].get("ephemeralContainers", ())]

    eventually("the harmless one", lambda: names() == ["plain"])
    told = eventually("refusals", lambda: place.events("host", "Refused"))
    assert any("ephemeralContainers[0].args[0]" in text for text in told)
    assert any("privileged" in text for text in told)


def test_a_pod_reads_no_object_of_another_namespace(place: Place, working: Tenant) -> None:
    """Nor does it by the name that the object has on the host."""
    vault = Place(working, f"{place.namespace}-vault")
    try:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "word"},
            "stringData": {"w": "x"},
        }
        vault.apply(secret, pod("holder", volumes=[{"name": "s", "secret": {"secretName": "word"}}]))
        host = eventually("the holder", lambda: vault.on_host().get("holder"))
        (taken,) = [one["secret"]["secretName"] for one in host["spec"]["volumes"] if one["name"] == "s"]
        place.apply(
            pod("thief", volumes=[{"name": "s", "secret": {"secretName": taken}}]),
            pod("other", volumes=[{"name": "s", "secret": {"secretName": "word"}}]),
        )
        for name in ("thief", "other"):
            found = eventually("it", lambda name=name: place.on_host().get(name))
            (read,) = [one["secret"]["secretName"] for one in found["spec"]["volumes"] if one["name"] == "s"]
            assert read != taken
    finally:
        working.kubectl("delete", "namespace", vault.namespace, "--wait=false")


def test_node_and_scheduler_are_the_hosts_to_choose(place: Place) -> None:
    named = pod("named", nodeName="node-1")
    strange = pod("strange", schedulerName="my-scheduler")
    place.apply(named, strange)
    told = eventually("a refusal", lambda: place.events("named", "Refused"))
    assert "spec.nodeName" in told[0]
    eventually("it is known", lambda: place.pod("strange"))
    assert "named" not in place.on_host()
    host = place.on_host().get("strange")
    assert host is None or host["spec"]["schedulerName"] == "default-scheduler"
