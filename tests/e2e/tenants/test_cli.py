"""create, delete and list as a user meets them: idempotence, diffs, dry runs, and what stays behind."""

import base64
import json
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ..conftest import LabUser, eventually
from . import seen
from .conftest import Tenant, Vcp, new_name

COMMENT = "# written by hand: keep"


def test_the_same_create_again_changes_nothing_on_the_host(shared: Tenant) -> None:
    lab = shared.vcp.lab
    before = seen.versions(lab, shared.namespace, shared.work)
    again = shared.vcp.run("create", shared.name)
    assert again.stdout == f"tenant {shared.name} unchanged\n"
    assert "created" not in again.stderr
    assert "changed" not in again.stderr.replace("unchanged", "")
    assert seen.versions(lab, shared.namespace, shared.work) == before


def test_a_changed_setting_is_shown_and_applied(shared: Tenant) -> None:
    lab = shared.vcp.lab
    try:
        changed = shared.vcp.run("create", shared.name, "--set", "quota.pods=50")
        assert "quota.pods: None -> '50'" in changed.stderr
        assert changed.stdout == f"tenant {shared.name} changed\n"
        assert lab.get("-n", shared.work, "resourcequota", "vcp-quota")["spec"]["hard"]["pods"] == "50"
        assert shared.vcp.run("create", shared.name).stdout.endswith("unchanged\n"), "it forgot the setting"
    finally:
        back = shared.vcp.run("create", shared.name, "--set", "quota={}")
    assert "quota.pods: '50' -> None" in back.stderr
    assert lab.get("-n", shared.work, "resourcequota", "vcp-quota")["spec"]["hard"]["pods"] == "200"
    assert re.search(
        r"quota +\S.* pods \d+/200, .*requests.cpu \S+/16, ", shared.vcp.run("status", shared.name).stdout
    )
    try:
        shared.vcp.run("create", shared.name, "--set", "tier=none")
        assert lab.get("-n", shared.work, "resourcequotas,limitranges")["items"] == []
    finally:
        shared.vcp.run("create", shared.name, "--set", "tier=medium")


def test_what_cannot_change_is_refused_with_its_reason(shared: Tenant) -> None:
    lab = shared.vcp.lab
    before = seen.versions(lab, shared.namespace, shared.work)
    for setting, reason in (
        ("storage.ephemeral=false", "the data cannot move"),
        ("serviceCidr=10.99.0.0/16", "ClusterIPs that are already given out"),
        ("distro=k3s", "do not read each other's"),
        ("clusterDomain=other.local", "part of every issued token"),
    ):
        refused = shared.vcp.run("create", shared.name, "--set", setting, expect=4)
        assert setting.partition("=")[0] in refused.stderr
        assert reason in refused.stderr
        assert refused.stdout == ""
    assert seen.versions(lab, shared.namespace, shared.work) == before


def test_a_dry_run_prints_every_manifest_and_touches_nothing(shared: Tenant) -> None:
    lab, name = shared.vcp.lab, new_name()
    context = shared.vcp.kubeconfig.read_text()
    as_yaml = shared.vcp.run("create", name, "--dry-run").stdout
    as_json = shared.vcp.run("create", name, "--dry-run", "-o", "json").stdout
    printed = {(obj["kind"], obj["metadata"]["name"]) for obj in yaml.safe_load_all(as_yaml)}
    assert printed == {(obj["kind"], obj["metadata"]["name"]) for obj in json.loads(as_json)["items"]}
    assert not {f"vcp-{name}", f"vcp-{name}-work"} & seen.namespaces(lab)
    assert shared.vcp.kubeconfig.read_text() == context


