"""kubeconfig, connect and logs: how people and programs get into a tenant, from wherever they are."""

import base64
import signal
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from ..conftest import DEADLINE, LabUser, eventually
from . import outposts
from .conftest import Tenant, Vcp

OUTPOST = "172.30.0.200"  # an address on the fabric that is no node's


def test_a_user_gets_a_certificate_that_expires_and_only_what_is_bound(shared: Tenant, vcp: Vcp) -> None:
    asked = ("--user", "ada", "--group", "readers", "--group", "writers", "--ttl", "2h")
    file = vcp.kubeconfig.with_name("ada")
    vcp.run("kubeconfig", shared.name, *asked, "-o", str(file), "--server", address(shared))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (user,) = yaml.safe_load(file.read_text())["users"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(user["user"]["client-certificate-data"]))
    subject = [(part.oid, part.value) for part in certificate.subject]
    assert {value for oid, value in subject if oid == NameOID.ORGANIZATION_NAME} == {"readers", "writers"}
    assert [value for oid, value in subject if oid == NameOID.COMMON_NAME] == ["ada"]
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(hours=1, minutes=58) < left <= timedelta(hours=2)

    def as_ada(*arguments: str) -> subprocess.CompletedProcess[str]:
        return vcp.lab.run("kubectl", "--kubeconfig", str(file), *arguments, check=False)

    assert 'User "ada" cannot list' in as_ada("get", "configmaps").stderr
    shared.kubectl("create", "rolebinding", "readers", "--clusterrole=view", "--group=readers")
    try:
        eventually("the binding", lambda: as_ada("get", "configmaps").returncode == 0)
        assert "cannot list" in as_ada("get", "secrets").stderr
        assert "cannot list" in as_ada("-n", "kube-system", "get", "configmaps").stderr
    finally:
        shared.kubectl("delete", "rolebinding", "readers")


def test_no_kubeconfig_is_issued_that_could_not_be_revoked(shared: Tenant) -> None:
    for wrong, code in (
        (("--user", "ada", "--group", "system:masters"), 2),
        (("--group", "readers"), 2),
        (("--user", "ada", "--ttl", "ever"), 2),
        (("--user", "ada", "--ttl", "0s"), 2),
        (("--internal", "--server", "https://a"), 2),
    ):
        refused = shared.vcp.run("kubeconfig", shared.name, *wrong, expect=code)
        assert refused.stdout == ""
    assert (
        "system:masters"
        in shared.vcp.run(
            "kubeconfig", shared.name, "--user", "a", "--group", "system:masters", expect=2
        ).stderr
    )


def test_the_addresses_of_a_kubeconfig(shared: Tenant) -> None:
    def server(*arguments: str) -> str:
        (cluster,) = yaml.safe_load(shared.vcp.run("kubeconfig", shared.name, *arguments).stdout)["clusters"]
        found: str = cluster["cluster"]["server"]
        return found

    assert server("--internal") == f"https://api.{shared.namespace}.svc"
    assert server("--server", "https://tenant.example:8443") == "https://tenant.example:8443"


def test_a_command_gets_a_kubeconfig_of_its_own_and_gives_its_exit_code(shared: Tenant) -> None:
    before = shared.vcp.kubeconfig.read_text()
    script = 'kubectl get namespaces -o name; cat; stat -c %a "$KUBECONFIG"; echo "$KUBECONFIG"; exit 7'
    done = shared.vcp.run("connect", shared.name, "--", "sh", "-c", script, stdin="to the child\n", expect=7)
    *names, passed, mode, file = done.stdout.splitlines()
    assert "namespace/kube-system" in names
    assert (passed, mode) == ("to the child", "600")
    assert not Path(file).exists()
    assert not Path(file).parent.exists()
    assert shared.vcp.kubeconfig.read_text() == before
    assert "no-such" in shared.vcp.run("connect", shared.name, "--", "no-such", expect=2).stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_command(shared: Tenant, number: signal.Signals) -> None:
    script = f"trap 'echo caught; exit 42' {number.name[3:]}; echo $KUBECONFIG; while :; do sleep 0.05; done"
    with shared.vcp.start("connect", shared.name, "--", "bash", "-c", script) as running:
        assert running.stdout
        file = Path(running.stdout.readline().strip())
        assert file.exists()
        running.send_signal(number)
        out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (42, "caught\n"), err
    assert not file.parent.exists()


def test_connect_prints_and_switches(shared: Tenant, vcp: Vcp) -> None:
    printed = yaml.safe_load(vcp.run("connect", shared.name, "--print").stdout)
    assert printed["clusters"][0]["cluster"]["server"] == address(shared)
    said = vcp.run("connect", shared.name)
    assert f"Switched to context {shared.context} by cluster IP" in said.stderr
    assert yaml.safe_load(vcp.kubeconfig.read_text())["current-context"] == shared.context
    plain = vcp.lab.run("kubectl", "--kubeconfig", str(vcp.kubeconfig), "get", "namespaces", "-o", "name")
    assert "namespace/kube-system" in plain.stdout


