"""The lab is a real cluster: what pods, Services, names and claims do anywhere, they do here."""

import pytest

from labkit import images
from labkit.images import SYNCER_UID

from ..conftest import LabUser, eventually
from ..objects import claim, deployment, pod, service, web


def test_a_pod_runs_and_shows_logs_and_takes_commands(lab: LabUser, namespace: str) -> None:
    lab.apply(pod("shell", "sh", "-c", "echo started; sleep infinity"), namespace=namespace)
    lab.wait("--for=condition=Ready", "pod/shell", namespace=namespace)
    eventually("the log line", lambda: lab.kubectl("-n", namespace, "logs", "shell") == "started\n")
    assert lab.kubectl("-n", namespace, "exec", "shell", "--", "id", "-u") == "1000\n"
    assert (
        lab.run(
            "kubectl", "-n", namespace, "exec", "shell", "--", "sh", "-c", "exit 7", check=False
        ).returncode
        == 7
    )
    piped = lab.kubectl("-n", namespace, "exec", "-i", "shell", "--", "cat", stdin="through and back")
    assert piped == "through and back"


def test_a_service_answers_by_cluster_ip_and_by_name(lab: LabUser, namespace: str) -> None:
    lab.apply(web("web"), service("web"), pod("client"), namespace=namespace)
    lab.wait("--for=condition=Ready", "pod/web", "pod/client", namespace=namespace)
    address = lab.get("-n", namespace, "service", "web")["spec"]["clusterIP"]
    for host in (address, "web", f"web.{namespace}.svc.cluster.local"):
        eventually(
            f"an answer of {host}",
            lambda host=host: fetch(lab, namespace, f"http://{host}/hostname") == "web",
        )
    slices = lab.get("-n", namespace, "endpointslices", "-l", "kubernetes.io/service-name=web")["items"]
    assert fetch(lab, namespace, f"http://{slices[0]['endpoints'][0]['addresses'][0]}:8080/hostname") == "web"


def test_a_pod_reaches_itself_through_its_service(lab: LabUser, namespace: str) -> None:
    # Not by the bare name: that is the pod's own hostname, which /etc/hosts knows.
    lab.apply(web("self"), service("self"), namespace=namespace)
    lab.wait("--for=condition=Ready", "pod/self", namespace=namespace)
    dial = ("/usr/local/bin/agnhost", "connect", "--timeout=2s", f"self.{namespace}.svc:80")
    eventually(
        "the hairpin",
        lambda: lab.run("kubectl", "-n", namespace, "exec", "self", "--", *dial, check=False).returncode == 0,
    )


def test_a_node_port_answers_on_every_node(lab: LabUser, namespace: str) -> None:
    lab.apply(web("web"), service("web", type="NodePort"), namespace=namespace)
    lab.wait("--for=condition=Ready", "pod/web", namespace=namespace)
    port = lab.get("-n", namespace, "service", "web")["spec"]["ports"][0]["nodePort"]
    for node in lab.lab.nodes():
        url = f"http://{node.addresses.node}:{port}/hostname"
        eventually(url, lambda url=url: lab.run("curl", "-sm2", url, check=False).stdout == "web")


def test_an_unknown_name_fails_at_once_and_leaves_the_lab_never(lab: LabUser, namespace: str) -> None:
    lab.apply(pod("client"), namespace=namespace)
    lab.wait("--for=condition=Ready", "pod/client", namespace=namespace)
    answer = lab.kubectl("-n", namespace, "exec", "client", "--", "dig", "+noall", "+comments", "example.org")
    assert "status: NXDOMAIN" in answer
    # A documentation address (RFC 5737): refused by the node itself, not timed out somewhere else.
    dial = ("curl", "-sS", "-m", "5", "http://192.0.2.1/")
    result = lab.run("kubectl", "-n", namespace, "exec", "client", "--", *dial, check=False)
    assert result.returncode == 7, f"not refused but {result.stderr}"  # curl: 7 refused, 28 timed out