def test_a_dry_run_of_a_tenant_that_exists_names_all_its_objects_and_none_of_its_keys(shared: Tenant) -> None:
    lab = shared.vcp.lab
    printed = shared.vcp.run("create", shared.name, "--dry-run", "-o", "json").stdout
    made = {
        (obj["kind"], obj["metadata"]["name"])
        for namespace in (shared.namespace, shared.work)
        for obj in seen.objects(lab, namespace)
        if labels(obj).get("app.kubernetes.io/managed-by") == "vcp"
        and not obj["metadata"].get("ownerReferences")
        and obj["kind"] != "Endpoints"  # the host copies the labels of the Services
    }
    assert {(obj["kind"], obj["metadata"]["name"]) for obj in json.loads(printed)["items"]} >= made
    stored = [
        value
        for secret in lab.get("-n", shared.namespace, "secrets")["items"]
        for name, value in secret["data"].items()
        if name.endswith((".key", "kubeconfig", ".yaml"))
    ]
    assert stored
    assert not [value for value in stored if value in printed]
    assert "PRIVATE KEY" not in printed
    for obj in json.loads(printed)["items"]:
        for value in obj.get("data", {}).values() if obj["kind"] == "Secret" else ():
            assert b"PRIVATE KEY" not in base64.b64decode(value + "==", validate=False)


def test_a_printed_spec_is_read_back_from_stdin(shared: Tenant) -> None:
    spec = shared.vcp.run("create", shared.name, "-o", "json").stdout
    assert json.loads(spec)["storage"]["ephemeral"] is True
    again = shared.vcp.run("create", "-f", "-", stdin=spec)
    assert again.stdout == f"tenant {shared.name} unchanged\n"
    as_yaml = shared.vcp.run("create", "-f", "-", "-o", "yaml", stdin=yaml.safe_dump(json.loads(spec)))
    assert yaml.safe_load(as_yaml.stdout) == json.loads(spec)


