"""The kernel settings that a kubelet changes for the whole machine, put back when the last lab goes down."""

import json
from pathlib import Path

from labkit.lab import labs, state_root

# What the kubelet writes at its start unless protectKernelDefaults makes it refuse instead.
SETTINGS = (
    *("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"),
)


def remember() -> None:
    """Notes the settings before the first kubelet of this machine starts."""
    record = _record()
    if not record.exists():
        record.parent.mkdir(parents=True, exist_ok=True)
        values = {name: _path(name).read_text().strip() for name in SETTINGS if _path(name).exists()}
        record.write_text(json.dumps(values))


def restore() -> None:
    """Puts the settings back, unless another lab still has kubelets that want them."""
    record = _record()
    if record.exists() and not labs():
        for name, value in json.loads(record.read_text()).items():
            if _path(name).read_text().strip() != value:
                _path(name).write_text(value)
        record.unlink()


def _record() -> Path:
    return state_root() / ".kernel.json"


def _path(name: str) -> Path:
    return Path("/proc/sys") / name