def test_a_claim_keeps_what_a_pod_without_root_wrote(lab: LabUser, namespace: str) -> None:
    volume = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    mounted = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    write = pod(
        "write",
        "sh",
        "-c",
        "echo kept > /data/file",
        volumes=volume,
        container=mounted,
        restartPolicy="Never",
    )
    lab.apply(claim("data"), write, namespace=namespace)
    lab.wait("--for=jsonpath={.status.phase}=Succeeded", "pod/write", namespace=namespace)
    lab.kubectl("-n", namespace, "delete", "pod", "write")
    read = pod("read", "cat", "/data/file", volumes=volume, container=mounted, restartPolicy="Never")
    lab.apply(read, namespace=namespace)
    lab.wait("--for=jsonpath={.status.phase}=Succeeded", "pod/read", namespace=namespace)
    assert lab.kubectl("-n", namespace, "logs", "read") == "kept\n"


def test_an_image_that_nobody_has_is_refused_at_once(lab: LabUser, namespace: str) -> None:
    missing = pod("missing", image="localhost/no-such-image:1", container={"imagePullPolicy": "IfNotPresent"})
    lab.apply(missing, namespace=namespace)
    reasons = ("ErrImagePull", "ImagePullBackOff")

    def refused() -> bool:
        statuses = lab.get("-n", namespace, "pod", "missing")["status"].get("containerStatuses", [])
        return bool(statuses) and statuses[0]["state"].get("waiting", {}).get("reason") in reasons

    eventually("the refusal", refused, seconds=20)


def test_the_syncer_image_runs_without_root_and_read_only(lab: LabUser, namespace: str) -> None:
    confined = {"securityContext": {"readOnlyRootFilesystem": True, "runAsNonRoot": True}}
    version = pod(
        "version",
        image=images.SYNCER,
        restartPolicy="Never",
        container=confined | {"command": None, "args": ["--version"]},
    )
    who = ["python3", "-c", "import os, syncer, aiohttp; print(os.getuid())"]
    uid = pod("uid", image=images.SYNCER, restartPolicy="Never", container=confined | {"command": who})
    lab.apply(version, uid, namespace=namespace)
    lab.wait("--for=jsonpath={.status.phase}=Succeeded", "pod/version", "pod/uid", namespace=namespace)
    assert (
        lab.kubectl("-n", namespace, "logs", "version").strip()
        == lab.run(".venv/bin/vcp", "version").stdout.strip()
    )
    assert lab.kubectl("-n", namespace, "logs", "uid").strip() == str(SYNCER_UID)


def test_pods_on_two_nodes_reach_each_other(lab: LabUser, namespace: str) -> None:
    nodes = [node.name for node in lab.lab.nodes()][:2]
    lab.apply(*(web(f"on-{node}", nodeName=node) for node in nodes), namespace=namespace)
    lab.wait("--for=condition=Ready", *(f"pod/on-{node}" for node in nodes), namespace=namespace)
    addresses = {node: lab.get("-n", namespace, "pod", f"on-{node}")["status"]["podIP"] for node in nodes}
    for here, there in (nodes, reversed(nodes)):
        dial = ("/usr/local/bin/agnhost", "connect", "--timeout=5s", f"{addresses[there]}:8080")
        lab.kubectl("-n", namespace, "exec", f"on-{here}", "--", *dial)


@pytest.mark.alone
def test_draining_a_node_moves_its_pods(lab: LabUser, namespace: str) -> None:
    lab.apply(deployment(web("moved")), namespace=namespace)
    lab.wait("--for=condition=Available", "deployment/moved", namespace=namespace)
    before = lab.get("-n", namespace, "pods", "-l", "app=moved")["items"][0]["spec"]["nodeName"]
    selector = "--pod-selector=app=moved"
    lab.kubectl("cordon", before)
    try:
        lab.kubectl("drain", before, selector, "--delete-emptydir-data", "--timeout=60s")
        lab.wait("--for=condition=Available", "deployment/moved", namespace=namespace)

        def elsewhere() -> bool:
            pods = lab.get("-n", namespace, "pods", "-l", "app=moved")["items"]
            return [p["spec"].get("nodeName") not in (None, before) for p in pods] == [True]

        eventually("a pod on another node", elsewhere)
    finally:
        lab.kubectl("uncordon", before)


def fetch(lab: LabUser, namespace: str, url: str) -> str:
    """What a URL answers to the pod `client`."""
    return lab.run(
        "kubectl", "-n", namespace, "exec", "client", "--", "curl", "-sm2", url, check=False
    ).stdout
