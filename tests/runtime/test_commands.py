"""The commands that only read or remove, as a user runs them."""

import asyncio
import json
import os
import signal
import sys

import pytest
from aiohttp import web
from fakeapi import FakeApi
from hostcli import HostCli, labelled, put_tenant


async def test_list_shows_every_tenant_of_the_host(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "b", ready=0)
    put_tenant(api, "a", expires="2020-01-01T00:00:00Z")
    put_tenant(api, "c", published=False)
    result = await cli("list")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    titles = ["NAME", "NAMESPACE", "DISTRO", "STATE", "READY", "AGE", "EXPIRES", "CERTIFICATES"]
    assert lines[0].split() == titles
    assert lines[1].split()[:6] == ["a", "vcp-a", "k3s", "v1.36.3", "Ready", "2/2"]
    assert lines[1].endswith("EXPIRED")
    assert "NotReady (api 0/1 ready)" in lines[2]
    assert "Provisioning" in lines[3]
    assert (await cli("list", "-o", "name")).out == "a\nb\nc\n"
    found = json.loads((await cli("list", "-o", "json", "-n", "vcp-a")).out)
    assert [(one["name"], one["workload_namespace"]) for one in found] == [("a", "vcp-a-work")]


async def test_list_says_so_when_there_is_nothing(cli: HostCli) -> None:
    result = await cli("list")
    assert (result.code, result.out.strip()) == (0, "")
    assert "vcp create" in result.err


