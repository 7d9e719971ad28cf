"""Bringing a lab up and down.

`up` states what is to be there and makes only what is missing, so it is also the repair after any crash;
`down` finds everything by the lab's cgroup, its folder and the mounts below it: it needs no memory of what
`up` did.
"""

import http.client
import json
import os
import shutil
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from labkit import addons, cgroups, images, kernel, network, store
from labkit.build import binaries as built
from labkit.build import build, cache_root
from labkit.components import API_PORT, ControlPlane, NodeAgents
from labkit.daemons import Daemons, component_limit
from labkit.lab import Lab, Node
from labkit.prepare import prepare
from labkit.steps import LabError, exclusively, run, say, step, wait_until

DEADLINE = 90.0  # seconds, for each thing that is waited for

_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins/kubelet.sock")


class Cluster:
    """One lab as a running thing: its processes, and kubectl on it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.daemons = Daemons(lab.folder / "processes", lab.system_cgroup)

    def up(self, nodes: int = 1) -> None:
        """Makes the cluster run with at least that many real nodes, Ready, DNS answering, storage there."""
        binaries, archives, seed = make()
        plane = ControlPlane(self.lab, binaries)
        with self.locked():
            for number in range(2, nodes + 1):
                self.lab.node(number).folder.mkdir(parents=True, exist_ok=True)
            with step("network, cgroups, certificates"):
                kernel.prepare()
                prepare(self.lab, binaries, seed)
            agents = [NodeAgents(node, binaries) for node in self.lab.nodes()]
            with step("etcd, API server, containerd"):
                self._start_base(plane, agents)
            for agent in agents:
                self._refresh_images(agent.node, list(archives.values()), binaries["ctr"])
            with step("controllers, DNS, storage"):
                self._start_rest(plane, agents)
            with step(f"nodes ready: {', '.join(agent.node.name for agent in agents)}"):
                self._wait_for_nodes([agent.node for agent in agents])
                for agent in agents:
                    self.daemons.ensure(agent.firewall())
            with step("NetworkPolicies are enforced"):
                for agent in agents:
                    why = self._tail(agent.firewall().name)
                    stands = partial(network.enforces, agent.node.namespace)
                    wait_until(f"{agent.node.name}'s firewall", stands, DEADLINE, why=why)
            with step("CoreDNS answers"):
                rollout = ("rollout", "status", "deployment/coredns", f"--timeout={DEADLINE:.0f}s")
                self.kubectl("-n", "kube-system", *rollout)
                wait_until("an answer of CoreDNS", lambda: addons.dns_answers(self.lab), DEADLINE)
            with step("metrics-server answers"):
                # While a registered API is away, no namespace can be deleted.
                api = ("apiservice/v1beta1.metrics.k8s.io", f"--timeout={DEADLINE:.0f}s")
                self.kubectl("wait", "--for=condition=Available", *api)
        self.tell_of_kills()

    def tell_of_kills(self) -> None:
        """Says which components were killed for their memory since the lab was made."""
        size = f"{component_limit() / 1024**3:.1f} GiB"
        for name, count in self.daemons.killed().items():
            say(f"{name} took more than its {size} of memory and was killed ({count} times): see its log")

    def _start_base(self, plane: ControlPlane, agents: list[NodeAgents]) -> None:
        self.daemons.ensure(plane.etcd())
        self.daemons.ensure(plane.apiserver())
        for agent in agents:
            self.daemons.ensure(agent.containerd())
        for node in [agent.node for agent in agents]:
            why = self._tail(f"containerd-{node.number}")
            wait_until(f"{node.name}'s containerd", partial(store.answers, node.socket), DEADLINE, why=why)
        why = self._tail("kube-apiserver")
        wait_until("the API server's readiness", self._api_is_ready, DEADLINE, why=why)

    def _start_rest(self, plane: ControlPlane, agents: list[NodeAgents]) -> None:
        # The controllers exit when they may not read their configuration yet, so they come after readiness.
        self.daemons.ensure(plane.controller_manager())
        self.daemons.ensure(plane.scheduler())
        for agent in agents:
            self._start_kubelet(agent)
            self.daemons.ensure(agent.proxy())
        if self.kubectl("get", "nodes", "-l", "type=kwok", "-o", "name"):
            self.daemons.ensure(plane.kwok())
        self.kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=addons.manifests(self.lab)
        )

    def _start_kubelet(self, agent: NodeAgents) -> None:
        """Kubelets of one machine clear and open the same socket, whose path is fixed; one that opens it
        between another's two steps makes that one exit. So each has it before the next begins."""
        _DEVICE_PLUGINS.unlink(missing_ok=True)
        if self.daemons.ensure(kubelet := agent.kubelet()):
            why = self._tail(kubelet.name)
            wait_until(f"{kubelet.name}'s device plugin socket", _DEVICE_PLUGINS.exists, DEADLINE, why=why)

    def _refresh_images(self, node: Node, archives: list[Path], ctr: Path) -> None:
        changed = store.missing(node.store, archives)
        if changed:
            names = ", ".join(path.stem.rpartition("-")[0] for path in changed)
            with step(f"{node.name}: import {names}"):
                store.import_into(node.store, node.socket, archives, ctr)

    def _api_is_ready(self) -> bool:
        context = ssl.create_default_context(cafile=self.lab.pki / "ca.crt")
        with network.entered(self.lab.namespace):
            connection = http.client.HTTPSConnection("127.0.0.1", API_PORT, context=context, timeout=5)
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == http.client.OK
            except OSError:
                return False
            finally:
                connection.close()

    def _wait_for_nodes(self, nodes: list[Node]) -> None:
        # `kubectl wait` refuses a name that is not there yet; --for=create watches for it, if it is only one:
        # that two are missing is an error of another kind, over which it does not wait.
        for node in nodes:
            for condition in ("create", "condition=Ready"):
                self.kubectl("wait", f"--for={condition}", f"node/{node.name}", f"--timeout={DEADLINE:.0f}s")

    def down(self) -> None:
        """Removes the lab: processes, mounts, cgroups, namespaces with their firewall rules, files."""
        if not self.lab.exists:
            return
        with self.locked():
            sockets = _shim_sockets(self.lab.folder)
            cgroups.end(self.lab.cgroup)
            unmount_below(self.lab.folder)
            for path in sockets:
                path.unlink(missing_ok=True)
            for path in Path("/var/log/containers").glob("*.log"):
                if path.is_symlink() and path.readlink().is_relative_to(self.lab.folder):
                    path.unlink()
            shutil.rmtree(self.lab.folder)
            kernel.restore()

    def components(self) -> dict[str, int | None]:
        """Process id by component; None for one that was started and does not run any more."""
        return {name: self.daemons.pid(name) for name in self.daemons.names()}

    def environment(self) -> dict[str, str]:
        """What a command needs to work on the lab: the cluster, its tools, and the images for `vcp`."""
        tools = ":".join(str(built()[name].parent) for name in ("kubectl", "etcdctl", "ctr"))
        return {
            "KUBECONFIG": str(self.lab.kubeconfig),
            "VCP_CONFIG": str(self.lab.vcp_config),
            "PATH": f"{tools}:{os.environ['PATH']}",
        }

    def execute(self, command: tuple[str, ...]) -> None:
        """Becomes a command inside the first node's network namespace."""
        self.require_up()
        with network.entered(self.lab.namespace):
            environment = os.environ | self.environment()
            program = shutil.which(command[0], path=environment["PATH"])
            if program is None:
                raise LabError(f"{command[0]!r} is not on the PATH.")
            os.execve(program, command, environment)  # noqa: S606

    def require_up(self) -> None:
        if self.daemons.pid("kube-apiserver") is None:
            raise LabError(f"lab {self.lab.name!r} is not up; start it with `hack/lab up`.")

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs kubectl as the lab's admin and returns what it prints."""
        with network.entered(self.lab.namespace):
            return run(built()["kubectl"], "--kubeconfig", self.lab.kubeconfig, *arguments, input=stdin)

    def _tail(self, name: str) -> Callable[[], str]:
        return lambda: f"The end of {self.daemons.log(name)}:\n{self.daemons.tail(name)}"

    def locked(self) -> AbstractContextManager[None]:
        """One command at a time changes a lab."""
        lock = self.lab.folder.parent / f".{self.lab.name}.lock"
        return exclusively(lock, f"another command works on lab {self.lab.name!r}; waiting for it")


def make(*, force: bool = False) -> tuple[dict[str, Path], dict[str, Path], Path]:
    """The binaries, the archives of images, and the store that nodes start from; `force` is for the archives.
    Labs that come up at the same moment share one cache."""
    with exclusively(cache_root() / ".lock", "another command fills the cache; waiting for it"):
        binaries = build()
        archives = images.build_images(binaries, force=force)
        return binaries, archives, store.ensure_seed(archives, binaries)


def unmount_below(folder: Path) -> None:
    """Unmounts everything below a folder, the latest mounts first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    for point in reversed(points):
        if Path(point).is_relative_to(folder):
            run("umount", "--lazy", point)


def _shim_sockets(folder: Path) -> list[Path]:
    # containerd keeps its shims' sockets in one folder for the whole machine, wherever its own state is.
    records = folder.glob("node-*/run/io.containerd.runtime.v2.task/*/*/bootstrap.json")
    return [Path(json.loads(path.read_text())["address"].removeprefix("unix://")) for path in records]
