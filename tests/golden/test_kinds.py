"""Each folder of kinds/KIND/ is a case: world.yaml goes in, and the plan of every key comes out as plan.yaml.

`world.yaml` holds the objects of both sides as `tenant` and `host`, the policy as `sync`, and further fields
of the `scope`. `UPDATE_GOLDEN=1 pytest tests/golden` writes what comes out, for a reviewer to read.
"""

from typing import Any

import pytest
import yaml

from syncer.core.actions import Action
from syncer.core.refusal import Refused
from tests.golden.test_manifests import expect
from tests.golden.test_pods import _Readable
from tests.worlds import GOLDEN, Case, cases

CASES = [case for case in cases() if (GOLDEN / "kinds" / case.kind / case.name).is_dir()]


def readable(value: Any) -> Any:
    """Actions and keys as plain data, without what is empty."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        if type(value).__name__ == "Key":
            return str(value)
        fields = {name: readable(part) for name, part in value._asdict().items() if part not in ("", None)}
        if "api" in fields:
            fields["api"] = value.api.plural  # type: ignore[attr-defined]
        return {type(value).__name__: fields} if isinstance(value, Action) else fields
    if isinstance(value, dict):
        return {name: readable(part) for name, part in value.items()}
    return [readable(part) for part in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
def test_what_is_done_about_every_key(case: Case) -> None:
    world, outcome = case.world(), {}
    for item in world.items():
        try:
            outcome[f"{item.resource} {item.key}"] = readable(world.plan(item))
        except Refused as refused:
            outcome[f"{item.resource} {item.key}"] = {"refused": [str(one) for one in refused.problems]}
    text = yaml.dump(outcome, Dumper=_Readable, sort_keys=False, width=1000, allow_unicode=True)
    expect(GOLDEN / "kinds" / case.kind / case.name / "plan.yaml", text)
