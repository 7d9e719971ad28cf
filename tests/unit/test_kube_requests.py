"""Requests as values: paths, queries, content types and bodies follow the Kubernetes API conventions."""

import json

import pytest

from kube import apis, requests


@pytest.mark.parametrize(
    ("resource", "address", "path"),
    [
        (apis.PODS, ("ns", "web"), "/api/v1/namespaces/ns/pods/web"),
        (apis.PODS, ("ns", "web", "status"), "/api/v1/namespaces/ns/pods/web/status"),
        (apis.PODS, (), "/api/v1/pods"),
        (apis.NODES, ("ignored", "n1"), "/api/v1/nodes/n1"),
        (apis.DEPLOYMENTS, ("ns",), "/apis/apps/v1/namespaces/ns/deployments"),
    ],
)
def test_paths(resource: apis.ApiResource, address: tuple[str, ...], path: str) -> None:
    assert resource.path(*address) == path


def test_a_manifest_knows_its_endpoint() -> None:
    manifest = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
    assert apis.resource_of(manifest) is apis.POD_DISRUPTION_BUDGETS
    with pytest.raises(KeyError):
        apis.resource_of({"apiVersion": "v1", "kind": "Unknown"})


def test_apply_is_json_under_the_yaml_content_type() -> None:
    obj = {"metadata": {"name": "a"}}
    request = requests.apply(apis.SECRETS, "ns", obj, field_manager="vcp", force=True, dry_run=True)
    assert request.method == "PATCH"
    assert request.query == {"fieldManager": "vcp", "force": "true", "dryRun": "All"}
    assert (request.content_type, json.loads(request.body or b"")) == ("application/apply-patch+yaml", obj)


@pytest.mark.parametrize(
    ("type_", "content_type", "repeatable"),
    [
        ("merge", "application/merge-patch+json", True),
        ("strategic", "application/strategic-merge-patch+json", True),
        ("json", "application/json-patch+json", False),
    ],
)
def test_patches(type_: requests.PatchType, content_type: str, repeatable: bool) -> None:
    request = requests.patch(apis.PODS, "ns", "a", {}, type_=type_)
    assert (request.content_type, request.repeatable) == (content_type, repeatable)


def test_delete_carries_preconditions_grace_zero_and_propagation() -> None:
    request = requests.delete(apis.PODS, "ns", "a", uid="u", grace=0, propagation="Foreground")
    assert json.loads(request.body or b"") == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "u"},
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
    }


def test_a_continued_list_names_no_version() -> None:
    first = requests.list_page(apis.PODS, resource_version="0")
    assert first.query == {"limit": "500", "resourceVersion": "0"}
    second = requests.list_page(apis.PODS, resource_version="0", continue_="token")
    assert second.query == {"limit": "500", "continue": "token"}


def test_a_watch_asks_for_bookmarks_and_an_end() -> None:
    assert requests.watch(apis.PODS, "ns", resource_version="7", labels="a=b").query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "labelSelector": "a=b",
        "timeoutSeconds": "300",
        "resourceVersion": "7",
    }


def test_a_binding_posts_to_the_subresource() -> None:
    assert requests.create(apis.PODS, "ns", {}, name="a", subresource="binding").path.endswith(
        "/pods/a/binding"
    )
