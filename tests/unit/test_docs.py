"""The generated pages of docs/ are what the code says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from vcp.spec import load

ROOT = Path(__file__).parents[2]


def test_the_pages_are_current() -> None:
    subprocess.run([sys.executable, ROOT / "hack" / "docs", "--check"], check=True)


@pytest.mark.parametrize(
    "case", sorted((ROOT / "tests/golden/manifests").glob("*/spec.yaml")), ids=lambda case: case.parent.name
)
def test_the_schema_and_the_spec_know_the_same_keys(case: Path) -> None:
    schema = json.loads((ROOT / "docs" / "spec.schema.json").read_text())
    properties = schema["$defs"]["Spec"]["properties"]
    assert load(case.read_text()).to_mapping().keys() == properties.keys()
    assert yaml.safe_load(case.read_text()).keys() <= properties.keys()
    assert schema["$defs"]["Spec"]["additionalProperties"] is False
