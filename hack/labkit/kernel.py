"""The kernel settings of the whole machine that a lab changes, put back when the last lab goes down."""

import json
from pathlib import Path

from labkit.lab import labs, state_root

# What the kubelet writes at its start unless protectKernelDefaults makes it refuse instead.
SETTINGS = (
    *("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"),
)
# A kubelet takes one inotify instance for each log that is followed, and all kubelets are one user: with the
# kernel's own 128, the hundredth `kubectl logs -f` fails. kind tells its users to raise it as well.
LEAST = {"fs/inotify/max_user_instances": 8192}


def prepare() -> None:
    """Notes the settings before the first kubelet of this machine starts, and raises those that are too
    low."""
    record = _record()
    noted: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    for name in (*SETTINGS, *LEAST):
        if _path(name).exists():
            noted.setdefault(name, _path(name).read_text().strip())
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(noted))
    for name, least in LEAST.items():
        if _path(name).exists() and int(_path(name).read_text()) < least:
            _path(name).write_text(str(least))


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
