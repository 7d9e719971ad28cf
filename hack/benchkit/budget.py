"""What a pod may cost in requests, writes and bytes, and whether it did. Pure; counts only, never times."""

from collections.abc import Mapping

import msgspec

from benchkit.exposition import Sample

_REQUESTS = "vcp_syncer_requests_total"
_WRITES = ("create", "patch", "delete")
ROOM = 1.15  # what a recorded budget leaves above the measured value
BYTES_ROOM = 1.3  # a slow machine has more probes and bookmarks per pod


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that each count may be, by its name."""

    per_pod: dict[str, float]


def counts(requests: Mapping[Sample, float], received_and_sent: float, pods: int) -> dict[str, float]:
    """Per pod: the syncer's requests by what they are, their sums, and the bytes on its network."""
    found: dict[str, float] = {}
    for sample, value in requests.items():
        if sample.name != _REQUESTS or sample.label("resource") == "leases":
            continue
        side, verb, resource = (sample.label(name) for name in ("side", "verb", "resource"))
        names = [f"{side} {verb} {resource}", f"{side} requests"]
        if verb.startswith(_WRITES):
            names.append(f"{side} writes")
        for name in names:
            found[name] = found.get(name, 0.0) + value
    found["KiB"] = received_and_sent / 1024
    return {name: round(value / pods, 3) for name, value in sorted(found.items())}


def exceeded(measured: Mapping[str, float], budget: Budget, pods: int) -> list[str]:
    """What costs more than the budget allows, in words. A kind of request that the budget does not know may
    happen for one pod in twenty: nodes and the like are shared by all pods."""
    told = []
    for name, value in measured.items():
        limit = budget.per_pod.get(name, max(0.05, 2 / pods))
        if value > limit:
            told.append(f"{name}: {value:g} per pod, the budget is {limit:g}")
    return told


def recorded(measured: Mapping[str, float]) -> Budget:
    """A budget that allows what was measured and a little more."""
    rooms = {name: BYTES_ROOM if name == "KiB" else ROOM for name in measured}
    return Budget({name: round(value * rooms[name] + 0.02, 2) for name, value in measured.items()})
