"""Each file kinds/KIND/CASE.yaml is a case of two documents: a world goes in, and the plan of every key
comes out.

The world holds the objects of both sides as `tenant` and `host`, the policy as `sync`, and further fields of
the `scope`. `UPDATE_GOLDEN=1 pytest tests/golden` writes what comes out, for a reviewer to read.
"""

from typing import Any

import pytest
import yaml

from syncer.core.actions import Action
from syncer.core.refusal import Refused
from tests.golden.test_manifests import expect
from tests.golden.test_pods import _Readable
from tests.worlds import GOLDEN, Case, cases

CASES = [case for case in cases() if (GOLDEN / "kinds" / case.kind / f"{case.name}.yaml").exists()]


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
    path = GOLDEN / "kinds" / case.kind / f"{case.name}.yaml"
    given = path.read_text().partition("\n---\n")[0].rstrip("\n")
    expect(path, f"{given}\n---\n{text}")
