"""What `sync.metrics` changes of a tenant: rights on the host, the syncer's settings, roles in the tenant."""

import msgspec
import pytest

from syncer import settings
from vcp import layout, render
from vcp.render import syncer
from vcp.spec import load

OFF = "{name: a, sync: {metrics: false}}"


@pytest.mark.parametrize(("text", "verbs"), [("name: a", [["get", "list"]]), (OFF, [])])
def test_the_syncer_may_read_metrics_in_one_namespace_if_it_is_to(text: str, verbs: list[list[str]]) -> None:
    roles = [obj for obj in syncer.rights(load(text)) if obj["kind"] in {"Role", "ClusterRole"}]
    asked = [
        (role["metadata"]["namespace"], rule)
        for role in roles
        for rule in role["rules"]
        if rule["apiGroups"] == ["metrics.k8s.io"]
    ]
    assert [(where, rule["verbs"]) for where, rule in asked] == [("vcp-a-work", one) for one in verbs]


@pytest.mark.parametrize(("text", "address"), [("name: a", "10.43.1.4"), (OFF, "")])
def test_the_syncer_is_told_its_address_if_it_is_to_serve(text: str, address: str) -> None:
    config, *_ = syncer.syncer(load(text), {"api": "10.43.1.2", "dns": "10.43.1.3", "syncer": "10.43.1.4"})
    told = msgspec.json.decode(config["data"]["settings.json"], type=settings.Settings)
    assert (told.metrics_address, told.metrics_port) == (address, layout.METRICS_PORT)


@pytest.mark.parametrize(("text", "expected"), [("name: a", ["admin", "edit", "view"]), (OFF, [])])
def test_in_the_tenant_who_may_view_may_read_metrics(text: str, expected: list[str]) -> None:
    labels = {
        key.rpartition("-")[2]
        for obj in render.tenant_objects(load(text))
        for key in obj["metadata"]["labels"]
        if "aggregate-to-" in key
    }
    assert sorted(labels) == expected


def test_its_certificate_bears_the_name_of_its_service_in_the_tenant() -> None:
    assert "vcp-metrics.kube-system.svc" in layout.syncer_sans(load("name: a"))
