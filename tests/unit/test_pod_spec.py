"""What a case on disk says less well: containers added later, metadata, references, tokens and selectors."""

import copy
import json
from typing import Any

import pytest

from kube.objects import Key, Obj
from syncer.core import podselectors, sizes
from syncer.core.actions import Create, TokenRequest
from syncer.core.policy import Pods, Sync
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.kinds.pods import dns, downward, metadata, references, servicelinks, spec, tokens
from tests.pod_scope import SCOPE, WHOLE, container, pod, scope


def service(name: str, namespace: str, address: str = "10.43.0.9") -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "ports": [{"port": 80}]},
    }


def values(host: Obj) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in host["spec"]["containers"][0].get("env", ())}


def debug(**fields: Any) -> tuple[Obj, Obj]:
    added = {"name": "debug", "image": "busybox", "targetContainerName": "app", **fields}
    return added, pod({"ephemeralContainers": [{"name": "first", "image": "busybox"}, added]})


class TestContainersAddedLater:
    def test_are_translated_as_the_others(self) -> None:
        reference = {"secretKeyRef": {"name": "db", "key": "password"}}
        added, tenant = debug(env=[{"name": "PASSWORD", "valueFrom": reference}])
        host = spec.host_container(added, tenant, WHOLE)
        assert host["targetContainerName"] == "app"
        assert host["envFrom"] == servicelinks.source(tenant, WHOLE) != []
        name = SCOPE.host_key(Key("shop", "db")).name
        assert host["env"][-1]["valueFrom"] == {"secretKeyRef": {"name": name, "key": "password"}}

    def test_are_refused_as_the_others(self) -> None:
        added, tenant = debug(securityContext={"privileged": True}, newField=1)
        with pytest.raises(Refused) as refused:
            spec.host_container(added, tenant, SCOPE)
        assert [problem.field for problem in refused.value.problems] == [
            "spec.ephemeralContainers[1].newField",
            "spec.ephemeralContainers[1].securityContext.privileged",
        ]

    def test_do_not_concern_the_pod_that_they_are_added_to(self) -> None:
        _, tenant = debug(securityContext={"privileged": True})
        assert "ephemeralContainers" not in spec.host_pod(tenant, SCOPE)["spec"]


class TestMetadata:
    @pytest.mark.parametrize(
        ("key", "expected"),
        [
            ("team", "ns.vcp.dev/team"),
            ("kubernetes.io/metadata.name", "vcp.dev/namespace"),
            ("n" * 63, "ns.vcp.dev/" + "n" * 63),
        ],
    )
    def test_keys_of_namespace_labels_stay_readable(self, key: str, expected: str) -> None:
        assert podselectors.namespace_label_key(key) == expected

    def test_a_slash_is_not_mistaken_for_an_underscore(self) -> None:
        assert podselectors.namespace_label_key("a/b_c") != podselectors.namespace_label_key("a_b_c")

    @pytest.mark.parametrize("function", [metadata.host_labels, metadata.host_annotations])
    def test_reserved_keys_are_refused_each_time(self, function: Any) -> None:
        tenant = pod(labels={"vcp.dev/tenant": "b"}, annotations={"x.vcp.dev/y": "z"})
        with pytest.raises(Refused, match=r"labels\[vcp.dev/tenant\].*annotations\[x.vcp.dev/y\]"):
            function(tenant, SCOPE)

    def test_the_mark_to_sync_is_the_tenants_to_set(self) -> None:
        assert "vcp.dev/sync" not in metadata.host_annotations(pod(annotations={"vcp.dev/sync": ""}), SCOPE)

    def test_maps_in_files_are_kept_only_where_a_file_shows_them(self) -> None:
        tenant = pod(labels={"a": "b"})
        assert downward.TENANT_LABELS not in metadata.host_annotations(tenant, SCOPE)
        item = {"path": "labels", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels"}}
        tenant["spec"]["volumes"] = [{"name": "info", "downwardAPI": {"items": [item]}}]
        annotations = metadata.host_annotations(tenant, SCOPE)
        assert annotations[downward.TENANT_LABELS] == 'a="b"'
        assert downward.TENANT_ANNOTATIONS not in annotations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", '"plain"'),
        ('a "b" \\', '"a \\"b\\" \\\\"'),
        ("\a\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'),
        ("\x00\x1f\x7f", '"\\x00\\x1f\\x7f"'),
        ("\x80\xa0\xad", '"\\u0080\\u00a0\\u00ad"'),
        ("ü日😀", '"ü日😀"'),
        ("\u200b\u2028\U000e0001", '"\\u200b\\u2028\\U000e0001"'),
    ],
)
def test_quoting_is_that_of_go(text: str, expected: str) -> None:
    assert downward.quote(text) == expected


