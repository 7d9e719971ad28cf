"""The numbers that the design must reach, beside what was measured. Pure."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, NamedTuple

from benchkit.tables import FOREIGN

_MIB = 1 << 20
_KIB = 1 << 10
Results = Mapping[str, Any]


class Goal(NamedTuple):
    """`value` finds the number in the results; KeyError or an empty result mean that it was not measured."""

    what: str
    unit: str
    limit: float
    at_most: bool
    value: Callable[[Results], float]

    def met(self, measured: float) -> bool:
        return measured <= self.limit if self.at_most else measured >= self.limit


def _added(share: str) -> Callable[[Results], float]:
    def find(results: Results) -> float:
        one = results["latency"]
        through, directly = (float(one[arm]["running"][share]) for arm in ("tenant", "direct"))
        return (through - directly) * 1000

    return find


def _one_tenant(results: Results) -> Mapping[str, Any]:
    cells = [cell for cell in results["throughput"]["cells"] if cell["tenants"] == 1]
    found: Mapping[str, Any] = min(cells, key=lambda cell: abs(cell["pods"] - 1000))
    return found


def _cpu(results: Results, *names: str) -> float:
    """CPU seconds per 1,000 creates through one tenant; of all components without names."""
    runs = [run["creates"]["cpu"] for run in _one_tenant(results)["runs"]["tenant"]]
    return median(
        sum(float(value) for name, value in run.items() if (name in names if names else name not in FOREIGN))
        for run in runs
    )


GOALS = (
    Goal("create to usable API", "s", 8, True, lambda all_: all_["create"]["alone"]["usable"]["median"]),
    Goal(
        "a pod Running after `create` has returned",
        "s",
        3,
        True,
        lambda all_: all_["create"]["alone"]["pod"]["median"] - all_["create"]["alone"]["returned"]["median"],
    ),
    Goal("delete, namespaces gone", "s", 6, True, lambda all_: all_["create"]["alone"]["deleted"]["median"]),
    Goal("create to Running, one at a time: added at p50", "ms", 15, True, _added("p50")),
    Goal("create to Running, one at a time: added at p99", "ms", 40, True, _added("p99")),
    Goal(
        "pods created to Ready: rate over direct",
        "",
        0.5,
        False,
        lambda all_: _one_tenant(all_)["ratio"]["creates"]["median"],
    ),
    Goal(
        "pods deleted: rate over direct",
        "",
        0.6,
        False,
        lambda all_: _one_tenant(all_)["ratio"]["deletes"]["median"],
    ),
    Goal("CPU per 1,000 creates, everything", "s", 75, True, _cpu),
    Goal("CPU per 1,000 creates, the syncer", "s", 10, True, lambda all_: _cpu(all_, "syncer")),
    Goal(
        "memory of an idle tenant, working set",
        "MiB",
        350,
        True,
        lambda all_: sum(all_["create"]["idle"]["working"].values()) / _MIB,
    ),
    Goal(
        "memory of an idle syncer, working set",
        "MiB",
        45,
        True,
        lambda all_: all_["create"]["idle"]["working"]["syncer"] / _MIB,
    ),
    Goal("syncer memory per pod", "KiB", 12, True, lambda all_: all_["memory"]["per_pod"]["syncer"] / _KIB),
    Goal(
        "syncer killed: back in step",
        "s",
        8,
        True,
        lambda all_: min(run["in_step"] for run in all_["restart"]["runs"]),
    ),
    Goal(
        "syncer killed: host pods touched",
        "",
        0,
        True,
        lambda all_: sum(run["host_pods_touched"] for run in all_["restart"]["runs"]),
    ),
    Goal(
        "small tenants beside a greedy one: p99 create to Ready",
        "s",
        2,
        True,
        lambda all_: all_["fairness"]["tenant"]["small beside greedy"]["p99"],
    ),
)


def judged(results: Results) -> list[tuple[Goal, float | None]]:
    found: list[tuple[Goal, float | None]] = []
    for goal in GOALS:
        try:
            found.append((goal, goal.value(results)))
        except (KeyError, ValueError, IndexError):
            found.append((goal, None))
    return found
