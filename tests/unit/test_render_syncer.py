"""What the syncer and the tenant's DNS are given: rights, settings, a Corefile, ways in and out."""

from typing import Any

import msgspec
import pytest

from kube import apis
from syncer import settings
from syncer.core.declaration import Declaration, Owned
from syncer.core.kind import Kind, Made, Mirror
from syncer.core.policy import Network
from syncer.core.rights import READ, SYNCED, Rule
from vcp import layout, render
from vcp.render import dns, isolation, syncer
from vcp.spec import load

Ports = set[tuple[str, int]]


class Wants(Kind):
    """A kind with the rights that a test gives it."""

    api = apis.PODS
    watches = {}

    def __init__(self, *rights: Rule) -> None:
        super().__init__()
        self.rights = rights


def rule(group: str, plurals: list[str], *verbs: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": plurals, "verbs": list(verbs)}


def test_kinds_with_the_same_verbs_share_a_rule_and_all_is_sorted() -> None:
    resources = [
        Wants(Rule(apis.SECRETS, SYNCED), Rule(apis.CONFIG_MAPS, SYNCED)),
        Wants(Rule(apis.PODS, ("patch",), "status"), Rule(apis.ENDPOINT_SLICES, READ)),
        Wants(Rule(apis.EVENTS, READ), Rule(apis.NODES, READ, cluster=True)),
    ]
    expected = [
        rule("", ["configmaps", "secrets"], "create", "delete", "get", "list", "patch", "watch"),
        rule("", ["events"], "get", "list", "watch"),
        rule("", ["pods/status"], "patch"),
        rule("discovery.k8s.io", ["endpointslices"], "get", "list", "watch"),
    ]
    assert syncer.on_host(resources) == expected
    assert syncer.on_host(reversed(resources)) == expected
    assert syncer.on_host(resources, cluster=True) == [rule("", ["nodes"], "get", "list", "watch")]


def test_what_two_resources_ask_of_one_kind_is_granted_once() -> None:
    twice = [Wants(Rule(apis.SECRETS, READ)), Wants(Rule(apis.SECRETS, ("create", "get")))]
    assert syncer.on_host(twice) == [rule("", ["secrets"], "create", "get", "list", "watch")]
    assert syncer.on_host([]) == []


def test_what_a_kind_is_says_most_of_its_rights() -> None:
    mirror = Mirror(apis.POD_DISRUPTION_BUDGETS, Declaration(owned=Owned(("spec",), ("status",))))
    assert syncer.on_host([mirror]) == [rule("policy", ["poddisruptionbudgets"], *sorted(SYNCED))]
    budgets = [
        rule("policy", ["poddisruptionbudgets"], "get", "list", "watch"),
        rule("policy", ["poddisruptionbudgets/status"], "patch"),
    ]
    made = Made()
    made.api = apis.STORAGE_CLASSES
    classes = rule("storage.k8s.io", ["storageclasses"], "create", "get", "list", "patch", "watch")
    events = rule("", ["events"], "create", "get", "patch")
    assert syncer.in_tenant([mirror, made]) == [events, *budgets, classes]


def test_in_the_tenant_the_syncer_cannot_raise_its_rights_or_write_secrets() -> None:
    (role,) = [
        obj
        for obj in render.tenant_objects(load("name: a"))
        if (obj["kind"], obj["metadata"]["name"]) == ("ClusterRole", "vcp:syncer")
    ]
    granted = {
        (plural, verb) for one in role["rules"] for plural in one["resources"] for verb in one["verbs"]
    }
    assert {verb for plural, verb in granted if plural in {"secrets", "configmaps"}} == {
        "get",
        "list",
        "watch",
    }
    assert not [one for one in role["rules"] if "rbac.authorization.k8s.io" in one["apiGroups"]]
    assert not {"*", "escalate", "bind", "impersonate"} & {word for pair in granted for word in pair}
    assert ("serviceaccounts/token", "create") in granted


def by_name(text: str) -> dict[str, render.Obj]:
    return {f"{obj['kind']}/{obj['metadata']['name']}": obj for obj in syncer.rights(load(text))}


def test_rights_are_in_the_two_namespaces_and_nowhere_else() -> None:
    found = by_name("name: a")
    assert {obj["metadata"]["namespace"] for obj in found.values()} == {"vcp-a", "vcp-a-work"}
    for name, namespace in (("vcp-syncer", "vcp-a-work"), ("vcp-syncer-lease", "vcp-a")):
        binding = found[f"RoleBinding/{name}"]
        assert binding["metadata"]["namespace"] == namespace
        assert binding["roleRef"]["name"] == name
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "vcp-syncer", "namespace": "vcp-a"}]
    plurals = {plural for rule in found["Role/vcp-syncer-lease"]["rules"] for plural in rule["resources"]}
    assert plurals == {"leases"}


