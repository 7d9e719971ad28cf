"""The lab's command lines and configuration files, frozen: what a change of the code changes shows here."""

import os
from pathlib import Path

import pytest
import yaml

from labkit import build
from labkit.components import ControlPlane, NodeAgents
from labkit.lab import Lab

EXPECTED = Path(__file__).parent / "lab" / "components.yaml"


def test_components_are_as_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """UPDATE_GOLDEN=1 writes the file anew."""
    monkeypatch.setenv("VCP_LAB_STATE", "/state")
    binaries = {name: Path("/cache") / name for name in build.binaries()}
    lab = Lab("golden")
    plane, agents = ControlPlane(lab, binaries), NodeAgents(lab.node(2), binaries)
    components = [
        *(plane.etcd(), plane.apiserver(), plane.controller_manager(), plane.scheduler(), plane.kwok()),
        *(agents.containerd(), agents.kubelet(), agents.proxy()),
    ]
    actual = yaml.safe_dump(
        {
            "commands": {component.name: list(component.command) for component in components},
            "files": agents.files(),
        }
    )
    if os.environ.get("UPDATE_GOLDEN"):
        EXPECTED.parent.mkdir(exist_ok=True)
        EXPECTED.write_text(actual)
    assert actual == EXPECTED.read_text()
