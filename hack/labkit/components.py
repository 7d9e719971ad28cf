"""The command line and configuration of every component: a lab goes in, data comes out, nothing is started
here.
"""

import json
from pathlib import Path
from typing import Any

from labkit import images, network
from labkit.daemons import Component
from labkit.lab import Lab, Node

CLUSTER_DOMAIN = "cluster.local"
API_PORT = 6443
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNREACHABLE_REGISTRY = (
    "http://127.0.0.1:5000"  # nothing listens: a missing image is refused at once, not after minutes
)
# The one name that nodes pull from: a registry that runs in the cluster, behind this node port. Those up to
# 30085 are given last to Services that name none.
REGISTRY, REGISTRY_NODE_PORT = "registry.lab", 30050


def kubeconfig(lab: Lab, user: str) -> dict[str, Any]:
    """A kubeconfig with file references, for the admin or a component whose certificate is pki/USER.crt."""
    pki = lab.pki
    server = f"https://{lab.node(1).addresses.node}:{API_PORT}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "lab", "cluster": {"server": server, "certificate-authority": f"{pki}/ca.crt"}}
        ],
        "users": [
            {
                "name": user,
                "user": {"client-certificate": f"{pki}/{user}.crt", "client-key": f"{pki}/{user}.key"},
            }
        ],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
        "current-context": "lab",
    }


class ControlPlane:
    """etcd and upstream's control plane, in the first node's network namespace."""

    def __init__(self, lab: Lab, binaries: dict[str, Path]) -> None:
        self.lab, self.binaries = lab, binaries
        self.address = lab.node(1).addresses.node

    def etcd(self) -> Component:
        client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
        # The lab's data outlives no machine: skipping fsync takes the disk out of every measurement.
        return self._component(
            "etcd",
            str(self.binaries["etcd"]),
            "--name=lab",
            f"--data-dir={self.lab.folder}/etcd",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=lab={peer}",
            "--log-level=warn",
            "--auto-compaction-retention=5m",
            f"--quota-backend-bytes={4 << 30}",
        )

    def apiserver(self) -> Component:
        pki = self.lab.pki
        return self._kube(
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={self.address}",
            "--bind-address=0.0.0.0",
            f"--secure-port={API_PORT}",
            f"--service-cluster-ip-range={network.SERVICE_CIDR}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={pki}/front-proxy.crt",
            f"--proxy-client-key-file={pki}/front-proxy.key",
            "--profiling=false",
        )

    def controller_manager(self) -> Component:
        pki = self.lab.pki
        return self._controller(
            "controller-manager",
            "--allocate-node-cidrs=false",
            f"--service-account-private-key-file={pki}/sa.key",
            f"--root-ca-file={pki}/ca.crt",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
            "--use-service-account-credentials=true",
        )

    def scheduler(self) -> Component:
        return self._controller("scheduler")

    def kwok(self) -> Component:
        """Plays the kubelet of the fake nodes, and only of those."""
        return self._component(
            "kwok",
            str(self.binaries["kwok"]),
            f"--kubeconfig={self.lab.kubeconfig}",
            "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--cidr=10.44.0.0/16",
            "--node-lease-duration-seconds=40",
            f"--config={self.binaries['kwok'].with_name('kwok-stages.yaml')}",
        )

    def _controller(self, name: str, *own: str) -> Component:
        """A client of the API server that is alone in its part, so it holds no election."""
        config = f"{self.lab.pki}/{name}.kubeconfig"
        return self._kube(
            f"kube-{name}",
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--authentication-tolerate-lookup-failure=true",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            *own,
            "--kube-api-qps=200",
            "--kube-api-burst=300",
            "--profiling=false",
        )

    def _kube(self, name: str, *arguments: str) -> Component:
        return self._component(name, str(self.binaries[name]), *arguments)

    def _component(self, name: str, *command: str) -> Component:
        return Component(name, command, self.lab.namespace)


