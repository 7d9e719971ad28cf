"""`vcp run` from end to end on a fake host: exit codes, what is left afterwards, and what is told."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from fakeapi import FakeApi
from faketenant import Tenant
from hostcli import HostCli, bounded, put_tenant

RUN = ("run", "--name", "a", "--set", "distro=k8s")


@asynccontextmanager
async def started(cli: HostCli, *args: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`vcp` as a process of its own, for it handles signals."""
    command = (sys.executable, "-m", "vcp", "--kubeconfig", str(cli.kubeconfig), *args)
    async with bounded(45, *command, stderr=asyncio.subprocess.PIPE) as process:
        yield process


async def run(cli: HostCli, *args: str) -> tuple[int | None, str, str]:
    async with started(cli, *args) as process:
        out, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out.decode(), err.decode()


def left(api: FakeApi) -> set[str]:
    return {key.name for key in api.objects if key.plural == "namespaces"}


async def test_the_command_has_a_tenant_and_its_exit_code_is_passed(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    before = cli.kubeconfig.read_text()
    script = 'echo $VCP_TENANT; grep -c server: $KUBECONFIG; stat -c %a $KUBECONFIG; echo "$@"; exit 7'
    code, out, err = await run(cli, *RUN, "--timings", "--", "sh", "-c", script, "-", "-o", "x")
    assert (code, out.split("\n")) == (7, ["a", "1", "600", "-o x", ""]), err
    assert left(api) == set()
    assert cli.kubeconfig.read_text() == before
    report = err[err.index("STEP") :]
    assert {"plan", "API", "command", "delete", "all"} <= {line.split(" ")[0] for line in report.splitlines()}


async def test_the_record_says_when_the_tenant_may_go_and_who_made_it(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    seen: list[dict[str, str]] = []

    def look(key: object, obj: dict[str, object]) -> None:
        meta = obj["metadata"]
        if isinstance(meta, dict) and meta["name"] in {"control-plane", "vcp-a", "vcp-a-work"}:
            seen.append(meta.get("annotations") or {})

    api.controllers.append(look)
    assert (await run(cli, *RUN, "--", "true"))[0] == 0
    first = [notes for notes in seen if notes]
    assert all({"vcp.dev/expires-at", "vcp.dev/run"} <= notes.keys() for notes in first)
    assert len({notes["vcp.dev/run"] for notes in first}) == 1


async def test_a_failure_can_be_kept_and_collected(
    api: FakeApi, cli: HostCli, tenant: Tenant, tmp_path: Path
) -> None:
    api.put("events", {"metadata": {"name": "e", "namespace": "vcp-a"}, "reason": "Pulled", "message": "m"})
    api.routes["/api/v1/namespaces/vcp-a/pods/api-0/log"] = lambda _: web.Response(text="said")
    api.fail_next("GET /api/v1/namespaces/vcp-a-work/events", 403, "Forbidden")
    folder = tmp_path / "evidence"
    code, _, err = await run(cli, *RUN, "--keep-on-failure", "--collect", str(folder), "--", "false")
    assert code == 1
    assert "tenant a is kept: `vcp connect a` uses it, `vcp delete a --yes` removes it" in err
    assert left(api) == {"vcp-a", "vcp-a-work"}
    assert "Pulled" in (folder / "host/vcp-a/events.txt").read_text()
    assert "api-0" in (folder / "host/vcp-a/pods.yaml").read_text()
    assert (folder / "tenant/pods.yaml").is_file()
    assert (folder / "host/vcp-a/logs/api-0_api.log").read_text() == "said"
    assert "host vcp-a-work: injected 403" in (folder / "missing.txt").read_text()
    assert (await cli("list")).out.splitlines()[1].split()[7:9] == ["in", "59m"]
    refused = await cli(*RUN, "--", "true")
    assert (refused.code, "exists already" in refused.err) == (4, True)
    assert left(api) == {"vcp-a", "vcp-a-work"}


async def test_signals_reach_the_command_and_the_tenant_goes(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    script = "trap 'echo caught; exit 42' TERM; echo up; while :; do sleep 0.05; done"
    async with started(cli, *RUN, "--", "bash", "-c", script) as process:
        assert process.stdout
        assert await process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        out, err = await process.communicate()
    assert (process.returncode, out) == (42, b"caught\n"), err.decode()
    assert left(api) == set()


async def test_a_command_that_takes_too_long_is_a_timeout(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    code, _, err = await run(cli, *RUN, "--timeout", "0.3s", "--", "sleep", "60")
    assert (code, "sleep did not end within 0.3 s" in err) == (5, True), err
    assert left(api) == set()


async def test_an_interrupted_start_deletes_what_there_is(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    api.admission.clear()  # nothing becomes ready
    api.admission.append(lambda key, obj: obj.get("spec", {}).setdefault("clusterIP", "127.0.0.1"))
    async with started(cli, *RUN, "--", "true") as process:
        assert process.stderr
        while b"etcd and API:" not in await process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, b"interrupted by SIGINT" in err) == (130, True), err.decode()
    assert left(api) == set()


async def test_a_second_ctrl_c_says_what_is_left(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    script = "trap '' INT; echo up $$; while :; do sleep 0.05; done"
    async with started(cli, *RUN, "--", "bash", "-c", script) as process:
        assert process.stdout
        pid = int((await process.stdout.readline()).split()[1])
        process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.3)
        assert process.returncode is None
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130
    assert b"tenant a may be left" in err
    assert b"`vcp delete a --yes` removes it, `vcp reap` after 1h" in err
    assert left(api) == {"vcp-a", "vcp-a-work"}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_what_could_not_end_well_makes_nothing(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    for args, code, said in (
        (("--timeout", "2h"), 2, "lives only 1h"),
        (("--set", "protected=true"), 2, "protected tenant"),
        (("--ttl", "ever"), 2, "not a duration"),
    ):
        result = await cli(*RUN, *args, "--", "true")
        assert (result.code, said in result.err) == (code, True), result.err
    assert left(api) == set()
    code, _, err = await run(cli, *RUN, "--", "no-such-program")
    assert (code, "cannot run 'no-such-program'" in err) == (2, True)
    assert left(api) == set()


async def test_a_tenant_of_somebody_else_is_not_deleted(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    """It was made between our look and our first write."""
    api.admission.append(lambda key, _: race(api) if key.plural == "leases" else None)

    def race(api: FakeApi) -> None:
        api.admission.pop()
        put_tenant(api, "a")

    code, _, err = await run(cli, *RUN, "--", "true")
    assert (code, "exists already" in err) == (4, True), err
    assert left(api) == {"vcp-a", "vcp-a-work"}
