"""Each folder of metrics/ is a case: a tenant's and the host's objects and the host's PodMetrics go in, and
the tenant's PodMetrics and NodeMetrics come out, as lists and as a table of the pods.

`UPDATE_GOLDEN=1 pytest tests/golden` writes what comes out.
"""

from pathlib import Path

import pytest
import yaml

from kube import apis
from kube.objects import Obj
from syncer.core.kind import Kind
from syncer.core.policy import Sync
from syncer.core.scope import Scope
from syncer.engine.store import Store, Stores
from syncer.kinds.metrics import answers, usage
from syncer.kinds.registry import registry
from tests.golden.test_manifests import expect
from tests.pod_scope import SCOPE

HERE = Path(__file__).parent / "metrics"
CASES = sorted(path.parent for path in HERE.glob("*/host.yaml"))
NOW = "2026-01-02T03:04:05Z"


def stores(side: str, objects: list[Obj], scope: Scope) -> Stores:
    """As the manager fills them."""
    found = Stores()
    for kind in registry(Sync()):
        if side in kind.watches:
            found.add(kind.api, _store(kind, side, objects, scope))
    return found


def _store(kind: Kind, side: str, objects: list[Obj], scope: Scope) -> Store:
    named = kind.indexes.get(side, {})  # type: ignore[call-overload]
    indexes = {name: lambda obj, index=index: index(obj, scope) for name, index in named.items()}
    store = Store(indexes)
    for number, obj in enumerate(objects, start=1):
        if apis.resource_of(obj) == kind.api:
            obj["metadata"]["resourceVersion"] = str(number)
            store.put(kind.kept(side, obj))  # type: ignore[arg-type]
    return store


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_the_tenant_is_told(case: Path) -> None:
    tenant, host = (
        list(yaml.safe_load_all((case / f"{side}.yaml").read_text())) for side in ("tenant", "host")
    )
    metrics = [obj for obj in host if obj["kind"] == "PodMetrics"]
    scope = SCOPE.reading(
        stores("tenant", tenant, SCOPE),
        stores("host", [obj for obj in host if obj["kind"] != "PodMetrics"], SCOPE),
    )
    pods = usage.pods(metrics, scope, NOW)
    told = [
        answers.listed(apis.POD_METRICS, [one.metrics for one in pods]),
        answers.listed(apis.NODE_METRICS, usage.nodes(pods, scope, NOW)),
        answers.table([one.metrics for one in pods]),
    ]
    expect(case / "back.yaml", yaml.safe_dump_all(told, sort_keys=False, width=1000))


def test_cases_are_found() -> None:
    assert len(CASES) >= 2
