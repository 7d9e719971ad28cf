"""What a user can do wrong, and what the host can lack: said exactly, before anything is changed."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ..conftest import LabUser
from . import seen
from .conftest import Tenant, Vcp, new_name

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Not_A_Label",), "not a DNS label"),
        (("1st",), "not a DNS label"),
        (("a" * 60,), "at most 54"),
        (("a-work",), "may not end in '-work'"),
        (("a", "--namespace", "kube-system"), "belongs to the host"),
        (("a", "--version", "v1.99.0"), "newer than this vcp knows"),
        (("a", "--version", "latest"), "is not a version"),
        (("a", "--set", "storage.sise=1Gi"), "did you mean 'size'?"),
        (("a", "--set", "etcd.replicas=2"), "etcd.replicas"),
        (("a", "--set", "storage.size"), "no value"),
        (("a", "--ephemeral", "--etcd-replicas", "3"), "storage.ephemeral"),
        (("a", "--set", "extraArgs.apiServer.etcd-servers=x"), "set by vcp"),
        (("a", "--timeout", "soon"), "not a duration"),
        (("a", "-f", "/does/not/exist"), "cannot read"),
        ((), "no name"),
    ],
    ids=lambda value: "-".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_a_wrong_spec_is_a_usage_error(vcp: Vcp, arguments: tuple[str, ...], words: str) -> None:
    refused = vcp.run("create", *arguments, expect=2)
    assert words in refused.stderr
    assert refused.stdout == ""


def test_a_wrong_file_names_place_and_nearest_key(vcp: Vcp) -> None:
    text = "name: a\nexpose: {tlsSan: [x]}\nreplicas: many\n"
    refused = vcp.run("create", "-f", "-", stdin=text, expect=2)
    assert "expose.tlsSan: unknown key; did you mean 'tlsSans'?" in refused.stderr


def test_a_namespace_of_somebody_else_is_refused_until_it_is_named(vcp: Vcp, name: str) -> None:
    lab, tenant = vcp.lab, Tenant(vcp, name)
    lab.kubectl("create", "namespace", tenant.namespace)
    try:
        before = seen.versions(lab, tenant.namespace)
        refused = vcp.run("create", name, "--ephemeral", expect=4)
        assert f"namespace {tenant.namespace} exists and is not this tenant's" in refused.stderr
        assert seen.versions(lab, tenant.namespace) == before
        assert tenant.work not in seen.namespaces(lab)
        assert f"--namespace {tenant.namespace}" in refused.stderr
        named = ("create", name, "--ephemeral", "--namespace", tenant.namespace, "--no-wait")
        command = (
            f"label --overwrite namespace {tenant.namespace} pod-security.kubernetes.io/enforce=restricted"
        )
        assert f"kubectl {command}" in vcp.run(*named, expect=4).stderr
        lab.kubectl(*command.split())
        vcp.run(*named)
        vcp.run("create", name, "--no-wait")
        vcp.run("delete", name, "--yes")
        assert tenant.namespace in seen.namespaces(lab)
    finally:
        lab.kubectl("delete", "namespace", tenant.namespace)


@pytest.mark.alone
def test_a_host_without_a_default_class_is_told_what_to_pass(vcp: Vcp, lab: LabUser) -> None:
    name = new_name()
    lab.kubectl("annotate", "storageclass", "local", f"{DEFAULT_CLASS}-")
    try:
        refused = vcp.run("create", name, expect=4)
    finally:
        lab.kubectl("annotate", "storageclass", "local", f"{DEFAULT_CLASS}=true")
    assert "no default StorageClass" in refused.stderr
    assert "storage.class" in refused.stderr
    assert "--ephemeral" in refused.stderr
    unknown = vcp.run("create", name, "--set", "storage.class=gold", expect=4)
    assert "no StorageClass 'gold'" in unknown.stderr
    assert "there: local" in unknown.stderr
    assert f"vcp-{name}" not in seen.namespaces(lab)


@pytest.fixture
def limited(vcp: Vcp, namespace: str, tmp_path: Path) -> Iterator[str]:
    """A kubeconfig of somebody who may do all that a tenant takes in one namespace, with two exceptions."""
    lab, place = vcp.lab, ("-n", namespace)
    rules = [
        rule(
            "*", "configmaps,services,serviceaccounts,pods,persistentvolumeclaims,resourcequotas,limitranges"
        ),
        rule("*", "deployments,poddisruptionbudgets,roles,rolebindings,networkpolicies,leases,events"),
        rule("get,list,watch,create", "secrets"),
        rule("get,list,watch,patch", "statefulsets"),
    ]
    meta = {"name": namespace, "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": "limited", "namespace": namespace}
    own = {
        "apiGroups": [""],
        "resources": ["namespaces"],
        "verbs": ["get", "patch"],
        "resourceNames": [namespace],
    }
    lab.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "limited"}},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "subjects": [subject],
            "roleRef": {"apiGroup": group, "kind": "Role", "name": namespace},
        },
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": namespace}, "rules": [own]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": namespace},
            "subjects": [subject],
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": namespace},
        },
        namespace=namespace,
    )
    config = yaml.safe_load(lab.lab.kubeconfig.read_text())
    token = lab.kubectl(*place, "create", "token", "limited").strip()
    config["users"] = [{"name": "u", "user": {"token": token}}]
    context = {"cluster": config["clusters"][0]["name"], "user": "u", "namespace": namespace}
    config["contexts"], config["current-context"] = [{"name": "lab", "context": context}], "lab"
    file = tmp_path / "limited"
    file.write_text(yaml.safe_dump(config))
    yield str(file)
    lab.kubectl("delete", "clusterrolebinding,clusterrole", namespace)


def rule(verbs: str, resources: str) -> dict[str, list[str]]:
    return {"apiGroups": ["*"], "resources": resources.split(","), "verbs": verbs.split(",")}


def test_missing_permissions_are_listed_exactly(vcp: Vcp, namespace: str, limited: str) -> None:
    vcp.lab.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline")
    before = seen.versions(vcp.lab, namespace)
    both = ("--namespace", namespace, "--workload-namespace", namespace)
    refused = vcp.run("--kubeconfig", limited, "create", new_name(), *both, "--ephemeral", expect=4)
    assert [line for line in refused.stderr.splitlines() if line.startswith("  ")] == [
        f"  patch secrets in namespace {namespace}",
        f"  create statefulsets.apps in namespace {namespace}",
        "     nothing has been changed",
    ]
    assert seen.versions(vcp.lab, namespace) == before


def test_who_may_do_nothing_is_told_everything_that_it_takes(vcp: Vcp, limited: str) -> None:
    name = new_name()
    refused = vcp.run("--kubeconfig", limited, "create", name, "--ephemeral", expect=4)
    lines = refused.stderr.splitlines()
    assert "  create namespaces" in lines
    assert f"  create, get, list, patch secrets in namespace vcp-{name}" in lines
    assert f"  create, get, list, patch, watch deployments.apps in namespace vcp-{name}" in lines
    policies = "networkpolicies.networking.k8s.io"
    assert f"  create, delete, get, list, patch {policies} in namespace vcp-{name}-work" in lines
    assert not {f"vcp-{name}", f"vcp-{name}-work"} & seen.namespaces(vcp.lab)


def test_an_unreachable_host_is_named(vcp: Vcp, tmp_path: Path) -> None:
    config = yaml.safe_load(vcp.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    file = tmp_path / "gone"
    file.write_text(yaml.safe_dump(config))
    for command in (("create", "a"), ("list",), ("delete", "a", "--yes")):
        refused = vcp.run("--kubeconfig", str(file), *command, expect=6)
        assert "127.0.0.1:1" in refused.stderr
        assert "--context" in refused.stderr
    assert "no-such" in vcp.run("list", "--context", "no-such", expect=6).stderr


def test_an_interrupted_create_says_how_to_go_on(vcp: Vcp, name: str) -> None:
    """And the next creates do: of two at once, one wins and the other says so."""
    with vcp.start("create", name, "--ephemeral", "--distro", "k8s") as stopped:
        assert stopped.stderr
        assert any("waiting:" in line for line in stopped.stderr), "it never waited"
        stopped.send_signal(signal.SIGINT)
        _, told = stopped.communicate(timeout=20)
    assert stopped.returncode == 130
    assert f"`vcp create {name}` continues, `vcp delete {name}` removes what exists so far" in told
    assert "Traceback" not in told
    assert name not in vcp.kubeconfig.read_text()

    both = [vcp.start("create", name) for _ in range(2)]
    told = {process.pid: process.communicate(timeout=120) for process in both}
    codes = {process.returncode: told[process.pid] for process in both}
    assert sorted(codes) == [0, 4], told
    assert "another create of this tenant is running" in codes[4][1]
    assert json.loads(vcp.run("status", name, "-o", "json").stdout)["tenant"]["state"] == "Ready"
    assert Tenant(vcp, name).get("namespace", "default")


def test_two_creates_of_a_new_name_make_one_tenant(vcp: Vcp, name: str) -> None:
    both = [vcp.start("create", name, "--ephemeral", "--distro", "k8s") for _ in range(2)]
    told = {process.pid: process.communicate(timeout=120) for process in both}
    codes = {process.returncode: told[process.pid] for process in both}
    assert sorted(codes) == [0, 4], told
    assert "another create of this tenant is running" in codes[4][1]
    assert Tenant(vcp, name).get("namespace", "default")


def test_an_image_that_cannot_be_pulled_is_the_reason(vcp: Vcp, name: str) -> None:
    missing = ("--set", "images.apiServer=127.0.0.1:1/none:1", "--distro", "k8s")
    late = vcp.run("create", name, "--ephemeral", *missing, "--timeout", "20s", expect=5)
    assert "it waits because" in late.stderr
    reasons = late.stderr.partition("it waits because")[2]
    assert "ImagePullBackOff" in reasons or "ErrImagePull" in reasons
    assert "127.0.0.1:1/none:1" in reasons
    status = vcp.run("status", name)
    assert "Provisioning" in status.stdout
    assert "127.0.0.1:1/none:1" in status.stdout


def test_a_create_that_died_between_namespaces_and_record_is_deleted(vcp: Vcp, name: str) -> None:
    lab, tenant = vcp.lab, Tenant(vcp, name)
    vcp.run("create", name, "--ephemeral", "--no-wait")
    lab.kubectl("-n", tenant.namespace, "delete", "secret", "control-plane")
    assert json.loads(vcp.run("list", "-o", "json").stdout)
    vcp.run("delete", name, "--yes")
    assert not {tenant.namespace, tenant.work} & seen.namespaces(lab)