def test_in_one_namespace_no_name_is_taken_twice() -> None:
    found = syncer.rights(load("{name: a, namespace: n, workloadNamespace: n}"))
    assert len({(obj["kind"], obj["metadata"]["name"]) for obj in found}) == len(found)


def test_only_real_nodes_take_a_cluster_role_and_it_only_reads() -> None:
    found = by_name("{name: a, sync: {nodes: {mode: real}}}")
    for rule in found["ClusterRole/vcp-a-syncer"]["rules"]:
        assert set(rule["verbs"]) <= {"get", "list", "watch"}
    assert found["ClusterRoleBinding/vcp-a-syncer"]["roleRef"]["name"] == "vcp-a-syncer"
    assert not [key for key in by_name("name: a") if key.startswith("ClusterRole")]


def test_the_syncer_reads_its_settings_back() -> None:
    text = """
    name: a
    clusterDomain: a.example
    podSecurity: restricted
    sync: {pods: {volumes: [nfs]}, nodes: {mode: real, selector: pool=a}, services: {externalNames: true}}
    network: {allow: [0.0.0.0/0], deny: [10.0.0.0/8]}
    """
    spec = load(text)
    config = syncer.syncer(
        spec, {"api": "10.43.1.2", "dns": "10.43.1.3", "syncer": "10.43.1.4"}, ("198.51.100.1",)
    )[0]
    told = msgspec.json.decode(config["data"]["settings.json"], type=settings.Settings)
    assert told == settings.Settings(
        name="a",
        namespace="vcp-a-work",
        control_namespace="vcp-a",
        server="https://api.vcp-a.svc",
        api_address="10.43.1.2",
        dns_address="10.43.1.3",
        metrics_address="10.43.1.4",
        cluster_domain="a.example",
        hosts_image=syncer.image(spec),
        pod_security="restricted",
        network=Network(allow=("0.0.0.0/0",), deny=("10.0.0.0/8", "198.51.100.1")),
        sync=spec.sync,
    )


def test_images_come_from_the_registry_of_the_spec() -> None:
    assert dns.image(load("name: a")).startswith("registry.k8s.io/coredns/coredns:v")
    mirrored = load("{name: a, imageRegistry: m.example/x}")
    assert dns.image(mirrored).startswith("m.example/x/coredns/coredns:v")
    assert syncer.image(mirrored).startswith("m.example/x/vcp-syncer:")
    assert syncer.image(load("{name: a, images: {syncer: own:1}}")) == "own:1"


def blocks(text: str) -> dict[str, list[str]]:
    """The lines of each server block of the Corefile by its first domain."""
    lines = dns.corefile(load(text), "https://10.43.1.2:443").splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        if not line.startswith((" ", "}")):
            found[line.partition(":")[0]] = []
        found[list(found)[-1]].append(line.strip())
    return found


def test_the_tenants_own_domain_and_all_addresses_are_answered_by_the_tenant_alone() -> None:
    own = blocks("{name: a, clusterDomain: cluster.local}")
    assert own.keys() == {"cluster.local", "."}
    assert "endpoint https://10.43.1.2:443" in own["cluster.local"]
    assert "kubernetes cluster.local in-addr.arpa ip6.arpa {" in own["cluster.local"]
    text = "\n".join(own["cluster.local"])
    assert "fallthrough" not in text
    assert "cache" not in text, "a new Service would be unknown for as long"