def test_the_kubeconfig_keeps_what_others_wrote(shared: Tenant, vcp: Vcp, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    text = f"{COMMENT}\n{vcp.kubeconfig.read_text()}"
    file.write_text(text)
    vcp.run("--kubeconfig", str(file), "create", shared.name, "--no-kubeconfig")
    assert file.read_text() == text
    vcp.run("create", shared.name, "--kubeconfig", str(file))
    merged = yaml.safe_load(file.read_text())
    assert file.read_text().startswith(COMMENT)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = yaml.safe_load(text)
    for section in ("clusters", "users", "contexts"):
        assert merged[section][: len(before[section])] == before[section]
        assert [item["name"] for item in merged[section][len(before[section]) :]] == [shared.context]
    assert merged["current-context"] == before["current-context"]
    used = vcp.lab.run(
        "kubectl", "--kubeconfig", str(file), "--context", shared.context, "get", "namespaces", "-o", "name"
    )
    assert "namespace/kube-system" in used.stdout


def test_a_protected_tenant_is_not_deleted(shared: Tenant) -> None:
    shared.vcp.run("create", shared.name, "--set", "protected=true")
    refused = shared.vcp.run("delete", shared.name, "--yes", expect=4)
    assert "protected" in refused.stderr
    assert "--unprotect" in refused.stderr
    assert shared.vcp.run("create", shared.name, "--set", "protected=false").stdout.endswith(" changed\n")


def test_delete_asks_nobody_where_nobody_is(shared: Tenant) -> None:
    assert "--yes" in shared.vcp.run("delete", shared.name, stdin="", expect=2).stderr


def test_deleting_what_does_not_exist(vcp: Vcp, shared: Tenant) -> None:
    name = new_name()
    assert name in vcp.run("delete", shared.name, name, "--yes", expect=3).stderr
    assert vcp.run("delete", name, "--yes", "--ignore-not-found").stdout == ""
    assert shared.kubectl("get", "namespace", "default").returncode == 0


def test_data_that_was_kept_is_found_again(vcp: Vcp, name: str) -> None:
    """Also repair of a control plane that somebody has stopped, and that delete leaves nothing."""
    lab, tenant = vcp.lab, Tenant(vcp, name)
    vcp.kubeconfig.write_text(f"{COMMENT}\n{yaml.safe_dump(yaml.safe_load(vcp.kubeconfig.read_text()))}")
    config = vcp.kubeconfig.read_text()
    vcp.run("create", name, "--distro", "k8s", "--set", "storage.size=1Gi")
    tenant.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    lab.kubectl("-n", tenant.namespace, "scale", "statefulset/etcd", "--replicas=0")
    eventually("NotReady", lambda: listed(vcp, name)["state"] == "NotReady")
    status = vcp.run("status", name)
    assert "etcd is scaled to 0" in status.stdout
    assert f"next: `vcp create {name}` starts it again" in status.stdout

    gone = vcp.run("delete", name, "--keep-data", "--yes")
    assert gone.stdout == f"tenant {name} deleted\n"
    assert vcp.kubeconfig.read_text() == config
    assert tenant.work not in seen.namespaces(lab)
    kept = {obj["kind"] for obj in seen.objects(lab, tenant.namespace) if "vcp.dev/tenant" in labels(obj)}
    assert kept - {"Pod", "ControllerRevision", "ReplicaSet"} == {"PersistentVolumeClaim", "Secret"}
    vcp.run("create", name)
    assert tenant.get("configmap", "kept")["data"] == {"a": "b"}

    vcp.run("delete", name, "--yes")
    assert vcp.kubeconfig.read_text() == config
    eventually("nothing names it", lambda: not seen.traces(lab, name))
    assert vcp.run("status", name, expect=3).stdout == ""


def test_a_namespace_that_was_there_stays(vcp: Vcp, name: str, namespace: str) -> None:
    vcp.lab.kubectl("-n", namespace, "create", "configmap", "mine", "--from-literal=a=b")
    vcp.lab.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline")
    before = {(kind, of) for kind, _, of in seen.versions(vcp.lab, namespace)}
    both = ("--namespace", namespace, "--workload-namespace", namespace)
    vcp.run("create", name, *both, "--ephemeral", "--no-wait")
    assert vcp.run("list", "-o", "name", "-n", namespace).stdout == f"{name}\n"
    elsewhere = vcp.run("create", name, "--ephemeral", expect=4)
    assert f"tenant {name} exists in namespace {namespace}" in elsewhere.stderr
    vcp.run("delete", name, "--yes")
    after = {(kind, of) for kind, _, of in seen.versions(vcp.lab, namespace)}
    assert after == before


def test_several_are_deleted_and_a_blocked_one_says_by_what(vcp: Vcp, lab: LabUser) -> None:
    first, second = Tenant(vcp, new_name()), Tenant(vcp, new_name())
    for tenant in (first, second):
        vcp.run("create", tenant.name, "--ephemeral", "--no-wait")
    assert listed(vcp, first.name)["state"] == "Provisioning"
    blocker = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stuck"}}
    blocker["metadata"] = {"name": "stuck", "finalizers": ["example.org/hold"]}
    lab.apply(blocker, namespace=first.work)
    try:
        blocked = vcp.run("delete", first.name, second.name, "--yes", "--timeout", "8s", expect=5)
        assert first.work in blocked.stderr
        assert "configmap" in blocked.stderr
        assert "example.org/hold" in blocked.stderr
        eventually("the other one gone", lambda: second.work not in seen.namespaces(lab))
        eventually("no more of the first", lambda: first.namespace not in seen.namespaces(lab))
        assert listed(vcp, first.name)["state"] == "Terminating"
        assert "vcp delete" in vcp.run("status", first.name).stdout
    finally:
        release = json.dumps({"metadata": {"finalizers": None}})
        lab.kubectl("-n", first.work, "patch", "configmap", "stuck", "--type=merge", "-p", release)
    vcp.run("delete", first.name, "--yes", "--ignore-not-found")
    assert not {first.work, first.namespace} & seen.namespaces(lab)


def test_list_in_every_form(shared: Tenant) -> None:
    row = next(
        line for line in shared.vcp.run("list").stdout.splitlines() if line.split()[0] == shared.name
    ).split()
    assert row[1:6] == [shared.namespace, "k8s", "v1.36.3", "Ready", "4/4"]
    found = listed(shared.vcp, shared.name)
    assert (found["state"], found["reason"]) == ("Ready", "")
    as_yaml = yaml.safe_load(shared.vcp.run("list", "-o", "yaml").stdout)
    assert shared.name in [item["name"] for item in as_yaml]
    assert shared.name in shared.vcp.run("list", "-o", "name").stdout.split()
    status = json.loads(shared.vcp.run("status", shared.name, "-o", "json").stdout)
    assert status["next_step"] == f"`vcp connect {shared.name}`"
    assert status["tenant"]["state"] == "Ready"


def test_list_watch_shows_a_tenant_that_comes(vcp: Vcp, name: str) -> None:
    with vcp.start("list", "--watch", "-o", "name") as watching:
        assert watching.stdout
        vcp.run("create", name, "--ephemeral", "--no-wait")
        assert any(line.strip() == name for line in watching.stdout)  # pytest's limit ends a vain wait
        watching.send_signal(2)
        assert watching.wait(timeout=20) == 130


@pytest.fixture
def confined(shared: Tenant, tmp_path: Path) -> Iterator[str]:
    """A kubeconfig of somebody who may read the control plane's namespace of one tenant only."""
    lab, place = shared.vcp.lab, ("-n", shared.namespace)
    lab.kubectl(*place, "create", "serviceaccount", "confined")
    lab.kubectl(
        *place, "create", "role", "confined", "--verb=get,list,watch",
        "--resource=secrets,statefulsets.apps,deployments.apps,pods,services",
    )  # fmt: skip
    lab.kubectl(
        *place, "create", "rolebinding", "confined", "--role=confined",
        f"--serviceaccount={shared.namespace}:confined",
    )  # fmt: skip
    config = yaml.safe_load(lab.lab.kubeconfig.read_text())
    config["users"] = [
        {"name": "u", "user": {"token": lab.kubectl(*place, "create", "token", "confined").strip()}}
    ]
    context = {"cluster": config["clusters"][0]["name"], "user": "u", "namespace": shared.namespace}
    config["contexts"], config["current-context"] = [{"name": "lab", "context": context}], "lab"
    file = tmp_path / "confined"
    file.write_text(yaml.safe_dump(config))
    yield str(file)
    for kind in ("rolebinding", "role", "serviceaccount"):
        lab.kubectl(*place, "delete", kind, "confined")


def test_who_sees_one_namespace_gets_its_tenant_and_is_told_so(shared: Tenant, confined: str) -> None:
    answer = shared.vcp.run("--kubeconfig", confined, "list", "-o", "json")
    assert [item["name"] for item in json.loads(answer.stdout)] == [shared.name]
    assert f"You may not list the whole cluster; these are the tenants in {shared.namespace}" in answer.stderr
    status = shared.vcp.run("--kubeconfig", confined, "status", shared.name)
    assert "Ready" in status.stdout
    assert "You may not list events" in status.stderr


def test_completion_knows_the_tenants(shared: Tenant) -> None:
    asked = {
        "_VCP_COMPLETE": "bash_complete",
        "COMP_WORDS": f"vcp delete {shared.name[:4]}",
        "COMP_CWORD": "2",
    }
    inside = ("nsenter", f"--net={shared.vcp.lab.lab.namespace}")
    answer = subprocess.run(
        (*inside, shared.vcp.command()[2]), env=shared.vcp.environment | asked,
        capture_output=True, text=True, timeout=10, check=True,
    )  # fmt: skip
    assert f"plain,{shared.name}" in answer.stdout.split()
    assert "_VCP_COMPLETE=bash_complete" in shared.vcp.run("completion", "bash").stdout


def test_version_is_data(vcp: Vcp) -> None:
    assert json.loads(vcp.run("version", "-o", "json").stdout) == {"vcp": vcp.run("version").stdout.strip()}


def listed(vcp: Vcp, name: str) -> dict[str, str]:
    """One tenant of `vcp list`."""
    found: list[dict[str, str]] = json.loads(vcp.run("list", "-o", "json").stdout)
    return next(item for item in found if item["name"] == name)


def labels(obj: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    return obj["metadata"].get("labels", {})
