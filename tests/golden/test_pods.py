"""Each folder of pods/ is a case: tenant.yaml goes in, host.yaml comes out, or refused.yaml if nothing may.

`scope.yaml` holds what the case needs of the tenant besides: `objects` of its cluster, `policy`, and fields
of the scope. `UPDATE_GOLDEN=1 pytest tests/golden` writes what comes out, for a reviewer to read.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from syncer.core.policy import Sync
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.kinds.pods import spec
from tests.golden.test_manifests import expect
from tests.pod_scope import scope

HERE = Path(__file__).parent / "pods"
CASES = sorted(path.parent for path in HERE.glob("*/tenant.yaml"))


class _Readable(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def scope_of(case: Path) -> Scope:
    file = case / "scope.yaml"
    fields = yaml.safe_load(file.read_text()) if file.exists() else {}
    sync = msgspec.convert({"pods": fields.pop("policy", {})}, Sync)
    return scope(*fields.pop("objects", ()), sync=sync, **fields)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_host_pod_of_a_tenant_pod(case: Path) -> None:
    tenant = yaml.safe_load((case / "tenant.yaml").read_text())
    try:
        name, outcome = "host.yaml", spec.host_pod(tenant, scope_of(case))
    except Refused as refused:
        name, outcome = "refused.yaml", [str(problem) for problem in refused.problems]
    if os.environ.get("UPDATE_GOLDEN"):
        for stale in {"host.yaml", "refused.yaml"} - {name}:
            (case / stale).unlink(missing_ok=True)
    assert sorted(path.name for path in case.glob("[hr]*.yaml")) in ([name], [])
    expect(case / name, yaml.dump(outcome, Dumper=_Readable, sort_keys=False, width=1000, allow_unicode=True))


def test_cases_are_found() -> None:
    assert len(CASES) > 40
