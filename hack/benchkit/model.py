"""What many tenants would cost, extrapolated in straight lines from measured slopes. Pure, and only a model:
nothing here says where a single host API server or etcd ends.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from benchkit.tables import FOREIGN

SCALES = ((1, 100), (10, 1_000), (100, 10_000), (1_000, 100_000))  # tenants, pods
LIFE = 3600.0  # seconds that a pod lives, for what churn costs
_GIB = 1 << 30


class Slopes(NamedTuple):
    """Bytes (working set) and CPUs of an idle tenant, and its bytes without what it maps from files, which
    tenants on one node share; bytes per pod, and CPU seconds per pod made and deleted, of the tenants'
    components and of the host's."""

    tenant_memory: float
    tenant_private: float
    tenant_cpus: float
    pod_memory: float
    pod_memory_host: float
    pod_cpu: float
    pod_cpu_host: float


class Cost(NamedTuple):
    """`memory` and `private` in GiB and `cpus` for all tenants' components; the host's own part apart."""

    tenants: int
    pods: int
    memory: float
    private: float
    memory_host: float
    cpus_idle: float
    cpus_churn: float
    cpus_churn_host: float


def of_tenants(name: str) -> bool:
    """Whether a component stands once for each tenant."""
    return name.startswith("tenant") or name == "syncer"


def of_host(name: str) -> bool:
    """Whether a component is the host's control plane."""
    return name in {"host etcd", "host apiserver", "host controller-manager", "host scheduler"}


def slopes(results: Mapping[str, Any]) -> Slopes | None:
    """None if a measurement that the model needs is missing."""
    try:
        idle, per_pod = results["create"]["idle"], results["memory"]["per_pod"]
        cell = max(results["throughput"]["cells"], key=lambda cell: (cell["pods"], -cell["tenants"]))
    except (KeyError, ValueError):
        return None
    runs = cell["runs"]["tenant"]
    spent: dict[str, float] = {}
    for run in runs:
        for part in ("creates", "deletes"):
            for name, seconds in run[part]["cpu"].items():
                spent[name] = spent.get(name, 0.0) + seconds / 1000 / len(runs)
    return Slopes(
        tenant_memory=sum(idle.get("working", idle["memory"]).values()),
        tenant_private=sum(idle["private"].values()),
        tenant_cpus=sum(idle["cpus"].values()),
        pod_memory=sum(max(0.0, slope) for name, slope in per_pod.items() if of_tenants(name)),
        pod_memory_host=sum(max(0.0, slope) for name, slope in per_pod.items() if of_host(name)),
        pod_cpu=sum(seconds for name, seconds in spent.items() if of_tenants(name)),
        pod_cpu_host=sum(seconds for name, seconds in spent.items() if of_host(name)),
    )


def cost(slopes: Slopes, tenants: int, pods: int) -> Cost:
    """`pods` in all tenants together, each living for LIFE."""
    return Cost(
        tenants=tenants,
        pods=pods,
        memory=(tenants * slopes.tenant_memory + pods * slopes.pod_memory) / _GIB,
        private=(tenants * slopes.tenant_private + pods * slopes.pod_memory) / _GIB,
        memory_host=pods * slopes.pod_memory_host / _GIB,
        cpus_idle=tenants * slopes.tenant_cpus,
        cpus_churn=pods * slopes.pod_cpu / LIFE,
        cpus_churn_host=pods * slopes.pod_cpu_host / LIFE,
    )


def best_ratio(direct: Mapping[str, float], through: Mapping[str, float]) -> float | None:
    """The part of direct use's rate that a syncer which costs nothing would reach, where CPU is all that
    limits: the tenant's own control plane is paid on top of the host's. CPU seconds by component; the load
    generator and what else the machine did are in neither."""
    host = sum(seconds for name, seconds in direct.items() if not _foreign(name))
    own = sum(seconds for name, seconds in through.items() if of_tenants(name) and name != "syncer")
    return host / (host + own) if host else None


def _foreign(name: str) -> bool:
    return name in FOREIGN or of_tenants(name)
