"""What a user may write, what is said when it is wrong, and what may change later."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube.quantities import quantity
from vcp import spec as specs
from vcp.errors import UsageError
from vcp.spec import Spec, changes, dump, immutable_violations, load
from vcp.spec.durations import duration


def message(source: str | dict[str, object], *overrides: tuple[str, object]) -> str:
    with pytest.raises(UsageError) as error:
        load(source, overrides)
    return error.value.message


def test_a_name_is_enough_and_the_rest_derives_from_it() -> None:
    spec = load("name: tenant-a")
    assert (spec.namespace, spec.workload_namespace) == ("vcp-tenant-a", "vcp-tenant-a-work")
    assert (spec.distro, spec.version, spec.encrypt_secrets) == ("k3s", specs.KNOWN_VERSION, True)
    assert spec == Spec(name="tenant-a")


@pytest.mark.parametrize("text", ["a", "!a", "a=b,c!=d", "a in (b, c),d", "example.com/a notin (b)", "a="])
def test_real_nodes_are_chosen_by_a_label_selector(text: str) -> None:
    sync = {"nodes": {"mode": "real", "selector": text}}
    assert load({"name": "a", "sync": sync}).sync.nodes.selector == text


def test_one_namespace_may_hold_both() -> None:
    assert load("{name: a, namespace: team, workloadNamespace: team}").workload_namespace == "team"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("name: a\nstorge: {size: 1Gi}", "storge: unknown key; did you mean 'storage'?"),
        ("name: a\nstorage: {siz: 1Gi}", "storage.siz: unknown key; did you mean 'size'?"),
        ("name: a\ntolerations: [{ky: x}]", "tolerations[0].ky: unknown key; did you mean 'key'?"),
        ("name: a\netcd: {members: 3}", "etcd.members: unknown key; known are replicas"),
        ("name: a\nstorage: {size: 5GB}", "storage.size: '5GB' is not a quantity"),
        ("name: a\nquota: {pods: '-1'}", "quota.pods: -1 is negative"),
        ("name: a\nstorage: {size: 1Mi}", "storage.size: 1Mi is too small"),
        ("name: a\nreplicas: 4", "replicas: expected `int` <= 3"),
        ("name: a\netcd: {replicas: 2}", "etcd.replicas: invalid enum value 2"),
        ("name: a\nversion: 1.36", "version: expected `str`, got `float`"),
        (
            "name: a\nversion: '1.36.3'",
            "version: '1.36.3' is not a version of k3s; write for example v1.36.3-k3s1",
        ),
        ("name: a\nversion: v1.99.0", "version: v1.99.0 is newer than this vcp knows"),
        ("name: a\nversion: v1.20.0", "version: v1.20.0 is too old"),
        ("name: a\ndistro: k8s\nversion: v1.36.3-k3s1", "is not a version of k8s"),
        ("name: Tenant_A", "name: 'Tenant_A' is not a DNS label"),
        ("name: 1st", "beginning with a letter"),
        (f"name: {'a' * 55}", "name: 55 characters; at most 54"),
        ("name: a-work", "name: may not end in '-work'"),
        ("name: a\nnamespace: kube-system", "namespace: 'kube-system' belongs to the host"),
        ("name: a\nworkloadNamespace: A", "workloadNamespace: 'A' is not a DNS label"),
        ("name: a\nserviceCidr: 10.43.0.1/16", "serviceCidr: 10.43.0.1/16 has host bits set"),
        ("name: a\nnetwork: {deny: [all]}", "network.deny[0]: 'all' does not appear to be"),
        ("name: a\nexpose: {tlsSans: ['a b']}", "expose.tlsSans[0]: 'a b' is neither"),
        ("name: a\nimageRegistry: https://x", "imageRegistry: 'https://x' is not a host"),
        ("name: a\nclusterDomain: '-'", "clusterDomain: '-' is not a DNS domain"),
        ("name: a\nstorage: {ephemeral: true}\netcd: {replicas: 3}", "storage.ephemeral: one member only"),
        ("name: a\ncertificates: {leaf: 1w}", "certificates.leaf: '1w' is not a duration"),
        ("name: a\ncertificates: {leaf: 11y}", "certificates.leaf: outlives the authority"),
        (
            "name: a\nextraArgs: {apiServer: {etcd-servers: x}}",
            "extraArgs.apiServer.etcd-servers: is set by vcp",
        ),
        ("name: a\nextraArgs: {apiServer: {--v: '2'}}", "write it without leading dashes"),
        ("name: a\nresources: {api: {limits: {memory: lots}}}", "resources.api.limits.memory: 'lots' is not"),
        ("name: a\nresources: {dns: {requests: {cpu: x}}}", "resources.dns.requests.cpu: 'x' is not"),
        ("name: a\nsyncer: {replicas: 4}", "syncer.replicas: expected `int` <= 3"),
        ("name: a\ndns: {replicas: 3}", "dns.replicas: expected `int` <= 2"),
        ("name: a\ndns: {hostDomain: a b}", "dns.hostDomain: 'a b' is not a DNS domain"),
        ("name: a\nsync: {pods: {nodeName: true}}", "did you mean 'nodeNames'?"),
        ("name: a\nsync: {pods: {volumes: [secret]}}", "sync.pods.volumes[0]: 'secret' is always allowed"),
        ("name: a\nsync: {pods: {volumes: [ntfs]}}", "sync.pods.volumes[0]: 'ntfs' is not a type of volume"),
        ("name: a\nsync: {pods: {volumes: [hostPath]}}", "below `podSecurity: privileged`"),
        ("name: a\nsync: {pods: {runtimeClasses: {a: B}}}", "sync.pods.runtimeClasses.a: 'B' is not a name"),
        ("name: a\nsync: {pods: {tolerations: [{k: x}]}}", "sync.pods.tolerations[0].k: unknown key"),
        ("name: a\nsync: {pods: {tolerations: [{value: x}]}}", "tolerates nothing: without a `key`"),
        ("name: a\nsync: {nodes: {selector: a=b}}", "sync.nodes.selector: chooses among real nodes"),
        ("name: a\nsync: {nodes: {mode: real, selector: 'a b'}}", "'a b' is not a label selector"),
        ("namespace: b", "object missing required field `name`"),
        ("- a", "the spec is not a mapping"),
        ("a: [", "the spec is not YAML"),
    ],
)
def test_an_error_says_where_and_what(source: str, said: str) -> None:
    assert said in message(source)


def test_one_run_shows_every_problem() -> None:
    text = message("{name: A, storage: {size: x}, version: y}")
    assert all(f"- {path}: " in text for path in ("name", "version", "storage.size"))


def test_overrides_are_laid_over_the_file_and_read_as_yaml() -> None:
    source = {"name": "a", "storage": {"size": "1Gi"}}
    overrides = [
        ("storage.size", "2Gi"),
        ("replicas", "3"),
        ("expose.tlsSans", "[x.example]"),
        ("protected", True),
    ]
    spec = load(source, overrides)
    assert (spec.storage.size, spec.replicas, spec.expose.tls_sans, spec.protected) == (
        "2Gi",
        3,
        ("x.example",),
        True,
    )
    assert source == {"name": "a", "storage": {"size": "1Gi"}}


def test_an_override_quotes_keys_with_dots() -> None:
    assert load("name: a", [('nodeSelector."kubernetes.io/os"', "linux")]).node_selector == {
        "kubernetes.io/os": "linux"
    }


def test_an_override_does_not_turn_a_value_into_a_mapping() -> None:
    assert message("name: a", ("name.x", "1")) == "--set name.x: name is not a mapping"


names = st.from_regex(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?", fullmatch=True).filter(
    lambda name: not name.endswith("-work")
)
specs_ = st.builds(
    lambda name, replicas, members, labels, size: {
        "name": name,
        "replicas": replicas,
        "etcd": {"replicas": members},
        "nodeSelector": labels,
        "storage": {"size": f"{size}Gi"},
    },
    names,
    st.integers(1, 3),
    st.sampled_from([1, 3]),
    st.dictionaries(st.text(min_size=1), st.text(), max_size=3),
    st.integers(1, 4000),
)


@given(specs_)
def test_a_spec_survives_the_round_trip(data: dict[str, object]) -> None:
    spec = load(data)
    assert load(dump(spec)) == spec == load(spec.to_mapping())
    assert json.loads(dump(spec)) == spec.to_mapping()


@given(st.sampled_from(sorted(Spec(name="a").to_mapping())), st.integers(0, 20))
def test_a_misspelled_key_is_named_with_the_right_one(key: str, position: int) -> None:
    wrong = key[: position % len(key)] + "q" + key[position % len(key) :]
    assert message({"name": "a", wrong: 1}).startswith(
        f"the spec is wrong: {wrong}: unknown key; did you mean "
    )


def test_changes_are_listed_by_path() -> None:
    old = load("name: a\nnodeSelector: {disk: ssd}")
    new = load("name: a\nreplicas: 3\nstorage: {size: 9Gi}\ntolerations: [{key: x}]")
    assert changes(old, old) == []
    assert [path for path, *_ in changes(old, new)] == [
        "nodeSelector.disk",
        "replicas",
        "storage.size",
        "tolerations",
    ]
    assert ("nodeSelector.disk", "ssd", None) in changes(old, new)
    assert ("replicas", 1, 3) in changes(old, new)


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ("etcd: {replicas: 3}", "etcd: {replicas: 1}", "etcd.replicas"),
        ("etcd: {replicas: 1}", "etcd: {replicas: 3}", "etcd.replicas"),
        ("serviceCidr: 10.1.0.0/16", "serviceCidr: 10.2.0.0/16", "serviceCidr"),
        ("storage: {ephemeral: true}", "storage: {ephemeral: false}", "storage.ephemeral"),
        ("storage: {class: a}", "storage: {class: b}", "storage.class"),
        ("clusterDomain: a.example", "clusterDomain: b.example", "clusterDomain"),
        ("namespace: x", "namespace: y", "namespace"),
        ("workloadNamespace: x", "workloadNamespace: y", "workloadNamespace"),
        ("distro: k3s", "distro: k8s", "distro"),
        ("version: v1.36.3", "version: v1.35.0", "version"),
        ("version: v1.34.0", "version: v1.36.0", "version"),
    ],
)
def test_what_cannot_be_done_in_place_is_refused_with_its_reason(before: str, after: str, path: str) -> None:
    refused = immutable_violations(load(f"name: a\n{before}"), load(f"name: a\n{after}"))
    assert len(refused) == 1
    assert refused[0].startswith(f"{path} cannot ")
    assert ": " in refused[0]


def test_everything_else_may_change() -> None:
    new = load("name: a\nreplicas: 2\nversion: v1.36.4\nexpose: {type: node-port}\nquota: {pods: '9'}")
    assert immutable_violations(load("name: a"), new) == []


def test_units() -> None:
    assert (quantity("5Gi"), quantity("500m") * 2, quantity("1.5k")) == (5 * 1024**3, 1, 1500)
    assert (duration("8h").total_seconds(), duration("1y").days, duration("1d12h").total_seconds()) == (
        28800,
        365,
        129600,
    )


def test_numbers_and_booleans_become_text_where_text_is_meant() -> None:
    flags = "{v: 2, goaway-chance: 0, contention-profiling: false}"
    text = f"{{name: a, quota: {{pods: 50}}, extraArgs: {{apiServer: {flags}}}}}"
    spec = specs.load(text, overrides=[("limits.max.cpu", "2")])
    assert spec.quota == {"pods": "50"}
    assert spec.extra_args.api_server == {"v": "2", "goaway-chance": "0", "contention-profiling": "false"}
    assert spec.limits.max == {"cpu": "2"}


def test_a_tier_is_a_quota_of_which_single_entries_may_be_replaced_or_lifted() -> None:
    hard = load("name: a").hard
    assert (hard["pods"], hard["services.nodeports"], hard["services.loadbalancers"]) == ("200", "0", "0")
    spec = load("{name: a, tier: small, quota: {pods: 50, services.nodeports: '', limits.cpu: 8}}")
    assert spec.hard == {
        "pods": "50",
        "requests.cpu": "4",
        "requests.memory": "8Gi",
        "requests.storage": "50Gi",
        "persistentvolumeclaims": "10",
        "services": "40",
        "count/configmaps": "200",
        "count/secrets": "300",
        "services.loadbalancers": "0",
        "limits.cpu": "8",
    }
    assert (load("{name: a, tier: none}").hard, load("{name: a, tier: none}").requested) == ({}, {})


def test_a_container_that_asks_for_nothing_is_counted_with_a_little() -> None:
    assert load("name: a").requested == {"cpu": "10m", "memory": "32Mi"}
    assert load("{name: a, limits: {defaultRequest: {cpu: 1}}}").requested == {"cpu": "1", "memory": "32Mi"}