async def test_list_falls_back_to_one_namespace_and_says_so(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a")
    api.denied |= {("list", "secrets/all"), ("list", "deployments/all"), ("list", "statefulsets/all")}
    result = await cli("list", "-o", "name")
    assert (result.code, result.out.strip()) == (0, "")
    assert "these are the tenants in mine" in result.err
    assert (await cli("list", "-o", "name", "--namespace", "vcp-a")).out == "a\n"


async def test_a_terminating_namespace_shows(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a")
    meta = {"name": "vcp-a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["kubernetes"]}
    api.put("namespaces", {"metadata": meta})
    assert "Terminating" in (await cli("list")).out


async def test_list_watch_prints_what_changes_until_ctrl_c(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vcp", "list", "-w", "-o", "name"),
        env={**os.environ, "KUBECONFIG": str(cli.kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    async with asyncio.timeout(10):
        assert await process.stdout.readline() == b"a\n"
        put_tenant(api, "b")
        assert await process.stdout.readline() == b"a\n"
        assert await process.stdout.readline() == b"b\n"
        process.send_signal(signal.SIGINT)
        await process.wait()
        assert (process.returncode, await process.stderr.read()) == (130, b"\nvcp: interrupted.\n")


async def test_status_tells_components_endpoints_and_the_next_step(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a")
    labels = {"app.kubernetes.io/part-of": "vcp"}
    quota = {"metadata": {"name": "vcp-quota", "namespace": "vcp-a-work", "labels": labels}}
    counted = {"hard": {"pods": "9", "services": "5"}}
    api.put("resourcequotas", {**quota, "spec": counted, "status": {"used": {"pods": "3"}}})
    result = await cli("status", "a")
    assert result.code == 0
    assert "quota         pods 3/9, services 0/5\n" in result.out
    assert "endpoint      api: cluster IP 10.43.0.9:443" in result.out
    assert "example/api:1" in result.out
    assert "next: `vcp connect a`" in result.out
    found = json.loads((await cli("status", "a", "-o", "json")).out)
    assert found["restarts"] == {"api-0": 2}
    assert found["quota"]["pods"] == {"used": "3", "hard": "9"}


async def test_status_of_a_tenant_that_waits_says_why(api: FakeApi, cli: HostCli) -> None:
    namespace = put_tenant(api, "a", ready=0)
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    meta = {"name": "api-0", "namespace": namespace, "uid": "u", "labels": labelled("a", "api")}
    status = {"containerStatuses": [{"name": "api", "state": waiting}]}
    api.put("pods", {"metadata": meta, "spec": {"containers": []}, "status": status})
    result = await cli("status", "a")
    assert "! api-0 api is in ImagePullBackOff (no such image)" in result.out
    assert "next: look at the reasons above" in result.out


async def test_a_tenant_that_is_not_there_is_exit_code_3(cli: HostCli) -> None:
    result = await cli("status", "nobody")
    assert (result.code, result.out) == (3, "")
    assert result.err == "vcp: no tenant 'nobody'\n     `vcp list` shows those that there are\n"


async def test_logs_of_one_component(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a")
    api.routes["/api/v1/namespaces/vcp-a/pods/api-0/log"] = lambda _: web.Response(text="one\ntwo")
    assert (await cli("logs", "a")).out == "one\ntwo\n"
    result = await cli("logs", "a", "syncer")
    assert (result.code, result.err.splitlines()[0]) == (3, "vcp: tenant 'a' has no syncer pod")


async def test_namespaces_without_a_record_are_a_tenant_to_delete(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a")
    put_tenant(api, "whole")
    api.remove("secrets", "control-plane", "vcp-a")
    listing = json.loads((await cli("list", "-o", "json")).out)
    assert [(one["name"], one["state"]) for one in listing] == [("a", "Provisioning"), ("whole", "Ready")]
    assert (await cli("list", "-o", "name", "-n", "vcp-whole-work")).out == ""
    api.remove("namespaces", "vcp-a")
    work = api.find("namespaces", "vcp-a-work")
    assert work
    work["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.org/hold"]}
    api.put("namespaces", work)
    assert "Terminating (vcp-a-work is left)" in (await cli("list")).out
    blocked = await cli("delete", "a", "--yes", "--timeout", "0.2s")
    assert (blocked.code, "namespace vcp-a-work to go" in blocked.err) == (5, True)


async def test_delete_removes_namespaces_that_vcp_made(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a")
    put_tenant(api, "b")
    result = await cli("delete", "a", "--yes")
    assert (result.code, result.out) == (0, "tenant a deleted\n")
    assert {key.namespace or key.name for key in api.objects} == {"vcp-b", "vcp-b-work"}


async def test_delete_leaves_foreign_namespaces_and_objects(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a", made=False)
    api.put("configmaps", {"metadata": {"name": "theirs", "namespace": "vcp-a"}})
    assert (await cli("delete", "a", "--yes")).code == 0
    left = {(key.plural, key.name) for key in api.objects}
    assert left == {
        ("namespaces", "vcp-a"),
        ("namespaces", "vcp-a-work"),
        ("configmaps", "theirs"),
    }


async def test_delete_can_keep_the_data(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a")
    api.remove("pods", "api-0", "vcp-a")  # the fake has no garbage collector
    claim = {"name": "data-etcd-0", "namespace": "vcp-a", "labels": labelled("a")}
    api.put("persistentvolumeclaims", {"metadata": claim})
    assert (await cli("delete", "a", "--yes", "--keep-data")).code == 0
    kept = {(key.plural, key.name) for key in api.objects}
    assert {("persistentvolumeclaims", "data-etcd-0"), ("secrets", "control-plane")} <= kept
    assert not {"deployments", "statefulsets", "services"} & {plural for plural, _ in kept}
    assert ("namespaces", "vcp-a-work") not in kept


async def test_delete_waits_and_names_what_blocks(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a")
    blocked = {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "pod x has finalizer y"}
    namespace = api.find("namespaces", "vcp-a-work")
    assert namespace
    namespace["metadata"]["finalizers"] = ["kubernetes"]
    api.put("namespaces", namespace | {"status": {"conditions": [blocked]}})
    result = await cli("delete", "a", "--yes", "--timeout", "0.3s")
    assert result.code == 5
    assert "it is blocked by\n  pod x has finalizer y" in result.err
    assert (await cli("delete", "--no-wait", "--yes", "--ignore-not-found", "a")).code == 0


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("delete", "a"), 2, "pass --yes"),
        (("delete", "a", "--yes"), 4, "'a' is protected"),
        (("delete", "nobody", "--yes"), 3, "no tenant 'nobody'"),
        (("delete", "a", "nobody", "--unprotect", "--yes"), 3, "no tenant 'nobody'"),
    ],
)
async def test_delete_refuses(
    api: FakeApi, cli: HostCli, args: tuple[str, ...], code: int, said: str
) -> None:
    put_tenant(api, "a", protected=args[-1] == "--yes")
    before = set(api.objects)
    result = await cli(*args)
    assert result.code == code
    assert said in result.err
    assert set(api.objects) == before


async def test_delete_of_nothing_may_be_ignored(cli: HostCli) -> None:
    assert (await cli("delete", "nobody", "--yes", "--ignore-not-found")).code == 0


async def test_host_failures_have_their_exit_codes(api: FakeApi, cli: HostCli) -> None:
    assert (await cli("--context", "nope", "list")).code == 6
    api.fail_next("GET", 500)
    assert "the host API failed: injected 500" in (await cli("list")).err
    api.denied.add(("list", "secrets"))
    assert (await cli("list")).code == 4
    assert (await cli("list", "--nope")).code == 2


async def test_shell_completion_names_tenants(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "alpha")
    put_tenant(api, "beta")
    completion = {"_VCP_COMPLETE": "bash_complete", "COMP_WORDS": "vcp status al", "COMP_CWORD": "2"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vcp"),
        env={**os.environ, "KUBECONFIG": str(cli.kubeconfig), **completion},
        stdout=asyncio.subprocess.PIPE,
    )
    assert (await process.communicate())[0] == b"plain,alpha\n"
    assert "_VCP_COMPLETE" in (await cli("completion", "bash")).out
