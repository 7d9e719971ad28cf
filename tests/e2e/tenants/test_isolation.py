"""What a stranger, another tenant, or the tenant itself cannot do."""

import json
import os
from pathlib import Path

import yaml

from ..conftest import eventually
from ..objects import pod
from .conftest import Tenant, new_name

RIGHTS = Path(__file__).parent / "rights.yaml"


def test_the_written_kubeconfig_is_an_admin_but_no_system_master(tenant: Tenant) -> None:
    who = json.loads(tenant.kubectl("auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]
    assert "vcp:admins" in who["groups"]
    assert "system:masters" not in who["groups"]
    assert tenant.kubectl("auth", "can-i", "*", "*", "--all-namespaces").stdout.strip() == "yes"


def test_the_syncer_may_do_what_its_kinds_do_and_create_gives_it_back(tenant: Tenant) -> None:
    """Without its role it loses nothing that runs, and it says that it is not at work."""

    def may(verb: str, resource: str) -> bool:
        plural, _, part = resource.partition("/")
        question = ("auth", "can-i", verb, plural, "--all-namespaces", f"--subresource={part}")
        return tenant.kubectl(*question, "--as", "vcp:syncer", check=False).stdout.strip() == "yes"

    for verb, resource in (("create", "pods/binding"), ("patch", "services/status"), ("watch", "secrets")):
        assert may(verb, resource), (verb, resource)
    for verb, resource in (
        *(("create", one) for one in ("secrets", "pods", "clusterrolebindings", "namespaces", "pods/exec")),
        *(("delete", "namespaces"), ("update", "secrets"), ("impersonate", "users"), ("*", "*")),
    ):
        assert not may(verb, resource), (verb, resource)

    tenant.kubectl("apply", "-f", "-", stdin=json.dumps(pod("before", "sleep", "3600")))
    tenant.kubectl("wait", "--for=condition=Ready", "pod/before", "--timeout=60s")
    tenant.kubectl("delete", "clusterrole", "vcp:syncer")
    assert not may("watch", "pods")
    restart = ("-n", tenant.namespace, "delete", "pod", "-l", "vcp.dev/component=syncer", "--wait=false")
    tenant.vcp.lab.kubectl(*restart)  # one that starts anew knows nothing of the tenant
    tenant.kubectl("apply", "-f", "-", stdin=json.dumps(pod("meanwhile", "sleep", "3600")))
    eventually("a syncer that says it is not ready", lambda: not _ready(tenant))
    running = tenant.vcp.lab.get("-n", tenant.work, "pods")["items"]
    assert [one["metadata"]["annotations"]["vcp.dev/name"] for one in running] == ["before"]

    tenant.vcp.run("create", tenant.name)
    for name in ("before", "meanwhile"):
        tenant.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    assert tenant.get("pod", "before")["status"]["containerStatuses"][0]["restartCount"] == 0


def _ready(tenant: Tenant) -> bool:
    return any(
        one["status"] == "True"
        for each in tenant.host_pods("syncer")
        for one in each["status"].get("conditions", ())
        if one["type"] == "Ready"
    )


def test_an_anonymous_client_gets_only_the_health_paths(tenant: Tenant) -> None:
    url = f"https://{address(tenant)}"
    for path, code in (
        ("/readyz", "200"),
        ("/livez", "200"),
        ("/version", "401"),
        ("/api/v1/namespaces", "401"),
        ("/metrics", "401"),
    ):
        answer = tenant.vcp.lab.run("curl", "-ksm5", "-o", "/dev/null", "-w", "%{http_code}", url + path)
        assert (path, answer.stdout) == (path, code)


def test_the_certificate_of_another_tenant_is_nobody_here(tenant: Tenant) -> None:
    other = Tenant(tenant.vcp, new_name())
    other.vcp.run("create", other.name, "--ephemeral")
    try:
        config = tenant.vcp.kubeconfig
        stolen = ("--user", other.context, "--cluster", tenant.context)
        answer = tenant.vcp.lab.run(
            "kubectl", "--kubeconfig", str(config), *stolen, "get", "namespaces", check=False
        )
        assert answer.returncode != 0
        assert "Unauthorized" in answer.stderr or "must be logged in" in answer.stderr, answer.stderr
    finally:
        other.vcp.run("delete", other.name, "--yes")


def test_etcd_refuses_who_has_no_certificate(tenant: Tenant) -> None:
    endpoint = (
        f"https://{tenant.vcp.lab.get('-n', tenant.namespace, 'service', 'etcd')['spec']['clusterIP']}:2379"
    )
    refused = tenant.vcp.lab.run(
        *tenant.vcp.lab.on(tenant.host_pods("etcd")[0]),
        "etcdctl", "--insecure-transport=false", "--insecure-skip-tls-verify", f"--endpoints={endpoint}",
        "--command-timeout=3s", "get", "/", "--prefix", "--keys-only", check=False,
    )  # fmt: skip
    assert refused.returncode != 0
    assert "certificate" in refused.stderr or "tls" in refused.stderr or "deadline" in refused.stderr, (
        refused.stderr
    )
    assert "/registry" not in refused.stdout


def test_no_part_of_the_control_plane_holds_a_host_credential(tenant: Tenant) -> None:
    """But the syncer, whose work is on the host."""
    for component in ("api", "etcd", "dns"):
        for one in tenant.host_pods(component):
            spec = one["spec"]
            assert spec["automountServiceAccountToken"] is False
            sources = [
                source
                for volume in spec["volumes"]
                for source in volume.get("projected", {}).get("sources", [])
            ]
            assert not any("serviceAccountToken" in source for source in sources)
            mounts = [
                mount["mountPath"] for container in spec["containers"] for mount in container["volumeMounts"]
            ]
            assert not any(path.startswith("/var/run/secrets/kubernetes.io") for path in mounts)


def test_every_container_is_confined_and_mounts_only_its_own_secrets(tenant: Tenant) -> None:
    allowed = {
        "etcd": {"pki-etcd"},
        "api": {"pki-api", "encryption", "pki-controller-manager"},
        "syncer": {"pki-syncer"},
        "dns": {"pki-dns"},
    }
    for component, secrets in allowed.items():
        for one in tenant.host_pods(component):
            spec = one["spec"]
            assert spec["securityContext"]["runAsNonRoot"] is True
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            mounted = {volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume}
            assert mounted <= secrets
            for container in (*spec["containers"], *spec.get("initContainers", [])):
                context = container["securityContext"]
                assert context["readOnlyRootFilesystem"] is True
                assert context["allowPrivilegeEscalation"] is False
                assert context["capabilities"]["drop"] == ["ALL"]
                assert set(context["capabilities"].get("add", ())) <= {"NET_BIND_SERVICE"}


def test_what_the_accounts_on_the_host_may_do_is_golden(tenant: Tenant) -> None:
    """UPDATE_GOLDEN=1 writes the file anew."""
    lab, rights = tenant.vcp.lab, {}
    groups = ("--as-group", "system:authenticated", "--as-group", "system:serviceaccounts")
    accounts = (
        (tenant.namespace, "vcp-control-plane"),
        (tenant.namespace, "vcp-syncer"),
        (tenant.work, "vcp-workload"),
    )
    for namespace, account in accounts:
        user = ("--as", f"system:serviceaccount:{namespace}:{account}", *groups)
        for where in (tenant.namespace, tenant.work, "kube-system"):
            listing = lab.kubectl("auth", "can-i", "--list", *user, "-n", where, "--no-headers")
            place = where.replace(tenant.name, "NAME")
            rights[f"{account} in {place}"] = sorted(
                {" ".join(line.split()) for line in listing.splitlines()}
            )
    actual = yaml.safe_dump(rights)
    if os.environ.get("UPDATE_GOLDEN"):
        RIGHTS.write_text(actual)
    assert actual == RIGHTS.read_text()


def test_pod_security_and_isolation_stand_on_the_host(tenant: Tenant) -> None:
    lab = tenant.vcp.lab
    labels = lab.get("namespace", tenant.namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert (
        lab.get("namespace", tenant.work)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        == "baseline"
    )
    policies = {
        item["metadata"]["name"] for item in lab.get("-n", tenant.namespace, "networkpolicies")["items"]
    }
    assert {"vcp-deny", "vcp-api", "vcp-etcd", "vcp-syncer", "vcp-dns"} <= policies
    privileged = pod("rooted", container={"securityContext": {"privileged": True}})
    refused = lab.run(
        "kubectl", "-n", tenant.work, "apply", "-f", "-", stdin=json.dumps(privileged), check=False
    )
    assert "violates PodSecurity" in refused.stderr


def test_secrets_are_encrypted_where_they_are_stored(tenant: Tenant) -> None:
    tenant.kubectl("create", "secret", "generic", "hidden", "--from-literal=word=inthedark")
    tenant.kubectl("create", "configmap", "open", "--from-literal=word=inthelight")
    stored = read_etcd(tenant, "/registry/secrets/default/hidden")
    assert "k8s:enc:secretbox:" in stored
    assert "inthedark" not in stored
    assert "inthelight" in read_etcd(tenant, "/registry/configmaps/default/open")


def test_two_tenants_share_nothing(tenant: Tenant) -> None:
    tenant.kubectl("create", "namespace", "only-here")
    tenant.kubectl("apply", "-f", "-", stdin=json.dumps(WIDGETS))
    eventually("the CRD", lambda: tenant.kubectl("get", "widgets", check=False).returncode == 0)
    host = tenant.vcp.lab.kubectl("get", "namespaces,crds", "-o", "name")
    assert "only-here" not in host
    assert "widgets" not in host


WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.org"},
    "spec": {
        "group": "example.org",
        "names": {"kind": "Widget", "plural": "widgets"},
        "scope": "Namespaced",
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


def address(tenant: Tenant) -> str:
    ip: str = tenant.vcp.lab.get("-n", tenant.namespace, "service", "api")["spec"]["clusterIP"]
    return ip


def read_etcd(tenant: Tenant, key: str) -> str:
    """A stored value as text, read inside an etcd pod with its own certificate."""
    pki = "/etc/vcp/pki"
    files = tenant.vcp.lab.get("-n", tenant.namespace, "secret", "pki-etcd")["data"]
    certificate = next(name for name in files if name.startswith("etcd-server.") and name.endswith(".crt"))
    command = (
        "etcdctl", "--endpoints=https://127.0.0.1:2379", f"--cacert={pki}/etcd-server-ca.crt",
        f"--cert={pki}/{certificate}", f"--key={pki}/{certificate.removesuffix('.crt')}.key",
        "get", key, "--print-value-only",
    )  # fmt: skip
    return tenant.vcp.lab.kubectl("-n", tenant.namespace, "exec", "etcd-0", "-c", "etcd", "--", *command)
