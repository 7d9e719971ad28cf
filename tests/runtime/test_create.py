"""`vcp create` and `vcp connect` from end to end: a fake host, and behind its port-forward a fake tenant."""

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakeapi import FakeApi, Key, Obj
from faketenant import CREATE, Tenant
from hostcli import HostCli, put_tenant

from vcp import certificates
from vcp.provision import creating


def record(api: FakeApi) -> dict[str, Any]:
    found = api.find("secrets", "control-plane", "vcp-a")
    assert found
    return found


async def test_create_makes_a_tenant_and_again_changes_nothing(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    result = await cli(*CREATE)
    assert (result.code, result.out) == (0, "tenant a created\n"), result.err
    assert "isolation: verified" in result.err
    assert record(api)["metadata"]["annotations"].keys() == {
        "vcp.dev/published",
        "vcp.dev/certificates-expire",
    }
    assert json.loads(base64.b64decode(record(api)["data"]["spec.json"]))["distro"] == "k8s"
    assert [key.name for key in tenant.api.objects if key.plural == "clusterrolebindings"]
    contexts = yaml.safe_load(cli.kubeconfig.read_text())
    assert [one["name"] for one in contexts["contexts"]] == ["host", "vcp-a"]
    assert contexts["current-context"] == "host"
    assert (await cli("list")).out.splitlines()[1].split()[4] == "Ready"

    result = await cli("create", "a")
    assert (result.code, result.out) == (0, "tenant a unchanged\n"), result.err
    result = await cli("create", "a", "--replicas", "2", "--timings", "-o", "name")
    assert (result.code, result.out) == (0, "tenant/a\n"), result.err
    assert "replicas: 1 -> 2" in result.err
    steps = [line.split()[0] for line in result.err.partition("STEP")[2].splitlines()[1:]]
    assert {"plan", "etcd", "API", "tenant", "control", "context", "all"} <= set(steps)
    result = await cli("delete", "a", "--yes")
    assert result.code == 0
    assert not [key for key in api.objects if key.namespace.startswith("vcp-")]
    assert "vcp-a" not in cli.kubeconfig.read_text()


async def test_connect_runs_a_program_with_a_kubeconfig_of_its_own(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    assert (await cli(*CREATE, "--no-kubeconfig")).code == 0
    code = "import os, sys; print(open(os.environ['KUBECONFIG']).read()); sys.exit(9)"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vcp", "--kubeconfig", str(cli.kubeconfig)),
        *("connect", "a", "--", sys.executable, "-c", code),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 9
    (cluster,) = yaml.safe_load(out)["clusters"]
    assert cluster["cluster"]["server"].startswith("https://127.0.0.1:")


async def test_a_kubeconfig_for_a_user(cli: HostCli, tenant: Tenant, tmp_path: Path) -> None:
    assert (await cli(*CREATE)).code == 0
    admin = yaml.safe_load((await cli("kubeconfig", "a")).out)
    assert admin["clusters"][0]["cluster"]["server"] == "https://api.vcp-a.svc"
    file = tmp_path / "alice"
    issue = ("kubeconfig", "a", "--user", "alice", "--group", "dev", "--server", "https://a.example")
    assert (await cli(*issue, "-o", str(file))).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    alice = yaml.safe_load(file.read_text())
    assert alice["clusters"][0]["cluster"]["server"] == "https://a.example"
    assert alice["users"][0]["user"] != admin["users"][0]["user"]
    assert (await cli("kubeconfig", "a", "--group", "dev")).code == 2
    assert (await cli("kubeconfig", "a", "--user", "system:admin")).code == 2


@pytest.mark.parametrize("status", [403, 422, 500])
async def test_a_tenant_that_refuses_what_belongs_in_it_does_not_stop_a_create(
    api: FakeApi, cli: HostCli, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """As its own admission policies and webhooks may; what they refuse is said."""
    monkeypatch.setattr(creating, "_PATIENCE", 0.5)
    assert (await cli(*CREATE)).code == 0
    forget = api.find("secrets", "kubeconfig", "vcp-a")
    assert forget
    api.remove("secrets", "kubeconfig", "vcp-a")
    for _ in range(500):
        tenant.api.fail_next(
            "PATCH", status, "Forbidden", message="admission policy 'mine' denied the request"
        )
    result = await cli("create", "a", "--replicas", "2")
    assert (result.code, result.out) == (0, "tenant a changed\n"), result.err
    assert "the tenant's own API refuses ClusterRole vcp:syncer" in result.err
    assert "denied the request" in result.err
    assert api.find("secrets", "kubeconfig", "vcp-a")


async def test_authorities_are_rotated_with_an_overlap(
    api: FakeApi, cli: HostCli, tenant: Tenant, tmp_path: Path
) -> None:
    assert (await cli(*CREATE)).code == 0

    def stored(name: str) -> bytes:
        found = api.find("secrets", "pki-ca", "vcp-a")
        assert found
        return base64.b64decode(found["data"][f"{name}.crt"])

    old = stored("user-ca")
    result = await cli("certs", "rotate", "a", "--ca", "user-ca", "--announce")
    assert (result.code, result.out) == (0, "tenant a: user-ca announced\n"), result.err
    assert stored("user-ca").startswith(old)
    new = stored("user-ca").removeprefix(old)
    result = await cli("certs", "rotate", "a", "--ca", "user-ca")
    assert (result.code, result.out) == (0, "tenant a: user-ca rotated\n"), result.err
    assert stored("user-ca") == new + old
    published = yaml.safe_load((await cli("kubeconfig", "a")).out)["users"][0]["user"]
    admin = certificates.read(base64.b64decode(published["client-certificate-data"]))
    assert certificates.signed_by(admin, certificates.read(new))
    assert (await cli("create", "a")).out == "tenant a unchanged\n"
    result = await cli("certs", "rotate", "a", "--ca", "user-ca", "--finish")
    assert (result.code, result.out) == (0, "tenant a believes no earlier authority\n"), result.err
    assert stored("user-ca") == new
    assert (await cli("certs", "rotate", "a", "--announce", "--finish")).code == 2
    assert (await cli("certs", "rotate", "a", "--ca", "root")).code == 2
    assert (await cli("certs", "rotate", "b")).code == 3


async def test_the_authorities_of_an_etcd_without_a_volume_stay(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    """A restart would empty it."""
    assert (await cli(*CREATE, "--ephemeral")).code == 0
    result = await cli("certs", "rotate", "a", "--ca", "etcd-peer-ca")
    assert (result.code, "keeps no data" in result.err) == (4, True)
    result = await cli("certs", "rotate", "a", "--announce")
    assert "user-ca" in result.out
    assert "etcd" not in result.out


async def test_a_dry_run_shows_no_secret_and_changes_nothing(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    before = set(api.objects)
    result = await cli(*CREATE, "--dry-run")
    assert result.code == 0
    objects = list(yaml.safe_load_all(result.out))
    assert {"Namespace", "StatefulSet", "Deployment", "NetworkPolicy"} <= {obj["kind"] for obj in objects}
    values = {value for obj in objects if obj["kind"] == "Secret" for value in obj["data"].values()}
    assert {base64.b64decode(value) for value in values} == {b"REDACTED"}
    assert set(api.objects) == before
    assert not [line for line in api.requests if not line.startswith("GET")]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("create",), 2, "the tenant has no name"),
        (("create", "A"), 2, "not a DNS label"),
        (("create", "a", "--set", "stroage.size=1Gi"), 2, "did you mean 'storage'?"),
        (("create", "a", "--set", "storage"), 2, "no value"),
        (("create", "a", "-f", "/none"), 2, "cannot read /none"),
        (("create", "a", "--timeout", "x"), 2, "not a duration"),
        (("create", "a", "--set", "storage.class=none"), 4, "no StorageClass 'none'"),
    ],
)
async def test_bad_input_changes_nothing(
    api: FakeApi, cli: HostCli, tenant: Tenant, args: tuple[str, ...], code: int, said: str
) -> None:
    result = await cli(*args)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert not [key for key in api.objects if "vcp-" in key.namespace + key.name]


async def test_what_cannot_change_is_refused(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    put_tenant(api, "a", distro="k3s")
    result = await cli("create", "a", "--distro", "k8s")
    assert result.code == 4
    assert "distro cannot change" in result.err


async def test_a_namespace_that_is_not_ours_is_refused(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    api.put("namespaces", {"metadata": {"name": "vcp-a"}})
    result = await cli(*CREATE)
    assert result.code == 4
    assert "namespace vcp-a exists and is not this tenant's" in result.err


async def test_a_namespace_that_was_there_is_taken_when_it_is_named(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    """Also a later create, which does not name it again. The Namespace stays as it is."""
    level = "pod-security.kubernetes.io/enforce"
    for name in ("vcp-a", "theirs"):
        labels = {"labels": {level: "restricted"}}
        api.put("namespaces", {"metadata": {"name": name, **labels}})
    api.denied |= {(verb, "namespaces") for verb in ("create", "patch")}
    named = ("--namespace", "vcp-a", "--workload-namespace", "theirs")
    result = await cli(*CREATE, *named)
    assert result.code == 0, result.err
    assert (await cli(*CREATE)).out == "tenant a unchanged\n"
    for name in ("vcp-a", "theirs"):
        found = api.find("namespaces", name)
        assert found
        assert found["metadata"]["labels"] == {level: "restricted"}


@pytest.mark.parametrize(
    ("control", "work", "said"),
    [
        ("", "restricted", "namespace vcp-a enforces the Pod Security level 'privileged'"),
        ("baseline", "restricted", "namespace vcp-a enforces the Pod Security level 'baseline'"),
        ("restricted", "", "--overwrite namespace theirs pod-security.kubernetes.io/enforce=baseline"),
        ("restricted", "privileged", "the tenant needs 'baseline'"),
        ("restricted", "Restricted", "the Pod Security level 'Restricted'"),
    ],
)
async def test_a_given_namespace_below_the_level_is_refused_and_not_changed(
    api: FakeApi, cli: HostCli, tenant: Tenant, control: str, work: str, said: str
) -> None:
    for name, level in (("vcp-a", control), ("theirs", work)):
        labels = {"pod-security.kubernetes.io/enforce": level} if level else {}
        api.put("namespaces", {"metadata": {"name": name, "labels": labels}})
    before = set(api.objects)
    result = await cli(*CREATE, "--namespace", "vcp-a", "--workload-namespace", "theirs")
    assert (result.code, said in result.err) == (4, True), result.err
    assert set(api.objects) == before


async def test_in_given_namespaces_isolation_goes_once_nothing_runs(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    for name in ("vcp-a", "theirs"):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        api.put("namespaces", {"metadata": {"name": name, "labels": labels}})
    where = ("--namespace", "vcp-a", "--workload-namespace", "theirs")
    assert (await cli(*CREATE, *where)).code == 0
    meta = {
        "name": "web-x",
        "namespace": "theirs",
        "labels": {"vcp.dev/tenant": "a", "vcp.dev/namespace": "default"},
    }
    spec = {"terminationGracePeriodSeconds": 315360000, "nodeName": "n1"}
    held = meta | {"finalizers": ["example.com/hold"]}
    api.put("pods", {"metadata": held, "spec": spec, "status": {"phase": "Running"}})

    def standing(plural: str) -> set[str]:
        return {
            key.name for key in api.objects if key.plural == plural and key.namespace in {"vcp-a", "theirs"}
        }

    bounds = {plural: standing(plural) for plural in ("networkpolicies", "resourcequotas", "limitranges")}
    assert bounds["networkpolicies"]
    assert (await cli("delete", "a", "--yes", "--no-wait")).code == 0
    assert any("pods/web-x" in line and line.startswith("DELETE") for line in api.requests)
    result = await cli("delete", "a", "--yes", "--timeout", "1s")
    assert result.code == 5
    assert "web-x: on node n1; kept by finalizers example.com/hold" in result.err
    assert {plural: standing(plural) for plural in bounds} == bounds
    assert "control-plane" in standing("secrets")
    assert not standing("deployments")
    api.remove("pods", "web-x", "theirs")
    result = await cli("delete", "a", "--yes", "--timeout", "5s")
    assert result.code == 0, result.err
    assert not any(standing(plural) for plural in (*bounds, "secrets", "configmaps", "services"))


async def test_who_may_read_nothing_is_told_everything_at_once(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    api.denied |= {(verb, kind) for verb in ("get", "list", "create") for kind in ("secrets", "namespaces")}
    api.denied |= {("get", "servicecidrs"), ("create", "services")}
    before = set(api.objects)
    result = await cli(*CREATE)
    assert result.code == 4
    assert "  create namespaces\n" in result.err
    assert "  get namespaces vcp-a\n" in result.err
    assert "  create, get, list secrets in namespace vcp-a\n" in result.err
    assert set(api.objects) == before


async def test_a_failure_of_the_tenants_api_does_not_pass_for_one_of_the_hosts(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    tenant.api.fail_next("PATCH /apis/rbac", 422, "Invalid", message="is not what a ClusterRole is")
    result = await cli(*CREATE)
    assert result.code == 8
    assert "the tenant's own API failed: is not what a ClusterRole is" in result.err
    assert "host API" not in result.err
    assert (await cli(*CREATE)).code == 0


async def test_a_tenant_of_before_there_were_tiers_is_given_no_quota(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    assert (await cli(*CREATE, "--set", "tier=none")).code == 0
    stored = record(api)
    spec = json.loads(base64.b64decode(stored["data"]["spec.json"]))
    del spec["tier"]
    api.put(
        "secrets", {**stored, "data": {"spec.json": base64.b64encode(json.dumps(spec).encode()).decode()}}
    )
    assert (await cli("create", "a")).code == 0
    assert not api.find("resourcequotas", "vcp-quota", "vcp-a-work")


async def test_a_setting_that_is_taken_back_takes_its_object_along(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    assert (await cli(*CREATE, "--set", "tier=none", "--set", "quota.pods=50")).code == 0
    assert api.find("resourcequotas", "vcp-quota", "vcp-a-work")
    theirs = {"metadata": {"name": "theirs", "namespace": "vcp-a-work", "labels": {"vcp.dev/tenant": "a"}}}
    api.put("resourcequotas", theirs)
    back = await cli(*CREATE, "--set", "quota={}")
    assert back.out == "tenant a changed\n"
    assert "1 objects are removed" in back.err
    assert not api.find("resourcequotas", "vcp-quota", "vcp-a-work")
    assert api.find("resourcequotas", "theirs", "vcp-a-work")


async def test_a_tenant_is_not_made_a_second_time_elsewhere(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    assert (await cli(*CREATE)).code == 0
    refused = await cli(*CREATE, "--namespace", "other")
    assert refused.code == 4
    assert "tenant a exists in namespace vcp-a" in refused.err
    assert not api.find("namespaces", "other")


async def test_missing_permissions_are_told_before_anything_is_changed(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    api.denied.add(("create", "statefulsets"))
    before = set(api.objects)
    result = await cli(*CREATE)
    assert result.code == 4
    assert "  create statefulsets.apps in namespace vcp-a\n     nothing has been changed" in result.err
    assert set(api.objects) == before


async def test_a_create_that_failed_halfway_is_continued(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    api.fail_next("PATCH /apis/apps/v1/namespaces/vcp-a/statefulsets", 500)
    assert (await cli(*CREATE)).code == 6
    assert "Provisioning" in (await cli("list")).out
    first = api.find("secrets", "pki-ca", "vcp-a")
    result = await cli("create", "a")
    assert result.code == 0, result.err
    assert first
    assert api.find("secrets", "pki-ca", "vcp-a")["data"] == first["data"]  # type: ignore[index]


async def test_no_kubeconfig_is_published_while_the_isolation_does_not_stand(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    def undo(key: Key, obj: Obj) -> None:
        if key.plural == "networkpolicies":
            obj["spec"]["podSelector"] = {"matchLabels": {"nothing": str(len(api.requests))}}

    api.admission.append(undo)
    result = await cli(*CREATE)
    assert result.code == 6
    assert "did not stay on the host as applied" in result.err
    assert api.find("secrets", "kubeconfig", "vcp-a") is None
