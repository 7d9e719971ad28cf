"""The pytest plugin on the lab: a real inner pytest whose tests use their tenants; nothing of them stays."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .. import objects
from ..conftest import LabUser, eventually
from . import seen
from .conftest import Vcp

SHARED = """
import asyncio, subprocess

POD = {pod!r}

def kubectl(cluster, *arguments):
    return subprocess.run(["kubectl", *arguments], env=cluster.environment, check=True, capture_output=True)

def test_a_pod(tenant_cluster):
    from kubernetes_asyncio.client import ApiClient, CoreV1Api

    async def scenario():
        async with ApiClient(tenant_cluster.configuration) as client:
            api = CoreV1Api(client)
            await api.create_namespaced_pod("default", POD)

    asyncio.run(scenario())
    kubectl(tenant_cluster, "wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
    print("\\ntenant", tenant_cluster.name)
    assert {passes}, "meant to fail"

def test_the_same_tenant(tenant_cluster):
    assert b"pod/one" in kubectl(tenant_cluster, "get", "pods", "-o", "name").stdout
"""
FRESH = """
import time

def test_hangs(fresh_tenant_cluster):
    print("tenant", fresh_tenant_cluster.name, flush=True)
    time.sleep(100)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "spec.yaml").write_text("distro: k8s\n")
    return folder


def command(lab: LabUser, *arguments: str) -> list[str]:
    inner = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--vcp-spec", "spec.yaml")
    inside = ("nsenter", f"--net={lab.lab.namespace}", "env", "--default-signal=INT")
    return [*inside, *inner, *arguments]


def test_two_workers_have_a_tenant_each_and_a_failure_leaves_nothing(vcp: Vcp, project: Path) -> None:
    pod = objects.pod("one")
    for name, passes in (("a", True), ("b", False)):
        (project / f"test_{name}.py").write_text(SHARED.format(pod=pod, passes=passes))
    done = subprocess.run(
        command(vcp.lab, "-n2", "--dist=loadfile", "-rA"),
        cwd=project,
        env=vcp.environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "1 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    assert len(set(re.findall("^tenant run-.*", done.stdout, re.MULTILINE))) == 2, done.stdout
    assert seen.runs(vcp.lab) == set()


def test_ctrl_c_deletes_the_tenant_first(vcp: Vcp, project: Path) -> None:
    (project / "test_fresh.py").write_text(FRESH)
    with subprocess.Popen(
        command(vcp.lab, "-s"),
        cwd=project,
        env=vcp.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout
        for line in running.stdout:
            if "tenant run-" in line:
                break
        assert len(seen.runs(vcp.lab)) == 2
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        told = running.stdout.read()
    assert running.returncode == 2, told
    assert "KeyboardInterrupt" in told
    eventually("the tenant is gone", lambda: not seen.runs(vcp.lab), 10)
