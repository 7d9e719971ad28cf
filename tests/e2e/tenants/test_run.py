"""`vcp run` and what reaps after it, as a CI job meets them: exit codes, signals, sudden deaths."""

import json
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .. import objects
from ..conftest import LabUser, eventually
from . import seen
from .conftest import Vcp

K8S = ("--set", "distro=k8s")
POD = json.dumps(objects.pod("one", "echo", "from the pod", restartPolicy="Never"))
RUN_POD = (
    "{ kubectl apply -f - && kubectl wait --for=jsonpath={.status.phase}=Succeeded pod/one --timeout=60s; }"
    " >/dev/null"
)


@pytest.fixture
def run_name(vcp: Vcp) -> Iterator[str]:
    name = f"r-{secrets.token_hex(4)}"
    yield name
    vcp.run("delete", name, "--yes", "--ignore-not-found", "--no-wait")


def gone(lab: LabUser, name: str) -> bool:
    return not {f"vcp-{name}", f"vcp-{name}-work"} & seen.namespaces(lab)


def test_a_command_runs_with_pods_of_its_own_and_nothing_stays(vcp: Vcp) -> None:
    """Its exit code and output are passed on; the user's kubeconfig is not touched."""
    before = vcp.kubeconfig.read_text()
    script = f"{RUN_POD} && kubectl get pod one -o name; echo $VCP_TENANT; exit 7"
    started = time.monotonic()
    done = vcp.run("run", *K8S, "--timings", "--", "sh", "-c", script, stdin=POD, expect=7)
    print(f"\n{time.monotonic() - started:.1f} s in all\n{done.stderr[done.stderr.index('STEP') :]}")
    said, name = done.stdout.splitlines()
    assert said == "pod/one"
    assert re.fullmatch(r"run-[a-z0-9]{8}", name)
    assert gone(vcp.lab, name)
    assert vcp.kubeconfig.read_text() == before


def test_two_at_once_a_failure_leaves_evidence_and_a_stubborn_command_is_killed(
    vcp: Vcp, tmp_path: Path
) -> None:
    names = [f"r-{secrets.token_hex(4)}" for _ in range(2)]
    folder = tmp_path / "evidence"
    (tmp_path / "pod.json").write_text(POD)
    failing = ("--collect", str(folder), "--", "sh", "-c", f"{RUN_POD} <{tmp_path}/pod.json; exit 3")
    script = "trap '' TERM; echo up; while :; do sleep 0.1; done"
    stubborn = ("--", "bash", "-c", script)
    with (
        vcp.start("run", *K8S, "--name", names[0], *failing) as one,
        vcp.start("run", *K8S, "--name", names[1], *stubborn) as other,
    ):
        assert other.stdout
        assert other.stdout.readline() == "up\n"
        other.send_signal(signal.SIGTERM)
        _, told = other.communicate(timeout=60)
        _, said = one.communicate(timeout=90)
    assert other.returncode == 128 + signal.SIGKILL, told
    assert "ignores SIGTERM and is killed" in told
    assert one.returncode == 3, said
    assert all(gone(vcp.lab, name) for name in names)
    place = folder / "host" / f"vcp-{names[0]}"
    assert "etcd-0" in (place / "events.txt").read_text()
    logs = {file.name.partition("-")[0] for file in (place / "logs").iterdir() if file.stat().st_size}
    assert {"api", "etcd", "syncer", "dns"} <= logs
    (metrics,) = (folder / "metrics").iterdir()
    assert "# HELP" in metrics.read_text()
    assert "name: one" in (folder / "tenant" / "pods.yaml").read_text()
    (log,) = (folder / "host" / f"vcp-{names[0]}-work" / "logs").iterdir()
    assert log.read_text() == "from the pod\n"
    assert not (folder / "missing.txt").exists()


def test_ctrl_c_while_it_starts_and_a_second_one(vcp: Vcp, run_name: str) -> None:
    for times in (1, 2):
        with vcp.start("run", *K8S, "--name", run_name, "--", "true") as running:
            assert running.stderr
            while not running.stderr.readline().startswith("etcd and API:"):
                assert running.poll() is None
            for _ in range(times):
                running.send_signal(signal.SIGINT)
                time.sleep(0.3)
            _, told = running.communicate(timeout=60)
        assert running.returncode == 130, told
        if times == 1:
            assert gone(vcp.lab, run_name)
            assert "is left" not in told
        else:
            assert f"`vcp delete {run_name} --yes" in told


