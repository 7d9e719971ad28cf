"""Ends processes of a control plane the hard way, and runs a syncer whose life is in the test's hands."""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from ..tenants.conftest import Tenant


def kill_containers(tenant: Tenant, component: str) -> int:
    """SIGKILL to every process of the component's containers; how many there were."""
    ids = [
        status["containerID"].rpartition("/")[2]
        for pod in tenant.host_pods(component)
        for status in pod["status"].get("containerStatuses", ())
        if "running" in status.get("state", {})
    ]
    killed = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and any(one in _cgroup(entry) for one in ids):
            killed += _kill(int(entry.name))
    return killed


def _cgroup(process: Path) -> str:
    try:
        return (process / "cgroup").read_text()
    except OSError:  # it has ended
        return ""


def _kill(pid: int) -> int:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


class OwnSyncer:
    """The tenant's syncer as a process of the test, with the rights of the one that it replaces."""

    def __init__(self, tenant: Tenant, folder: Path) -> None:
        self.tenant = tenant
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        lab, namespace = tenant.vcp.lab, tenant.namespace
        lab.kubectl("-n", namespace, "scale", "deployment/syncer", "--replicas=0")
        lab.kubectl("-n", namespace, "wait", "pod", "-l", "vcp.dev/component=syncer", "--for=delete")
        self._write_settings()
        self._write_kubeconfig()

    def start(self) -> None:
        command = [sys.executable, "-m", "syncer", "--settings", str(self._folder / "settings.json")]
        command += ["--kubeconfig", str(self._folder / "kubeconfig")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["nsenter", f"--net={self.tenant.vcp.lab.lab.namespace}", *command],
                env=os.environ | {"POD_NAME": "own-syncer"},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait(10)

    def give_back(self) -> None:
        """Ends this syncer and lets the tenant's own take over."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(15)
        lab, namespace = self.tenant.vcp.lab, self.tenant.namespace
        lab.kubectl("-n", namespace, "scale", "deployment/syncer", "--replicas=1")
        lab.kubectl("-n", namespace, "rollout", "status", "deployment/syncer", "--timeout=60s")

    def _write_settings(self) -> None:
        lab, namespace = self.tenant.vcp.lab, self.tenant.namespace
        pki = self._folder / "pki"
        pki.mkdir(parents=True)
        for name, text in lab.get("-n", namespace, "secret", "pki-syncer")["data"].items():
            (pki / name).write_bytes(base64.b64decode(text))
        settings = json.loads(lab.get("-n", namespace, "configmap", "syncer")["data"]["settings.json"])
        # Outside of a pod the host's DNS does not answer.
        settings |= {"server": f"https://{settings['apiAddress']}", "pki": str(pki)}
        # Whichever is free, for the node's kubelet has its own.
        settings |= dict.fromkeys(("probePort", "kubeletPort", "webhookPort"), 0)
        (self._folder / "settings.json").write_text(json.dumps(settings))

    def _write_kubeconfig(self) -> None:
        lab, namespace = self.tenant.vcp.lab, self.tenant.namespace
        token = lab.kubectl("-n", namespace, "create", "token", "vcp-syncer", "--duration=1h").strip()
        file = str(self._folder / "kubeconfig")
        (self._folder / "kubeconfig").write_text(lab.lab.kubeconfig.read_text())
        set_ = ("kubectl", "--kubeconfig", file, "config")
        lab.run(*set_, "set-credentials", "syncer", f"--token={token}")
        lab.run(*set_, "set-context", "--current", "--user=syncer")
