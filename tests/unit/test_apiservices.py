"""The registration of the metrics API: made after its Service, repaired while it is ours, taken back."""

from dataclasses import replace
from typing import Any

import pytest

from kube.objects import Key, Obj
from syncer.core.actions import Action, Create, Delete, Ensure, Patch
from syncer.core.policy import Sync
from syncer.core.scope import Scope
from syncer.kinds.metrics import registration
from syncer.kinds.metrics.apiservices import ApiServices
from syncer.kinds.registry import registry
from syncer.kinds.services import builtin
from syncer.kinds.services.endpointslices import EndpointSlices
from syncer.kinds.services.services import Services
from tests.pod_scope import WHOLE

SERVED = replace(WHOLE, webhook_ca="Q0E=")
GONE = replace(SERVED, metrics_address="")


def plan(tenant: Obj | None, scope: Scope = SERVED) -> list[Action]:
    return ApiServices().plan(registration.KEY, tenant, None, scope)


def made(**spec: Any) -> Obj:
    wanted = registration.api_service(SERVED)
    return {**wanted, "metadata": {**wanted["metadata"], "uid": "u"}, "spec": wanted["spec"] | spec}


def test_its_service_is_made_first() -> None:
    *parts, create = plan(None)
    assert parts == [Ensure("services", builtin.METRICS), Ensure("endpointslices", builtin.METRICS)]
    assert isinstance(create, Create)
    assert create.obj["spec"]["caBundle"] == "Q0E="
    assert create.obj["spec"]["service"] == {"namespace": "kube-system", "name": "vcp-metrics", "port": 4443}
    assert plan(made()) == []


@pytest.mark.parametrize(
    "edit", [{"caBundle": "eA=="}, {"insecureSkipTLSVerify": True}, {"versionPriority": 1}]
)
def test_an_edit_is_taken_back(edit: dict[str, Any]) -> None:
    (patch,) = plan(made(**edit))
    assert isinstance(patch, Patch)
    assert patch.body["spec"] == {"insecureSkipTLSVerify": None, **made()["spec"]}


def test_one_that_leads_elsewhere_is_the_tenants_own() -> None:
    theirs = made(service={"namespace": "kube-system", "name": "metrics-server", "port": 443})
    for scope in (SERVED, GONE):
        assert plan(theirs, scope) == []
        assert plan(made(service=None), scope) == []


def test_it_goes_with_the_setting_and_its_service_too() -> None:
    assert plan(made(), GONE) == [Delete("tenant", ApiServices.api, registration.KEY, "u")]
    assert plan(None, GONE) == []
    for kind in (Services(), EndpointSlices()):
        (create,) = kind.plan(builtin.METRICS, None, None, SERVED)
        assert isinstance(create, Create)
        stored = {**create.obj, "metadata": {**create.obj["metadata"], "uid": "u"}}
        assert kind.plan(builtin.METRICS, stored, None, GONE) == [
            Delete("tenant", kind.api, builtin.METRICS, "u")
        ]
        mine = {**stored, "metadata": {**stored["metadata"], "labels": {}}}
        assert kind.plan(builtin.METRICS, mine, None, GONE) == []
        assert kind.plan(builtin.METRICS, None, None, GONE) == []


def test_without_an_authority_nothing_is_registered() -> None:
    assert plan(None, WHOLE) == []


KINDS = registry(Sync())
PLURALS = ("services", "endpointslices", "endpoints")


def test_a_namespace_of_every_tenant_brings_all_that_every_tenant_has() -> None:
    found = [
        item
        for name in ("default", "kube-system")
        for item in KINDS.affected(
            KINDS.by_name["namespaces"], "tenant", None, {"metadata": {"name": name}}, WHOLE
        )
    ]
    fixed_ones = {(plural, key) for key in builtin.KEYS for plural in PLURALS}
    webhook = ("mutatingwebhookconfigurations", Key("", "vcp-services"))
    assert set(found) == fixed_ones | {webhook, ("apiservices", registration.KEY)}


@pytest.mark.parametrize(("metrics", "verbs"), [(True, {"get", "list"}), (False, set())])
def test_the_right_goes_with_the_setting(metrics: bool, verbs: set[str]) -> None:
    rules = [rule for kind in registry(Sync(metrics=metrics)) for rule in kind.rules()]
    asked = [rule for rule in rules if rule.api.group == "metrics.k8s.io"]
    assert {verb for rule in asked for verb in rule.verbs} == verbs
    assert not [rule for rule in asked if rule.cluster]