@pytest.fixture
def reaper(vcp: Vcp) -> Iterator[str]:
    namespace = f"reaper-{secrets.token_hex(3)}"
    vcp.run("reaper", "install", "-n", namespace, "--schedule", "0 0 1 1 *")
    yield namespace
    vcp.run("reaper", "uninstall")


def test_what_a_killed_run_leaves_is_reaped_by_the_account_that_may_do_no_more(
    vcp: Vcp, run_name: str, reaper: str, namespace: str
) -> None:
    """kill -9; the CronJob's own pod then finds and deletes the tenant, by its rights alone."""
    lab = vcp.lab
    with vcp.start("run", *K8S, "--name", run_name, "--ttl", "6s", "--", "true") as running:
        assert running.stderr
        while not running.stderr.readline().startswith("etcd and API:"):
            assert running.poll() is None
        os.kill(running.pid, signal.SIGKILL)
    assert vcp.run("extend", run_name, "--ttl", "10s").stdout.startswith(f"tenant {run_name} expires at ")
    assert run_name not in vcp.run("reap", "--dry-run").stdout

    account = ("--as", f"system:serviceaccount:{reaper}:vcp-reaper")
    for verb, what, where in (
        ("list", "secrets", "-A"),
        ("get", "secrets/pki-api", f"-n=vcp-{run_name}"),
        ("get", "pods", "-A"),
        ("patch", "namespaces", ""),
    ):
        asked = ("kubectl", "auth", "can-i", verb, what, *filter(None, [where]), *account)
        assert lab.run(*asked, check=False).stdout.strip() == "no", asked
    refused = lab.run("kubectl", "delete", "namespace", namespace, "--wait=false", *account, check=False)
    assert "only namespaces that vcp has made" in refused.stderr
    lab.apply(objects.pod("other", "true"), namespace=namespace)
    lab.kubectl("-n", namespace, "label", "pod", "other", f"vcp.dev/tenant={run_name}")
    for which in (("other",), ("--all",)):
        refused = lab.run("kubectl", "-n", namespace, "delete", "pod", *which, *account, check=False)
        assert "only pods of the tenant" in refused.stderr or "cannot" in refused.stderr, refused.stderr
    assert lab.get("-n", namespace, "pod", "other")

    eventually("expiry", lambda: run_name in vcp.run("reap", "--dry-run").stdout, 20)
    assert "overdue" in vcp.run("list").stdout
    lab.kubectl("-n", reaper, "create", "job", "now", "--from=cronjob/vcp-reaper")
    try:
        lab.wait("--for=condition=complete", "job/now", namespace=reaper)
    except BaseException:
        print(lab.run("kubectl", "-n", reaper, "logs", "job/now", check=False).stdout)
        raise
    assert f"tenant {run_name} deleted" in lab.kubectl("-n", reaper, "logs", "job/now")
    eventually("the tenant is gone", lambda: gone(lab, run_name), 60)
    assert namespace in seen.namespaces(lab)


def test_reaping_by_hand_leaves_what_is_protected(vcp: Vcp, run_name: str) -> None:
    spec = ("--no-wait", "--ephemeral", "--distro", "k8s", "--ttl", "1s")
    vcp.run("create", run_name, *spec, "--set", "protected=true")
    time.sleep(1.5)
    assert f"tenant {run_name} stays" in vcp.run("reap", "--dry-run").stderr
    assert not gone(vcp.lab, run_name)
    vcp.run("create", run_name, "--no-wait", "--set", "protected=false")
    time.sleep(1.5)
    assert f"tenant {run_name} deleted" in vcp.run("reap").stdout
    assert gone(vcp.lab, run_name)


def test_no_command_is_a_usage_error(vcp: Vcp) -> None:
    result: subprocess.CompletedProcess[str] = vcp.run("run", expect=2)
    assert "COMMAND" in result.stderr
