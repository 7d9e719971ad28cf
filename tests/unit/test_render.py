"""What the rendered objects promise, whatever the spec: isolation, least keys, pods that follow Secrets."""

import base64
import functools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from vcp import layout, pki, render
from vcp.spec import Spec, load

FACTS = render.Facts(service_cidr="10.43.0.0/16", cluster_ips={"api": "10.43.1.2", "dns": "10.43.1.3"})
SPECS = {
    "k3s": "{name: a}",
    "k8s": "{name: a, distro: k8s}",
    "ha": "{name: a, distro: k8s, replicas: 3, etcd: {replicas: 3}}",
    "one namespace": "{name: a, namespace: n, workloadNamespace: n}",
    "ephemeral": "{name: a, storage: {ephemeral: true}}",
    "real nodes": "{name: a, sync: {nodes: {mode: real}}}",
}


@functools.cache
def material(text: str) -> pki.Material:
    spec = load(text)
    return pki.renew({}, render.pki_request(spec, FACTS), datetime(2026, 1, 1, tzinfo=UTC))


def rendered(text: str, facts: render.Facts = FACTS) -> list[render.Obj]:
    return [obj for step in render.render(load(text), material(text), facts) for obj in step.objects]


def pods(objects: list[render.Obj]) -> list[dict[str, Any]]:
    return [obj["spec"]["template"]["spec"] for obj in objects if "template" in obj.get("spec", {})]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def named(objects: list[render.Obj], kind: str, name: str) -> render.Obj:
    (found,) = (obj for obj in objects if (obj["kind"], obj["metadata"]["name"]) == (kind, name))
    return found


every_spec = pytest.mark.parametrize("text", SPECS.values(), ids=SPECS.keys())


def test_steps_come_in_the_order_of_their_needs() -> None:
    steps = render.render(load("name: a"), material("name: a"), FACTS)
    names = ["namespaces", "foundation", "secrets", "etcd and API", "syncer and DNS"]
    assert [step.name for step in steps] == names
    assert render.render_access(load("name: a"), FACTS) == steps[:2]


@every_spec
def test_every_object_has_a_place_and_the_tenants_labels(text: str) -> None:
    spec, seen = load(text), set()
    for obj in rendered(text):
        metadata = obj["metadata"]
        assert (
            layout.labels(spec, "x").items()
            - {
                ("app.kubernetes.io/name", "x"),
                ("app.kubernetes.io/component", "x"),
            }
            <= metadata["labels"].items()
        )
        if obj["kind"].startswith("ClusterRole"):
            assert metadata["name"] == f"vcp-{spec.name}-syncer"
        elif obj["kind"] != "Namespace":
            assert metadata["namespace"] in {spec.namespace, spec.workload_namespace}
        key = (obj["kind"], metadata.get("namespace"), metadata["name"])
        assert key not in seen
        seen.add(key)


@every_spec
def test_no_pod_but_the_syncers_holds_a_host_credential(text: str) -> None:
    for pod in pods(rendered(text)):
        own = pod["containers"][0]["name"] == "syncer"
        assert pod["automountServiceAccountToken"] is own
        assert pod["serviceAccountName"] == ("vcp-syncer" if own else "vcp-control-plane")


@every_spec
def test_pods_have_no_privilege(text: str) -> None:
    for pod in pods(rendered(text)):
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            # Without it the kernel does not start the official image of CoreDNS; `restricted` lets it pass.
            more = {"add": ["NET_BIND_SERVICE"]} if container["name"] == "dns" else {}
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"], **more},
                "readOnlyRootFilesystem": True,
            }


