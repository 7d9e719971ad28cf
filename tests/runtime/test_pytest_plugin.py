"""The pytest plugin in real inner runs of pytest on a fake host: what the tests get, and what is left."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakeapi import FakeApi
from faketenant import Tenant
from hostcli import HostCli, bounded

TESTS = """
import os, stat, subprocess, sys, time
from pathlib import Path

def test_what_it_gives(tenant_cluster):
    assert tenant_cluster.name == "a"
    assert stat.S_IMODE(tenant_cluster.kubeconfig.stat().st_mode) == 0o600
    assert tenant_cluster.server in tenant_cluster.kubeconfig.read_text()
    assert tenant_cluster.environment["KUBECONFIG"] == str(tenant_cluster.kubeconfig)
    assert tenant_cluster.context == f"vcp-{tenant_cluster.name}"
    made = tenant_cluster.configuration
    assert made is tenant_cluster.configuration
    assert made.host == tenant_cluster.server
    assert "PRIVATE KEY" in Path(made.key_file).read_text()
    assert stat.S_IMODE(Path(made.key_file).stat().st_mode) == 0o600

def test_it_is_shared(tenant_cluster):
    Path(os.environ["SEEN"]).write_text(str(tenant_cluster.kubeconfig))
    assert not os.environ.get("FAIL")

def test_slow(tenant_cluster):
    if os.environ.get("SLOW"):
        Path(os.environ["SEEN"]).write_text("slow")
        time.sleep(60)
"""


class Inner:
    """Runs `python -m pytest` in a folder of its own, with nothing of this project's configuration."""

    def __init__(self, cli: HostCli, folder: Path) -> None:
        self.folder, self.seen = folder, folder / "seen"
        (folder / "test_inner.py").write_text(TESTS)
        (folder / "spec.yaml").write_text("name: a\ndistro: k8s\n")
        (folder / "vcp").mkdir()  # what a user's project may have, too
        (folder / "vcp" / "__init__.py").write_text("raise RuntimeError('the wrong vcp')")
        self.environ = {**os.environ, "KUBECONFIG": str(cli.kubeconfig), "SEEN": str(self.seen)}

    def said(self) -> str:
        """What a test has written last."""
        return self.seen.read_text() if self.seen.exists() else ""

    @asynccontextmanager
    async def started(self, *args: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
        command = (
            sys.executable,
            "-P",
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--vcp-spec=spec.yaml",
            *args,
        )
        options = {"cwd": self.folder, "env": self.environ | environ, "stderr": asyncio.subprocess.STDOUT}
        async with bounded(60, *command, **options) as process:
            yield process

    async def run(self, *args: str, **environ: str) -> tuple[int | None, str]:
        async with self.started(*args, **environ) as process:
            out, _ = await process.communicate()
        return process.returncode, out.decode()


@pytest.fixture
def inner(cli: HostCli, tmp_path: Path, tenant: Tenant) -> Inner:
    folder = tmp_path / "project"
    folder.mkdir()
    return Inner(cli, folder)


def left(api: FakeApi) -> set[str]:
    return {key.name for key in api.objects if key.plural == "namespaces"}


async def until(true: Callable[[], bool], process: asyncio.subprocess.Process | None = None) -> None:
    """Asks again, within a minute, while the process runs."""
    async with asyncio.timeout(60):
        while True:
            if true():
                return
            assert process is None or process.returncode is None
            await asyncio.sleep(0.05)


async def test_the_tests_of_a_session_share_a_tenant(api: FakeApi, inner: Inner) -> None:
    code, out = await inner.run()
    assert (code, "3 passed" in out) == (0, True), out
    assert api.requests.count("POST /api/v1/namespaces") == 2
    assert left(api) == set()
    assert not inner.folder.joinpath(inner.said()).exists()  # what it said is an absolute path


async def test_a_failing_test_leaves_nothing(api: FakeApi, inner: Inner) -> None:
    code, out = await inner.run(FAIL="1")
    assert (code, "1 failed, 2 passed" in out) == (1, True), out
    assert left(api) == set()


async def test_tenants_can_be_kept(api: FakeApi, inner: Inner) -> None:
    code, out = await inner.run("--vcp-keep", "-n1")
    assert (code, "3 passed" in out) == (0, True), out
    assert len(left(api)) == 2
    assert "tenant a is kept: `vcp connect a`" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_an_ended_pytest_leaves_nothing(api: FakeApi, inner: Inner, number: signal.Signals) -> None:
    async with inner.started(SLOW="1") as process:
        await until(lambda: inner.said() == "slow", process)
        process.send_signal(number)
        out, _ = await process.communicate()
    assert process.returncode == (2 if number == signal.SIGINT else -number), out.decode()
    await until(lambda: not left(api))


async def test_ctrl_c_while_the_tenant_is_made(api: FakeApi, inner: Inner) -> None:
    api.admission.clear()  # nothing becomes ready
    api.admission.append(lambda key, obj: obj.get("spec", {}).setdefault("clusterIP", "127.0.0.1"))
    async with inner.started() as process:
        await until(lambda: any(key.plural == "deployments" for key in api.objects), process)
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    assert process.returncode == 2, out.decode()
    assert left(api) == set()


async def test_why_there_is_no_tenant_is_told(api: FakeApi, inner: Inner) -> None:
    api.denied.add(("create", "statefulsets"))
    code, out = await inner.run()
    assert (code, "3 errors" in out) == (1, True), out
    assert "you lack permissions on the host" in out
    assert left(api) == set()


def test_loading_it_is_cheap() -> None:
    """pytest loads it in every project of who has installed vcp."""
    code = "import pytest, sys; old = {*sys.modules}; import vcp.pytest_plugin; print(*{*sys.modules} - old)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert {name for name in result.stdout.split() if name.partition(".")[0] in {"vcp", "syncer"}} == {
        "vcp",
        "vcp.pytest_plugin",
    }
    assert not {"aiohttp", "yaml", "kubernetes_asyncio", "click"} & set(result.stdout.split())