def test_the_hosts_domain_is_blocked_where_it_is_another() -> None:
    other = blocks("{name: a, clusterDomain: a.example}")
    assert list(other) == ["a.example", "cluster.local", "."]
    assert "rcode NXDOMAIN" in other["cluster.local"]
    named = blocks("{name: a, clusterDomain: a.example, dns: {hostDomain: corp.example}}")
    assert list(named) == ["a.example", "corp.example", "."]
    assert list(blocks("{name: a, clusterDomain: a.example, dns: {hostDomain: ''}}")) == ["a.example", "."]


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("10.43.1.2", "https://10.43.1.2:443"),
        ("fd00::2", "https://[fd00::2]:443"),
        ("", "https://api.vcp-a.svc:443"),
    ],
)
def test_the_resolver_finds_the_api_by_its_address(address: str, endpoint: str) -> None:
    config = dns.dns(load("name: a"), address)[0]
    assert f"endpoint {endpoint}\n" in config["data"]["Corefile"]


def policies(*host_api: str) -> dict[str, render.Obj]:
    found = isolation.isolation(load("name: a"), host_api, "10.43.0.0/16,fd00::/108", (6443, 8443))
    return {obj["metadata"]["name"]: obj["spec"] for obj in found if obj["kind"] == "NetworkPolicy"}


def blocks_of(policy: render.Obj) -> list[str]:
    return [peer["ipBlock"]["cidr"] for rule in policy["egress"] for peer in rule["to"] if "ipBlock" in peer]


def test_the_syncer_reaches_the_hosts_api_and_nothing_else_outside() -> None:
    assert blocks_of(policies("198.51.100.1", "2001:db8::1")["vcp-syncer"]) == [
        "198.51.100.1/32",
        "2001:db8::1/128",
        "10.43.0.1/32",
        "fd00::1/128",
    ]
    rules = [rule for rule in policies("198.51.100.1")["vcp-syncer"]["egress"] if "ipBlock" in rule["to"][0]]
    assert [ports([rule]) for rule in rules] == [{("TCP", 6443), ("TCP", 8443)}, {("TCP", 443)}], (
        "kubelets listen at the same addresses"
    )
    assert blocks_of(policies()["vcp-syncer"]) == ["0.0.0.0/0", "::/0"], (
        "unknown addresses must not cut it off"
    )


def ports(rules: list[dict[str, Any]]) -> Ports:
    return {(port["protocol"], port["port"]) for rule in rules for port in rule["ports"]}


def test_only_the_api_server_gets_into_the_syncer() -> None:
    (rule,) = policies()["vcp-syncer"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {layout.COMPONENT: "api", layout.TENANT: "a"}}}]
    assert ports([rule]) == {
        ("TCP", layout.KUBELET_PORT),
        ("TCP", layout.WEBHOOK_PORT),
        ("TCP", layout.METRICS_PORT),
    }


def test_names_are_asked_for_and_answered_on_the_resolvers_own_port() -> None:
    """A policy sees a pod's port, not that of the Service."""
    own = {("UDP", layout.DNS_PORT), ("TCP", layout.DNS_PORT)}
    found = policies()
    assert ports(found["vcp-dns"]["ingress"]) == own
    for name in ("vcp-api", "vcp-workloads"):
        to_dns = [
            rule
            for rule in found[name]["egress"]
            if any(
                peer.get("podSelector", {}).get("matchLabels", {}).get(layout.COMPONENT) == "dns"
                for peer in rule["to"]
            )
        ]
        assert ports(to_dns) == own
    service = next(
        obj
        for step in render.render_access(load("name: a"), render.Facts(service_cidr="10.43.0.0/16"))
        for obj in step.objects
        if (obj["kind"], obj["metadata"]["name"]) == ("Service", "dns")
    )
    assert {(port["protocol"], port["port"]) for port in service["spec"]["ports"]} == {
        ("UDP", 53),
        ("TCP", 53),
    }
    container = dns.dns(load("name: a"), "")[1]["spec"]["template"]["spec"]["containers"][0]
    assert {(port["protocol"], port["containerPort"]) for port in container["ports"]} == own


def test_inside_the_tenant_the_resolver_may_only_read_what_it_answers_from() -> None:
    role = next(obj for obj in render.tenant_objects(load("name: a")) if obj["metadata"]["name"] == "vcp:dns")
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list", "watch"}
    plurals = {plural for rule in role["rules"] for plural in rule["resources"]}
    assert plurals == {"namespaces", "services", "endpointslices"}