class NodeAgents:
    """containerd, kubelet, kube-proxy and firewall of one node, and the files that they read."""

    def __init__(self, node: Node, binaries: dict[str, Path]) -> None:
        self.node, self.lab, self.binaries = node, node.lab, binaries
        self.folder = node.folder

    def containerd(self) -> Component:
        # The shim and runc are looked up on the PATH; iptables and mount helpers are the machine's.
        path = f"{self.binaries['containerd'].parent}:{SYSTEM_PATH}"
        command = (str(self.binaries["containerd"]), "--config", f"{self.folder}/containerd.toml")
        return self._component("containerd", *command, env={"PATH": path}, inputs=("containerd.toml",))

    def kubelet(self) -> Component:
        command = (
            str(self.binaries["kubelet"]),
            f"--config={self.folder}/kubelet.yaml",
            f"--kubeconfig={self.folder}/kubelet.kubeconfig",
            f"--root-dir={self.folder}/kubelet",
            f"--hostname-override={self.node.name}",
            f"--node-ip={self.node.addresses.node}",
            f"--cert-dir={self.folder}/kubelet/pki",
        )
        env = {"PATH": SYSTEM_PATH}
        return self._component("kubelet", *command, env=env, inputs=("kubelet.yaml", "kubelet.kubeconfig"))

    def proxy(self) -> Component:
        command = (
            str(self.binaries["kube-proxy"]),
            f"--config={self.folder}/kube-proxy.yaml",
        )
        env = {"PATH": SYSTEM_PATH}
        return self._component("kube-proxy", *command, env=env, inputs=("kube-proxy.yaml",))

    def firewall(self) -> Component:
        """Enforces NetworkPolicies for the node's pods. It exits where its Node has no address yet."""
        command = (
            str(self.binaries["kube-router"]),
            f"--kubeconfig={self.lab.pki}/kube-router.kubeconfig",
            f"--node={self.node.name}",
            f"--service-cluster-ip-range={network.SERVICE_CIDR}",
        )
        return self._component("kube-router", *command, env={"PATH": SYSTEM_PATH})

    def files(self) -> dict[str, str]:
        """Name below the node's folder -> content."""
        return {
            "containerd.toml": self._containerd_toml(),
            "certs.d/_default/hosts.toml": f'server = "{UNREACHABLE_REGISTRY}"\n',
            f"certs.d/{REGISTRY}/hosts.toml": (
                f'server = "http://{self.node.addresses.node}:{REGISTRY_NODE_PORT}"\n'
            ),
            "cni/10-lab.conflist": json.dumps(self._cni(), indent=1),
            "kubelet.yaml": json.dumps(self._kubelet_yaml(), indent=1),
            "kubelet.kubeconfig": json.dumps(kubeconfig(self.lab, self.node.name), indent=1),
            "kube-proxy.yaml": json.dumps(self._proxy_yaml(), indent=1),
            "resolv.conf": f"nameserver {network.DNS_ADDRESS}\n",
        }

    def _containerd_toml(self) -> str:
        folder, runtime = self.folder, "io.containerd.cri.v1.runtime"
        return f"""version = 3
root = "{self.node.store}"
state = "{folder}/run"
[grpc]
address = "{self.node.socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/opt"
[plugins."io.containerd.nri.v1.nri"]
disable = true
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{images.PAUSE}"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "{folder}/certs.d"
[plugins."{runtime}"]
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."{runtime}".cni]
bin_dirs = ["{self.binaries["bridge"].parent}"]
conf_dir = "{folder}/cni"
[plugins."{runtime}".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."{runtime}".containerd.runtimes.runc.options]
BinaryName = "{self.binaries["runc"]}"
SystemdCgroup = false
"""

    def _cni(self) -> dict[str, Any]:
        ipam = {
            "type": "host-local",
            "dataDir": f"{self.folder}/addresses",
            "ranges": [[{"subnet": self.node.addresses.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": ipam}
        portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {"cniVersion": "1.0.0", "name": "lab", "plugins": [bridge, portmap]}

    def _kubelet_yaml(self) -> dict[str, Any]:
        pki = self.lab.pki
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "0.0.0.0",  # noqa: S104  inside the node's own network namespace
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{pki}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{pki}/{self.node.name}.crt",
            "tlsPrivateKeyFile": f"{pki}/{self.node.name}.key",
            "containerRuntimeEndpoint": f"unix://{self.node.socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.node.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [network.DNS_ADDRESS],
            "clusterDomain": CLUSTER_DOMAIN,
            "resolvConf": f"{self.folder}/resolv.conf",
            "podLogsDir": f"{self.folder}/pod-logs",
            "staticPodPath": "",
            "volumePluginDir": f"{self.folder}/volume-plugins",
            "maxPods": 250,
            "podPidsLimit": 4096,
            # The images are all that the lab has: nothing may collect them, and a full disk is the machine's
            # matter.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "100Mi"},
            "serializeImagePulls": False,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "kubeAPIQPS": 200,
            "kubeAPIBurst": 300,
            "shutdownGracePeriod": "0s",
            "enableControllerAttachDetach": True,
        }

    def _proxy_yaml(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {
                "kubeconfig": f"{self.lab.pki}/kube-proxy.kubeconfig",
                "qps": 200,
                "burst": 300,
            },
            "hostnameOverride": self.node.name,
            "clusterCIDR": network.POD_CIDR,
            # These sysctls are the machine's, and cannot be written from inside a network namespace.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
        }

    def _component(
        self, name: str, *command: str, env: dict[str, str] | None = None, inputs: tuple[str, ...] = ()
    ) -> Component:
        paths = tuple(self.folder / path for path in inputs)
        return Component(
            f"{name}-{self.node.number}",
            command,
            self.node.namespace,
            env or {},
            paths,
        )
