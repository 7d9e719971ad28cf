"""`vcp rbac`: what it prints is what `vcp run` asks the host about, no more and no less."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

import vcp.cli
from kube import apis
from vcp.provision import grants
from vcp.provision.permissions import Need

ACCOUNT = grants.Account("ci", "runner")


@pytest.fixture(autouse=True)
def _no_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCP_CONFIG", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def printed(*args: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(vcp.cli.cli, ["rbac", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return list(yaml.safe_load_all(result.stdout))


def granted(rules: list[dict[str, Any]]) -> set[tuple[str, str, str, str]]:
    """(verb, group, resource, name), one for each that the rules allow."""
    return {
        (verb, group, resource, name)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


def test_tenants_of_random_names_take_one_cluster_role() -> None:
    role, binding = printed("--service-account", "ci/runner")
    assert (role["kind"], binding["kind"]) == ("ClusterRole", "ClusterRoleBinding")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "runner", "namespace": "ci"}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    rights = granted(role["rules"])
    assert {name for *_, name in rights} == {"", "syncer"}  # no name of the tenant that was made up for this
    namespaces = {verb for verb, _, resource, _ in rights if resource == "namespaces"}
    assert namespaces == {"create", "delete", "get", "list", "patch", "watch"}
    assert ("create", "", "pods/portforward", "") in rights
    assert not [right for right in rights if "*" in right or {"escalate", "bind", "impersonate"} & set(right)]
    assert not [right for right in rights if right[2] in {"nodes", "clusterroles", "persistentvolumes"}]


def test_named_namespaces_take_roles_there_and_one_verb_elsewhere() -> None:
    found = printed("-n", "ci-a", "--set", "workloadNamespace=ci-b")
    places = {(obj["kind"], obj["metadata"].get("namespace", "")): obj for obj in found}
    assert places.keys() == {
        *((kind, place) for kind in ("Role", "RoleBinding") for place in ("ci-a", "ci-b")),
        ("ClusterRole", ""),
        ("ClusterRoleBinding", ""),
    }
    assert granted(places["ClusterRole", ""]["rules"]) == {
        ("get", "", "namespaces", name) for name in ("ci-a", "ci-b")
    }
    assert ("delete", "", "secrets", "") in granted(places["Role", "ci-a"]["rules"])
    assert ("create", "apps", "deployments", "") not in granted(places["Role", "ci-b"]["rules"])


def test_the_spec_decides() -> None:
    limited = printed("--set", "sync.nodes.mode=real")[0]
    assert {"nodes", "clusterroles", "clusterrolebindings"} <= {
        right[2] for right in granted(limited["rules"])
    }


def test_a_verb_that_holds_for_all_is_not_repeated_for_one() -> None:
    needs = [
        Need("get", apis.LEASES, "a"),
        Need("get", apis.LEASES, "a", "syncer"),
        Need("update", apis.LEASES, "a", "syncer"),
    ]
    (role, _) = grants.objects(needs, ACCOUNT, anywhere=False)
    assert role["rules"] == [
        {"apiGroups": [apis.LEASES.group], "resources": ["leases"], "verbs": ["get"]},
        {
            "apiGroups": [apis.LEASES.group],
            "resources": ["leases"],
            "resourceNames": ["syncer"],
            "verbs": ["update"],
        },
    ]


@pytest.mark.parametrize("account", ["runner", "a/b/c", "/x", "x/"])
def test_an_account_has_a_namespace_and_a_name(account: str) -> None:
    result = CliRunner().invoke(vcp.cli.cli, ["rbac", "--service-account", account])
    assert result.exit_code != 0
