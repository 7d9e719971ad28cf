"""The pytest plugin: fixtures that give tests a tenant cluster of their own, and options `--vcp-...`.

Each tenant is held by a `vcp run` beside pytest, whose program only waits for the end of its input. So
however pytest ends, by itself, by Ctrl-C or by SIGKILL, its end of that pipe closes and the tenant goes.
pytest loads this module in every run where vcp is installed: it imports nothing of vcp before a fixture is
used.
"""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

# Says that the tenant is there and waits. Only who asks for it in so many words gets to keep the tenant.
_HOLD = """
import json, os, sys
print(json.dumps([os.environ["VCP_TENANT"], os.environ["KUBECONFIG"]]), flush=True)
sys.exit(sys.stdin.read() == "keep")
"""
_kept = pytest.StashKey[list[str]]()


@dataclass(frozen=True)
class TenantCluster:
    """A tenant cluster as a test gets it, as its admin. The files are there as long as the fixture is."""

    name: str
    kubeconfig: Path
    context: str
    server: str

    @property
    def environment(self) -> dict[str, str]:
        """That of this process, for programs such as kubectl that are to talk to the tenant."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "VCP_TENANT": self.name}

    @functools.cached_property
    def configuration(self) -> Any:
        """A `kubernetes_asyncio.client.Configuration`, ready for an `ApiClient`."""
        from kubernetes_asyncio.client import Configuration  # noqa: PLC0415  costs a second

        from kube import kubeconfig  # noqa: PLC0415
        from vcp import contexts  # noqa: PLC0415

        access = kubeconfig.from_text(self.kubeconfig.read_bytes())
        made = Configuration(host=access.server)
        made.tls_server_name = access.server_name or None
        for attribute, content in (
            ("ssl_ca_cert", access.ca),
            ("cert_file", access.certificate),
            ("key_file", access.key),
        ):
            file = self.kubeconfig.with_name(attribute)
            contexts.write(file, content.decode() if isinstance(content, bytes) else "")
            setattr(made, attribute, str(file))
        return made


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vcp", "tenant clusters of vcp")
    group.addoption("--vcp-spec", metavar="FILE", help="spec of the tenants that the fixtures make")
    group.addoption("--vcp-keep", action="store_true", help="leave the tenants afterwards, and name them")


@pytest.fixture(scope="session")
def tenant_cluster(pytestconfig: pytest.Config) -> Iterator[TenantCluster]:
    """A tenant cluster for all tests of the session; with pytest-xdist one for each worker."""
    with _tenant(pytestconfig) as made:
        yield made


@pytest.fixture
def fresh_tenant_cluster(pytestconfig: pytest.Config) -> Iterator[TenantCluster]:
    """A tenant cluster for this test alone."""
    with _tenant(pytestconfig) as made:
        yield made


@pytest.hookimpl(trylast=True)  # after the fixtures' ends
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist has no terminal: it hands on what is to be said there."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["vcp_kept"] = session.config.stash.get(_kept, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = (getattr(node, "workeroutput", None) or {}).get("vcp_kept", [])
    node.config.stash.setdefault(_kept, []).extend(told)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if kept := config.stash.get(_kept, []):
        terminalreporter.section("tenant clusters")
        for line in kept:
            terminalreporter.line(line)


@contextlib.contextmanager
def _tenant(config: pytest.Config) -> Iterator[TenantCluster]:
    keep: bool = config.getoption("--vcp-keep")
    # -P: a folder `vcp` in the user's project is not this package.
    command = [sys.executable, "-P", "-m", "vcp", "run", *(["--keep-on-failure"] if keep else [])]
    if spec := config.getoption("--vcp-spec"):
        command += ["-f", str(config.invocation_params.dir / spec)]
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(
            [*command, "--", sys.executable, "-c", _HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            start_new_session=True,  # Ctrl-C is for pytest, which ends us in its own time
        )
        try:
            made = _made(process, told)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)  # nobody reads the pipe yet
            _see_off(process)
            raise
        try:
            yield made
            _end(process, told, config, keep=keep)
        finally:
            _see_off(process)


def _made(process: subprocess.Popen[str], told: IO[str]) -> TenantCluster:
    from kube import kubeconfig  # noqa: PLC0415

    assert process.stdout  # noqa: S101  it is a pipe
    line = process.stdout.readline()
    if not line:
        process.wait()
        pytest.fail(f"no tenant cluster could be made:\n{_read(told)}", pytrace=False)
    name, file = json.loads(line)
    access = kubeconfig.from_text(Path(file).read_bytes())
    return TenantCluster(name, Path(file), access.context, access.server)


def _end(process: subprocess.Popen[str], told: IO[str], config: pytest.Config, *, keep: bool) -> None:
    """Ends the tenant in the orderly way, which is worth an error if it fails."""
    if keep and process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write("keep")
    _see_off(process)
    said = _read(told)
    if keep and process.returncode == 1:
        config.stash.setdefault(_kept, []).extend(line for line in said.splitlines() if " is kept: " in line)
    elif process.returncode:
        pytest.fail(f"the tenant cluster may not be gone:\n{said}", pytrace=False)


def _see_off(process: subprocess.Popen[str]) -> None:
    """Returns when vcp has ended. A second Ctrl-C cuts only our waiting short: vcp goes on by itself."""
    assert process.stdin  # noqa: S101  pipes
    assert process.stdout  # noqa: S101
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.wait()
    process.stdout.close()


def _read(told: IO[str]) -> str:
    told.seek(0)
    return told.read()
