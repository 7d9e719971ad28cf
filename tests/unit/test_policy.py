"""What a spec allows reaches the plans of a running syncer: no key is lost between the two."""

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from syncer import app, settings
from syncer.core.policy import Sync
from syncer.core.scope import Scope
from vcp.render import syncer
from vcp.spec import load

ADDRESSES = {"api": "10.43.1.2", "dns": "10.43.1.3", "syncer": "10.43.1.4"}
# What only the process needs; everything else that a syncer is told has to reach the plans.
PROCESS = {
    *("server", "pki", "log_level", "log_format", "workers"),
    *("probe_port", "kubelet_port", "webhook_port", "metrics_port"),
}
# Where not every value of a key's type will do.
CHOSEN: dict[str, Any] = {
    "volumes": ["nfs"],
    "tolerations": [{"key": "pool", "operator": "Exists"}],
    "allowedTolerations": [{"key": "pool"}],
    "mode": "real",
    "selector": "pool=a",
}


def other(value: Any, key: str = "") -> Any:
    """A value that is not the default, of every key of a struct."""
    if isinstance(value, msgspec.Struct):
        keys = msgspec.structs.fields(value)
        return {f.encode_name: other(getattr(value, f.name), f.encode_name) for f in keys}
    by_type: dict[type, Any] = {
        bool: not value,
        tuple: ["example.com/a"],
        dict: {"high": "middle"},
    }
    return (
        7
        if isinstance(value, int) and not isinstance(value, bool)
        else CHOSEN.get(key, by_type.get(type(value)))
    )


SYNC: dict[str, Any] = other(Sync())
TEXT = {
    "name": "a",
    "podSecurity": "restricted",
    "clusterDomain": "a.example",
    "network": {"allow": ["203.0.113.0/24"], "deny": ["203.0.113.7/32"]},
    "sync": SYNC,
}


@pytest.fixture
def told(tmp_path: Path) -> settings.Settings:
    """The settings that a syncer of this spec reads at its start."""
    (tmp_path / "server-ca.crt").write_text("authority")
    config = syncer.syncer(load(msgspec.json.encode(TEXT).decode()), ADDRESSES)[0]
    data = msgspec.json.decode(config["data"]["settings.json"]) | {"pki": str(tmp_path)}
    (tmp_path / "settings.json").write_bytes(msgspec.json.encode(data))
    return settings.load(tmp_path / "settings.json")


def test_the_case_sets_every_key_of_the_policy() -> None:
    spec = load(msgspec.json.encode(TEXT).decode())

    def left(value: Any, default: Any, path: str) -> list[str]:
        if not isinstance(value, msgspec.Struct):
            return [path] if value == default else []
        fields = msgspec.structs.fields(value)
        return [
            one
            for f in fields
            for one in left(getattr(value, f.name), getattr(default, f.name), f"{path}.{f.name}")
        ]

    assert left(spec.sync, type(spec.sync)(), "sync") == []


def test_every_key_of_a_spec_reaches_the_scope_of_a_running_syncer(told: settings.Settings) -> None:
    scope = app.scope(told, "the anchor")
    assert msgspec.json.decode(msgspec.json.encode(scope.sync)) == SYNC
    assert scope.sync is told.sync
    assert scope.pod_security == "restricted"
    assert scope.network == told.network
    assert scope.network.allow == ("203.0.113.0/24",)
    assert scope.anchor == "the anchor"
    assert (scope.name, scope.namespace, scope.control_namespace) == ("a", "vcp-a-work", "vcp-a")


def test_every_setting_is_of_the_process_or_of_the_scope(told: settings.Settings) -> None:
    scope = app.scope(told, "the anchor")
    names = {field.name for field in dataclasses.fields(Scope)}
    for name in settings.Settings.__struct_fields__:
        if name not in PROCESS:
            assert name in names, f"plans do not know the setting {name}"
            assert getattr(scope, name) == getattr(told, name)
