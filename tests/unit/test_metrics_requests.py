"""What is asked of the metrics API, and for whom."""

import pytest

from kube import apis
from syncer.kinds.metrics import answers, callers, registration
from syncer.kinds.metrics.answers import MetricsRequest
from syncer.kinds.metrics.callers import Caller

ROOT = "/apis/metrics.k8s.io/v1beta1"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{ROOT}/pods", MetricsRequest(apis.POD_METRICS)),
        (f"{ROOT}/namespaces/shop/pods", MetricsRequest(apis.POD_METRICS, "shop")),
        (f"{ROOT}/namespaces/shop/pods/web-0", MetricsRequest(apis.POD_METRICS, "shop", "web-0")),
        (f"{ROOT}/nodes", MetricsRequest(apis.NODE_METRICS)),
        (f"{ROOT}/nodes/a.example", MetricsRequest(apis.NODE_METRICS, "", "a.example")),
        (f"{ROOT}/pods/web-0", None),
        (f"{ROOT}/namespaces/shop/nodes", None),
        (f"{ROOT}/namespaces/shop/pods/web-0/log", None),
        (f"{ROOT}/namespaces/../pods", None),
        (f"{ROOT}/services", None),
        ("/apis/metrics.k8s.io/v1/pods", None),
        ("/apis/metricsxk8s.io/v1beta1/pods", None),
    ],
)
def test_paths(path: str, expected: MetricsRequest | None) -> None:
    assert answers.parse(path) == expected


def test_the_first_kind_of_answer_that_a_client_accepts_counts() -> None:
    tables = "application/json;as=Table;v=v1;g=meta.k8s.io"
    assert answers.wants_table(f"{tables},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json")
    for other in (
        "",
        "*/*",
        "application/json",
        f"application/json,{tables}",
        tables.replace("v1;", "v1beta1;"),
    ):
        assert not answers.wants_table(other)


def test_who_asks_is_in_the_headers() -> None:
    headers = [
        ("X-Remote-User", "jane"),
        ("X-Remote-User", "somebody-else"),
        ("X-Remote-Group", "dev"),
        ("x-remote-group", "system:authenticated"),
        ("X-Remote-Uid", "42"),
        ("X-Remote-Extra-Acme.com%2fProject", "one"),
        ("X-Remote-Extra-acme.com%2fproject", "two"),
        ("Authorization", "Bearer x"),
    ]
    caller = callers.of(headers)
    assert caller == Caller(
        "jane", ("dev", "system:authenticated"), "42", (("acme.com/project", ("one", "two")),)
    )
    assert callers.of(headers[2:]) is None
    asked = MetricsRequest(apis.POD_METRICS, "shop")
    assert callers.review(caller, asked)["spec"] == {
        "user": "jane",
        "groups": ["dev", "system:authenticated"],
        "uid": "42",
        "extra": {"acme.com/project": ["one", "two"]},
        "resourceAttributes": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "resource": "pods",
            "verb": "list",
            "namespace": "shop",
        },
    }


def test_a_refusal_reads_as_an_api_servers_own() -> None:
    told = answers.forbidden("jane", MetricsRequest(apis.NODE_METRICS, "", "node-1"), "")
    assert told["message"] == (
        'nodes.metrics.k8s.io "node-1" is forbidden: User "jane" cannot get resource "nodes" in API group '
        '"metrics.k8s.io" at the cluster scope'
    )


def test_nothing_that_is_discovered_can_be_deleted() -> None:
    """A namespace that is deleted asks for all that can be; a host without metrics must not hold it up."""
    resources = registration.resource_list()["resources"]
    assert [(one["name"], one["namespaced"]) for one in resources] == [("nodes", False), ("pods", True)]
    assert {verb for one in resources for verb in one["verbs"]} == {"get", "list"}