@every_spec
def test_mounts_name_volumes_and_volumes_name_objects(text: str) -> None:
    objects = rendered(text)
    made = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
    for obj in objects:
        if "template" not in obj.get("spec", {}):
            continue
        pod = obj["spec"]["template"]["spec"]
        claims = {claim["metadata"]["name"] for claim in obj["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        used = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
        assert used == volumes.keys() | claims
        for volume in volumes.values():
            if "secret" in volume:
                data = made["Secret", volume["secret"]["secretName"]]["data"]
                assert {item["key"] for item in volume["secret"].get("items", [])} <= data.keys()
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in made


@every_spec
def test_no_pod_mounts_the_authorities_keys_that_only_the_cli_needs(text: str) -> None:
    for pod in pods(rendered(text)):
        secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        assert not secrets & {pki.CA_KEYS, pki.ADMIN, layout.RECORD, layout.KUBECONFIG}


def test_pods_roll_when_what_they_mount_changes_and_only_then() -> None:
    text = SPECS["k8s"]
    before = material(text)

    def checksums(changed: str) -> dict[str, str]:
        after = pki.Material(files={**before.files, **({changed: b"new"} if changed else {})})
        objects = [obj for step in render.render(load(text), after, FACTS) for obj in step.objects]
        return {
            obj["metadata"]["name"]: obj["spec"]["template"]["metadata"]["annotations"]["vcp.dev/checksum"]
            for obj in objects
            if "template" in obj.get("spec", {})
        }

    rolled = {
        file: {name for name, value in checksums(file).items() if value != checksums("")[name]}
        for file in (
            "etcd-peer.key",
            "etcd-server-ca.crt",
            "api-serving.crt",
            "encryption.key",
            "dns.key",
            "syncer-serving.key",
            "admin.crt",
        )
    }
    assert rolled == {
        "etcd-peer.key": {"etcd"},
        "etcd-server-ca.crt": {"etcd", "api"},
        "api-serving.crt": {"api"},
        "encryption.key": {"api"},
        "dns.key": {"dns"},
        "syncer-serving.key": {"syncer"},
        "admin.crt": set(),
    }


def test_material_is_read_back_from_the_secrets() -> None:
    for text in SPECS.values():
        secrets = [
            obj
            for obj in rendered(text)
            if obj["kind"] == "Secret" and obj["metadata"]["name"] != layout.RECORD
        ]
        files = render.secret_files(secrets)
        assert {name: files[name] for name in material(text).files} == material(text).files
        again = pki.renew(files, render.pki_request(load(text), FACTS), datetime(2026, 1, 2, tzinfo=UTC))
        assert again.issued == {}


def test_the_record_holds_the_spec_as_applied() -> None:
    record = named(rendered(SPECS["ha"]), "Secret", layout.RECORD)
    assert load(base64.b64decode(record["data"]["spec.json"]).decode()) == load(SPECS["ha"])


def test_redacted_secrets_tell_their_keys_only() -> None:
    objects = rendered(SPECS["k3s"])
    shown = render.redact(objects)
    assert len(shown) == len(objects)
    text = yaml.safe_dump(shown)
    for content in material(SPECS["k3s"]).files.values():
        assert base64.b64encode(content).decode() not in text
    assert named(shown, "Secret", "pki-dns")["data"].keys() == {"server-ca.crt", "dns.crt", "dns.key"}
    assert (
        named(objects, "Secret", "pki-dns")["data"]["dns.key"]
        != named(shown, "Secret", "pki-dns")["data"]["dns.key"]
    )


def test_a_namespace_that_is_not_ours_stays_as_it_is() -> None:
    text = SPECS["k3s"]
    facts = render.Facts(service_cidr="10.43.0.0/16", foreign_namespaces=frozenset({"vcp-a-work"}))
    (ours,) = (obj["metadata"] for obj in rendered(text, facts) if obj["kind"] == "Namespace")
    assert ours["name"] == "vcp-a"
    assert layout.MADE in ours["labels"]


def test_one_shared_namespace_has_the_level_of_the_workloads() -> None:
    names = [obj["metadata"] for obj in rendered(SPECS["one namespace"]) if obj["kind"] == "Namespace"]
    assert [(meta["name"], meta["labels"]["pod-security.kubernetes.io/enforce"]) for meta in names] == [
        ("n", "baseline")
    ]


def peers(policy: render.Obj, direction: str) -> list[dict[str, Any]]:
    return [peer for rule in policy["spec"][direction] for peer in rule.get("from", rule.get("to", []))]


@every_spec
def test_policies_hold_for_this_tenants_pods_and_name_every_peer(text: str) -> None:
    spec = load(text)
    policies = [obj for obj in rendered(text) if obj["kind"] == "NetworkPolicy"]
    names = {"vcp-deny", "vcp-api", "vcp-etcd", "vcp-syncer", "vcp-dns", "vcp-workloads"}
    assert {policy["metadata"]["name"] for policy in policies} == names
    for policy in policies:
        assert policy["spec"]["podSelector"]["matchLabels"][layout.TENANT] == spec.name
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for rule in policy["spec"].get("egress", []):
            assert rule["to"], "an empty `to` allows everything"
        for peer in peers(policy, "egress") if "egress" in policy["spec"] else []:
            assert peer.keys() in ({"ipBlock"}, {"podSelector"}, {"podSelector", "namespaceSelector"})


def test_the_api_reaches_no_address_outside() -> None:
    policy = named(rendered(SPECS["k3s"]), "NetworkPolicy", "vcp-api")
    assert all("ipBlock" not in peer for peer in peers(policy, "egress"))


@pytest.mark.parametrize(
    ("allow", "deny", "expected"),
    [
        ([], [], []),
        (["0.0.0.0/0"], [], [{"cidr": "0.0.0.0/0"}]),
        (["0.0.0.0/0"], ["10.0.0.0/8", "fe80::/10"], [{"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}]),
        (["10.1.0.0/16"], ["10.0.0.0/8"], [{"cidr": "10.1.0.0/16"}]),
        (["::/0"], ["fe80::/10", "10.0.0.0/8"], [{"cidr": "::/0", "except": ["fe80::/10"]}]),
    ],
)
def test_workloads_exchange_traffic_with_what_the_spec_allows(
    allow: list[str], deny: list[str], expected: list[dict[str, Any]]
) -> None:
    spec = load({"name": "a", "network": {"allow": allow, "deny": deny}})
    steps = render.render_access(spec, render.Facts(service_cidr="10.43.0.0/16"))
    policy = named([obj for step in steps for obj in step.objects], "NetworkPolicy", "vcp-workloads")
    for direction in ("ingress", "egress"):
        assert [peer["ipBlock"] for peer in peers(policy, direction) if "ipBlock" in peer] == expected


def test_members_know_each_other_and_the_api_knows_them_all() -> None:
    objects = rendered(SPECS["ha"])
    members = named(objects, "StatefulSet", "etcd")
    args = members["spec"]["template"]["spec"]["containers"][0]["args"]
    cluster = next(arg for arg in args if arg.startswith("--initial-cluster="))
    assert cluster.count("https://") == members["spec"]["replicas"] == 3
    api = pods(objects)[1]["containers"][0]["args"]
    servers = next(arg for arg in api if arg.startswith("--etcd-servers=")).partition("=")[2].split(",")
    assert servers == [f"https://etcd-{index}.etcd-peers.vcp-a.svc:2379" for index in range(3)]
    budgets = [obj["metadata"]["name"] for obj in objects if obj["kind"] == "PodDisruptionBudget"]
    assert budgets == ["etcd", "api"], "one syncer and one DNS must not hold up a drain"


def test_secrets_are_encrypted_unless_told_otherwise_and_stay_readable() -> None:
    def providers(text: str) -> list[str]:
        secret = named(rendered(text), "Secret", layout.ENCRYPTION)
        config = yaml.safe_load(base64.b64decode(secret["data"]["encryption.yaml"]))
        return [next(iter(provider)) for provider in config["resources"][0]["providers"]]

    assert providers("{name: a}") == ["secretbox", "identity"]
    assert providers("{name: a, encryptSecrets: false}") == ["identity", "secretbox"]


def test_the_tenants_owner_is_bound_inside_the_tenant() -> None:
    objects = list(render.tenant_objects(Spec(name="a")))
    binding = named(objects, "ClusterRoleBinding", pki.ADMINS)
    assert binding["roleRef"]["name"] == "cluster-admin"
    assert binding["subjects"][0]["name"] == pki.ADMINS


def test_rendering_leaves_nothing_behind() -> None:
    first = rendered(SPECS["ha"])
    rendered(SPECS["one namespace"])
    assert rendered(SPECS["ha"]) == first


def hosts(obj: render.Obj) -> dict[str, str]:
    """The address of each name that is fixed in the pods of a workload."""
    pod = obj["spec"]["template"]["spec"]
    return {name: one["ip"] for one in pod["hostAliases"] for name in one["hostnames"]}


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("distro", ["k3s", "k8s"])
def test_what_a_tenant_steers_finds_its_peers_without_the_hosts_dns(distro: str, members: int) -> None:
    text = f"{{name: a, distro: {distro}, etcd: {{replicas: {members}}}}}"
    names = [service["metadata"]["name"] for service in render.services(load(text))]
    ips = {name: f"10.43.2.{index}" for index, name in enumerate(names)}
    facts = render.Facts(service_cidr="10.43.0.0/16", cluster_ips=ips)
    found = {(obj["kind"], obj["metadata"]["name"]): obj for obj in rendered(text, facts)}
    own = [ips[f"etcd-{index}" if members > 1 else "etcd"] for index in range(members)]
    etcd = {f"etcd-{index}.etcd-peers.vcp-a.svc": ip for index, ip in enumerate(own)}
    etcd["etcd.vcp-a.svc"] = ips["etcd"]
    assert hosts(found["StatefulSet", "etcd"]) == etcd
    others = {f"{name}.vcp-a.svc": ips[name] for name in ("syncer", "kubelet")}
    assert hosts(found["Deployment", "api"]) == etcd | others
    for kind, name in (("StatefulSet", "etcd"), ("Deployment", "api")):
        pod = found[kind, name]["spec"]["template"]["spec"]
        assert (pod["dnsPolicy"], pod["dnsConfig"]) == ("None", {"nameservers": [ips["dns"]]})
        policy = json.dumps(found["NetworkPolicy", f"vcp-{name}"])
        assert "kube-dns" not in policy
