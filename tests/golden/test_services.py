"""Each folder of services/ is a case: tenant.yaml goes in, and what is done about it on the host comes out.

`plan.yaml` lists the actions when the host has nothing yet: alternatives are tried one after the other.
`scope.yaml` holds the policy of the case. `UPDATE_GOLDEN=1 pytest tests/golden` writes what comes out.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kube.objects import Obj, key_of
from syncer.core import policy
from syncer.core.actions import Action, Create, Try
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.kinds.services.services import Services
from tests.golden.test_manifests import expect
from tests.golden.test_pods import _Readable
from tests.pod_scope import scope

HERE = Path(__file__).parent / "services"
CASES = sorted(path.parent for path in HERE.glob("*/tenant.yaml"))


def told(action: Action, part: str = "") -> dict[str, Any]:
    """Of an alternative, which differs in nothing else, the spec."""
    if isinstance(action, Try):
        return told(action.first, part) | {"otherwise": [told(other, "spec") for other in action.otherwise]}
    assert isinstance(action, Create)
    return {"create on the host": action.obj[part] if part else action.obj}


def read(case: Path) -> tuple[Obj, Scope]:
    tenant = yaml.safe_load((case / "tenant.yaml").read_text())
    file = case / "scope.yaml"
    fields = yaml.safe_load(file.read_text()) if file.exists() else {}
    return tenant, scope(tenant, sync=msgspec.convert({"services": fields.get("services", {})}, policy.Sync))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_tenant_service_becomes(case: Path) -> None:
    tenant, made = read(case)
    try:
        plan = Services().plan(key_of(tenant), tenant, None, made)
        outcome = [told(action) for action in plan]
    except Refused as refused:
        outcome = [{"refused": str(problem)} for problem in refused.problems]
    text = yaml.dump(outcome, Dumper=_Readable, sort_keys=False, width=1000, allow_unicode=True)
    expect(case / "plan.yaml", text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_the_host_made_of_it_is_settled(case: Path) -> None:
    tenant, made = read(case)
    try:
        plan = Services().plan(key_of(tenant), tenant, None, made)
    except Refused:
        return
    for action in plan:
        assert isinstance(action, Create | Try)
        first = action.first if isinstance(action, Try) else action
        assert isinstance(first, Create)
        host = {**first.obj, "metadata": {**first.obj["metadata"], "uid": "host"}}
        if case.name != "moving":
            assert Services().plan(key_of(tenant), tenant, host, made) == []


def test_cases_are_found() -> None:
    assert len(CASES) >= 9