def test_maps_are_written_by_key() -> None:
    assert downward.format_map({"b": "2", "a": "1"}) == 'a="1"\nb="2"'
    assert downward.format_map({}) == ""


class TestEnvironment:
    def told(self, tenant: Obj, where: Scope) -> dict[str, str]:
        """The variables of services, as the host's ConfigMap has them that all containers read first."""
        host = spec.host_pod(tenant, where)
        if not (made := servicelinks.made(tenant, host, where)):
            assert "envFrom" not in host["spec"]["containers"][0]
            return {}
        (create,) = made
        assert isinstance(create, Create)
        name = {"configMapRef": {"name": create.obj["metadata"]["name"]}}
        assert [each["envFrom"][0] for each in host["spec"]["containers"]] == [name]
        assert create.obj["immutable"] is True
        return dict(create.obj["data"])

    def test_the_api_is_told_in_place_of_the_stored_service(self) -> None:
        where = scope(service("kubernetes", "default", "10.43.0.1"), api_address="10.43.0.10")
        assert self.told(pod(namespace="default"), where)["KUBERNETES_SERVICE_HOST"] == "10.43.0.10"

    def test_a_service_of_that_name_in_the_pods_namespace_takes_its_place(self) -> None:
        where = scope(service("kubernetes", "shop", "10.43.0.77"), api_address="10.43.0.10")
        assert self.told(pod(), where)["KUBERNETES_SERVICE_HOST"] == "10.43.0.77"

    def test_services_of_other_namespaces_are_not_told(self) -> None:
        assert self.told(pod(), scope(service("db", "bank"))) == {}

    def test_what_the_container_names_itself_comes_later(self) -> None:
        tenant = container(
            envFrom=[{"configMapRef": {"name": "settings"}}],
            env=[{"name": "DB_SERVICE_HOST", "value": "$(DB_SERVICE_HOST).example.com"}],
        )
        where = scope(service("db", "shop"))
        (host,) = spec.host_pod(tenant, where)["spec"]["containers"]
        own = {"configMapRef": {"name": where.host_key(Key("shop", "settings")).name}}
        assert host["envFrom"] == [*servicelinks.source(tenant, where), own]
        assert host["env"] == tenant["spec"]["containers"][0]["env"]

    def test_many_services_and_containers_make_the_pod_no_larger(self) -> None:
        """120 Services told to 12 containers were more than etcd takes."""
        services = [service(f"service-with-a-long-name-{number}", "shop") for number in range(120)]
        tenant = pod({"containers": [{"name": f"c{number}", "image": "app"} for number in range(12)]})
        where = scope(*services)
        assert len(json.dumps(spec.host_pod(tenant, where))) < 4096
        (create,) = servicelinks.made(tenant, spec.host_pod(tenant, where), where)
        assert sizes.problems([create]) == []

    def test_pods_that_are_told_the_same_share_it(self) -> None:
        where, later = scope(service("db", "shop")), scope(service("db", "shop"), service("web", "shop"))
        first = servicelinks.source(pod(), where)
        assert servicelinks.source(pod(name="other"), where) == first != servicelinks.source(pod(), later)


class TestReferences:
    def test_every_place_is_found(self) -> None:
        def key(kind: str, name: str) -> Obj:
            return {"name": "A", "valueFrom": {kind: {"name": name, "key": "k"}}}

        sources = [
            {"configMap": {"name": "kube-root-ca.crt"}},
            {"secret": {"name": "s-projected"}},
            {"serviceAccountToken": {"path": "token"}},
        ]
        tenant = pod(
            {
                "containers": [{"name": "a", "env": [key("configMapKeyRef", "c-env"), {"name": "B"}]}],
                "initContainers": [{"name": "b", "envFrom": [{"secretRef": {"name": "s-from"}}]}],
                "ephemeralContainers": [{"name": "c", "env": [key("secretKeyRef", "s-late")]}],
                "imagePullSecrets": [{"name": "s-pull"}, {}],
                "volumes": [
                    {"name": "a", "configMap": {"name": "c-volume"}},
                    {"name": "b", "secret": {"secretName": "s-volume"}},
                    {"name": "c", "persistentVolumeClaim": {"claimName": "p-volume"}},
                    {"name": "d", "ephemeral": {"volumeClaimTemplate": {}}},
                    {"name": "e", "projected": {"sources": sources}},
                    {"name": "f", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "s-csi"}}},
                    {"name": "g", "csi": {"driver": "d"}},
                    {"name": "h", "emptyDir": {}},
                ],
            }
        )
        assert {(plural, found.name) for plural, found in references.references(tenant)} == {
            *(("configmaps", name) for name in ("c-env", "c-volume", "kube-root-ca.crt")),
            *(("secrets", f"s-{name}") for name in ("from", "late", "pull", "volume", "projected", "csi")),
            *(("persistentvolumeclaims", name) for name in ("p-volume", "web-0-d")),
        }
        assert {found.namespace for _, found in references.references(tenant)} == {"shop"}