@pytest.fixture
def outpost(lab: LabUser, tmp_path: Path) -> Iterator[Path]:
    """A network namespace on the fabric that reaches the nodes and the host's API but no ClusterIP or pod."""
    there = tmp_path / "outpost"
    with outposts.outpost(lab, there, OUTPOST):
        yield there


class Outside(Vcp):
    """`vcp` in the outpost, with the host's API by a node's address."""

    def __init__(self, lab: LabUser, folder: Path, there: Path) -> None:
        super().__init__(lab, folder)
        self.there = there
        config = yaml.safe_load(self.kubeconfig.read_text())
        server = config["clusters"][0]["cluster"]["server"]
        assert "10.43." not in server
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def command(self, *arguments: str) -> list[str]:
        return ["nsenter", f"--net={self.there}", *super().command(*arguments)[2:]]


@pytest.fixture
def outside(lab: LabUser, tmp_path: Path, outpost: Path) -> Outside:
    return Outside(lab, tmp_path, outpost)


def test_from_outside_the_way_is_a_port_forward(shared: Tenant, outside: Outside) -> None:
    listing = outside.run("connect", shared.name, "--", "kubectl", "get", "namespaces", "-o", "name")
    assert "namespace/kube-system" in listing.stdout
    script = "grep server: $KUBECONFIG"
    assert "https://127.0.0.1:" in outside.run("connect", shared.name, "--", "sh", "-c", script).stdout
    said = outside.run("create", shared.name)
    assert f"No address of the API answers from here; `vcp connect {shared.name}` finds a way." in said.stderr


def test_a_forward_outlives_its_pod_and_ends_on_ctrl_c(shared: Tenant, outside: Outside) -> None:
    lab = shared.vcp.lab
    with outside.start("connect", shared.name) as held:
        assert held.stderr
        said = held.stderr.readline()
        assert f"Switched to context {shared.context} by port-forward, https://127.0.0.1:" in said

        def works() -> bool:
            probe = ("kubectl", "--request-timeout=2s", "get", "--raw=/version")
            command = ["nsenter", f"--net={outside.there}", *probe]
            return not subprocess.run(
                command, env=outside.environment, capture_output=True, timeout=10, check=False
            ).returncode

        assert works()
        (before,) = shared.host_pods("api")
        lab.kubectl("-n", shared.namespace, "delete", "pod", before["metadata"]["name"], "--grace-period=1")
        lab.kubectl(
            "-n", shared.namespace, "rollout", "status", "deployment/api", f"--timeout={DEADLINE:.0f}s"
        )
        eventually("the same forward leads to the new pod", works)
        held.send_signal(signal.SIGINT)
        _, told = held.communicate(timeout=20)
    assert held.returncode == 130
    assert "The port-forward has ended" in told
    assert "Traceback" not in told


def test_a_node_port_is_used_where_there_is_one(outside: Outside, lab: LabUser, vcp: Vcp, name: str) -> None:
    tenant = Tenant(vcp, name)
    vcp.run("create", name, "--ephemeral", "--expose", "node-port")
    port = lab.get("-n", tenant.namespace, "service", "api")["spec"]["ports"][0]["nodePort"]
    for here in (vcp, outside):
        said = here.run("connect", name)
        assert "by node port, https://" in said.stderr
        assert f":{port}." in said.stderr
    command = ["nsenter", f"--net={outside.there}", "kubectl", "get", "namespaces", "-o", "name"]
    listing = subprocess.run(
        command, env=outside.environment, capture_output=True, text=True, timeout=20, check=True
    )
    assert "namespace/kube-system" in listing.stdout


def test_logs_of_each_component_and_until_ctrl_c(shared: Tenant) -> None:
    assert "etcd" in shared.vcp.run("logs", shared.name, "etcd").stdout
    last = shared.vcp.run("logs", shared.name, "api", "--tail", "1").stdout.splitlines()
    containers = len(shared.host_pods("api")[0]["spec"]["containers"])
    assert len(last) <= containers
    assert "CoreDNS" in shared.vcp.run("logs", shared.name, "dns").stdout
    assert shared.vcp.run("logs", shared.name, "syncer").stdout
    with shared.vcp.start("logs", shared.name, "etcd", "-f", "--tail", "1") as following:
        assert following.stdout
        assert following.stdout.readline()
        following.send_signal(signal.SIGINT)
        _, told = following.communicate(timeout=20)
    assert following.returncode == 130
    assert "Traceback" not in told


def test_a_closed_pipe_is_no_traceback(shared: Tenant) -> None:
    with shared.vcp.start("logs", shared.name, "api") as ending:
        assert ending.stdout
        assert ending.stderr
        ending.stdout.close()
        told = ending.stderr.read()
    assert "Traceback" not in told


def address(tenant: Tenant) -> str:
    """The API by its ClusterIP."""
    return f"https://{tenant.vcp.lab.get('-n', tenant.namespace, 'service', 'api')['spec']['clusterIP']}:443"
