"""What Prometheus is told about a syncer."""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kube.objects import Key
from syncer.core.actions import Side

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PLAN_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)


class Target(NamedTuple):
    """An object that is written to."""

    side: Side
    resource: str
    key: Key


class WriteRates(Collector):
    """How often the busiest object of each kind was written to within a whole minute.

    Two programs that correct each other, or one that never settles, cannot hide from this."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._minute = 0
        self._now: Tally[Target] = Tally()
        self._last: Tally[Target] = Tally()

    def count(self, target: Target) -> None:
        self._turn()
        self._now[target] += 1

    def _turn(self) -> None:
        """Forgets what is older than the minute before this one."""
        minute = int(self._wall() // 60)
        if minute != self._minute:
            self._last = self._now if minute == self._minute + 1 else Tally()
            self._now, self._minute = Tally(), minute

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "vcp_syncer_writes_per_object_per_minute",
            "Writes to the most written object, within the busier of this and the last minute.",
            labels=("side", "resource"),
        )
        self._turn()
        most: dict[tuple[Side, str], int] = {}
        for tally in (self._now, self._last):
            for target, count in tally.items():
                kind = (target.side, target.resource)
                most[kind] = max(most.get(kind, 0), count)
        for kind, count in sorted(most.items()):
            family.add_metric(kind, count)
        yield family


class Metrics:
    """All instruments; `text()` is what /metrics answers."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        prefix = "vcp_syncer_"
        side = ("side", "resource")

        def seconds(
            name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...] = _SECONDS
        ) -> Histogram:
            return Histogram(f"{prefix}{name}_seconds", text, labels, buckets=buckets, registry=registry)

        self.build = Gauge(f"{prefix}build_info", "Always 1.", ("version",), registry=registry)
        self.leader = Gauge(f"{prefix}leader", "1 on the replica that writes.", registry=registry)
        self.depth = Gauge(f"{prefix}queue_depth", "Keys that wait.", ("lane",), registry=registry)
        self.waited = seconds("queue", "Time that keys waited.", ("resource",))
        self.planned = seconds(
            "plan",
            "Time that plans took: the translation, without any request.",
            ("resource",),
            _PLAN_SECONDS,
        )
        self.lag = seconds("sync_lag", "From an event on the other side to the write to this one.", side)
        self.requests = Counter(
            f"{prefix}requests", "API requests.", ("side", "verb", "resource", "code"), registry=registry
        )
        self.objects = Gauge(f"{prefix}objects", "Objects in the stores.", side, registry=registry)
        self.in_step = Gauge(
            f"{prefix}in_step", "1 while the store of a kind is complete.", side, registry=registry
        )
        self.retries = Counter(
            f"{prefix}retries", "Keys put back after a failure.", ("resource", "reason"), registry=registry
        )
        self.refused = Counter(f"{prefix}refused", "Objects refused.", ("resource", "by"), registry=registry)
        self.paced = Counter(
            f"{prefix}paced",
            "Writes put off: for the budget, too often, or undone.",
            (*side, "why"),
            registry=registry,
        )
        self.replaced = Gauge(
            f"{prefix}replaced",
            "APIs of the tenant that another server answers for; nothing is written meanwhile.",
            registry=registry,
        )
        self.fights = Gauge(
            f"{prefix}fights", "Objects of which something undoes what is written.", registry=registry
        )
        self.mirrored = Gauge(
            f"{prefix}mirrored_bytes", "ConfigMaps and Secrets of the tenant on the host.", registry=registry
        )
        self.tokens = Counter(f"{prefix}tokens", "Tokens asked for.", ("kind",), registry=registry)
        self.streams = Gauge(
            f"{prefix}streams", "Logs, exec and the like that are open.", ("kind",), registry=registry
        )
        self.served = Counter(
            f"{prefix}served",
            "Requests of the tenant's API server that were answered.",
            ("endpoint", "result"),
            registry=registry,
        )
        self.serving = seconds("served", "Time that answers took.", ("endpoint",))
        self.writes = WriteRates()
        registry.register(self.writes)

    def text(self) -> bytes:
        return generate_latest(self.registry)