class TestTokens:
    def test_each_source_is_one_request(self) -> None:
        def token(**fields: Any) -> Obj:
            return {"serviceAccountToken": fields}

        volumes = [
            {"name": "api", "projected": {"sources": [token(path="token", expirationSeconds=3607)]}},
            {"name": "more", "projected": {"sources": [token(path="token"), token(path="x", audience="v")]}},
        ]
        assert tokens.token_requests(pod({"volumes": volumes})) == (
            TokenRequest("api.token", "", 3607),
            TokenRequest("more.token", "", 3600),
            TokenRequest("more.x", "v", 3600),
        )

    def test_the_volume_reads_the_requested_file(self) -> None:
        source = {"serviceAccountToken": {"path": "a/b c"}}
        tenant = pod({"volumes": [{"name": "api", "projected": {"sources": [source]}}]})
        host = spec.host_pod(tenant, SCOPE)
        (request,) = tokens.token_requests(tenant)
        (secret,) = (each["secret"] for each in host["spec"]["volumes"][0]["projected"]["sources"])
        assert secret["name"] == tokens.secret_name(host["metadata"]["name"])
        assert secret["items"] == [{"key": request.file, "path": "a/b c"}]
        assert "optional" not in secret


class TestScheduling:
    def test_the_node_of_a_binding_is_not_the_tenants_choice(self) -> None:
        tenant = pod({"nodeName": "node-1"})
        with pytest.raises(Refused, match=r"spec\.nodeName"):
            spec.host_pod(tenant, SCOPE)
        tenant["status"] = {"conditions": [{"type": "PodScheduled", "status": "True"}]}
        assert "nodeName" not in spec.host_pod(tenant, SCOPE)["spec"]

    def test_a_priority_class_that_is_not_mapped_is_dropped(self) -> None:
        tenant = pod({"priorityClassName": "high", "priority": 7})
        mapped = scope(sync=Sync(pods=Pods(priority_classes={"high": "middle"})))
        assert spec.host_pod(tenant, mapped)["spec"]["priorityClassName"] == "middle"
        assert "priorityClassName" not in spec.host_pod(tenant, SCOPE)["spec"]

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ({"key": "a", "operator": "In", "values": ["1", "2"]}, True),
            ({"key": "b", "operator": "In", "values": ["1"]}, False),
            ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
            ({"key": "b", "operator": "NotIn", "values": ["1"]}, True),
            ({"key": "a", "operator": "Exists"}, True),
            ({"key": "b", "operator": "Exists"}, False),
            ({"key": "a", "operator": "DoesNotExist"}, False),
            ({"key": "b", "operator": "DoesNotExist"}, True),
        ],
    )
    def test_selectors_match_as_in_kubernetes(self, expression: Obj, expected: bool) -> None:
        assert podselectors.matches({"matchExpressions": [expression]}, {"a": "1"}) is expected
        assert podselectors.matches({"matchLabels": {"a": "1"}}, {"a": "1"})
        assert not podselectors.matches({"matchLabels": {"a": "2"}}, {"a": "1"})
        assert podselectors.matches({}, {})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web-0", "web-0"),
        ("a.b", "a-b"),
        ("n" * 62 + "-n", "n" * 62),
        ("n" * 62 + ".n", "n" * 62),
        ("n" * 70, "n" * 63),
    ],
)
def test_the_host_name_is_a_label(name: str, expected: str) -> None:
    assert dns.hostname(pod(name=name)) == expected


def test_search_lists_stay_within_the_api_servers_limits() -> None:
    searches = [f"{index}.{'s' * 200}.example.com" for index in range(32)]
    config = dns.host_dns(pod({"dnsConfig": {"searches": searches}}), WHOLE)["dnsConfig"]
    assert len(config["searches"]) <= 32
    assert len(" ".join(config["searches"])) <= 2048
    assert config["searches"][:4] == [
        "shop.svc.cluster.local",
        "svc.cluster.local",
        "cluster.local",
        searches[0],
    ]


def test_without_a_dns_of_its_own_a_pod_keeps_its_policy() -> None:
    assert spec.host_pod(pod({"dnsPolicy": "ClusterFirst"}), SCOPE)["spec"]["dnsPolicy"] == "ClusterFirst"


def test_the_tenant_object_is_only_read() -> None:
    tenant = container(envFrom=[{"secretRef": {"name": "s"}}])
    before = copy.deepcopy(tenant)
    spec.host_pod(tenant, WHOLE)
    assert tenant == before
