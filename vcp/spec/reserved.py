"""Names with a meaning of their own: flags that carry the tenant's identity, isolation or storage, which vcp
alone sets, and types of volumes by what they touch."""

# Types of volumes that touch nothing of the host, and every tenant may use.
PLAIN_VOLUMES = frozenset(
    {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
)
# The others of Kubernetes 1.36 (core/v1, VolumeSource).
HOST_VOLUMES = frozenset(
    {
        *("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "ephemeral", "fc"),
        *("flexVolume", "flocker", "gcePersistentDisk", "gitRepo", "glusterfs", "hostPath", "image"),
        *("iscsi", "nfs"),
        *("photonPersistentDisk", "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos"),
        *("vsphereVolume",),
    }
)

API_SERVER = frozenset(
    {
        "admission-control-config-file",
        "advertise-address",
        "allow-privileged",
        "anonymous-auth",
        "api-audiences",
        "authentication-config",
        "authorization-config",
        "authorization-mode",
        "authorization-policy-file",
        "bind-address",
        "client-ca-file",
        "egress-selector-config-file",
        "enable-aggregator-routing",
        "encryption-provider-config",
        "endpoint-reconciler-type",
        "etcd-cafile",
        "etcd-certfile",
        "etcd-keyfile",
        "etcd-prefix",
        "etcd-servers",
        "kubelet-certificate-authority",
        "kubelet-client-certificate",
        "kubelet-client-key",
        "kubelet-preferred-address-types",
        "profiling",
        "proxy-client-cert-file",
        "proxy-client-key-file",
        "requestheader-allowed-names",
        "requestheader-client-ca-file",
        "requestheader-extra-headers-prefix",
        "requestheader-group-headers",
        "requestheader-username-headers",
        "secure-port",
        "service-account-issuer",
        "service-account-key-file",
        "service-account-signing-key-file",
        "service-cluster-ip-range",
        "tls-cert-file",
        "tls-private-key-file",
        "token-auth-file",
    }
)

CONTROLLER_MANAGER = frozenset(
    {
        "allocate-node-cidrs",
        "authentication-kubeconfig",
        "authorization-kubeconfig",
        "bind-address",
        "client-ca-file",
        "cluster-signing-cert-file",
        "cluster-signing-key-file",
        "cluster-signing-kube-apiserver-client-cert-file",
        "cluster-signing-kube-apiserver-client-key-file",
        "cluster-signing-kubelet-client-cert-file",
        "cluster-signing-kubelet-client-key-file",
        "cluster-signing-kubelet-serving-cert-file",
        "cluster-signing-kubelet-serving-key-file",
        "cluster-signing-legacy-unknown-cert-file",
        "cluster-signing-legacy-unknown-key-file",
        "controllers",
        "kubeconfig",
        "leader-elect",
        "master",
        "profiling",
        "root-ca-file",
        "secure-port",
        "service-account-private-key-file",
        "tls-cert-file",
        "tls-private-key-file",
        "use-service-account-credentials",
    }
)
