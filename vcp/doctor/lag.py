"""How far a tenant and its host are apart, by what the syncer tells Prometheus. Pure."""

import math
from collections.abc import Iterable

import msgspec
from prometheus_client.parser import text_string_to_metric_families

_PREFIX = "vcp_syncer_"


class Lag(msgspec.Struct, frozen=True):
    """Of all replicas together. Percentiles are upper bounds in seconds; None before the first write."""

    leaders: int = 0
    depth: int = 0
    writes: int = 0
    middle: float | None = None
    most: float | None = None  # of 99 in 100
    incomplete: tuple[str, ...] = ()  # the stores without a whole list, as `tenant pods`


def read(texts: Iterable[str]) -> Lag:
    """From what each replica's /metrics answers."""
    leaders = depth = 0.0
    buckets: dict[float, float] = {}
    incomplete: set[str] = set()
    for text in texts:
        samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
        leads = any(one.name == f"{_PREFIX}leader" and one.value for one in samples)
        leaders += leads
        for one in samples:
            if one.name == f"{_PREFIX}sync_lag_seconds_bucket":
                bound = float(one.labels["le"])
                buckets[bound] = buckets.get(bound, 0) + one.value
            elif leads and one.name == f"{_PREFIX}queue_depth":
                depth += one.value
            elif leads and one.name == f"{_PREFIX}in_step" and not one.value:
                incomplete.add(f"{one.labels['side']} {one.labels['resource']}")
    return Lag(
        leaders=int(leaders),
        depth=int(depth),
        writes=int(buckets.get(math.inf, 0)),
        middle=percentile(buckets, 0.5),
        most=percentile(buckets, 0.99),
        incomplete=tuple(sorted(incomplete)),
    )


def percentile(buckets: dict[float, float], share: float) -> float | None:
    """The bound of the first cumulative bucket that holds this share; None if all are empty."""
    total = buckets.get(math.inf, 0)
    if not total:
        return None
    return min(bound for bound, count in buckets.items() if count >= share * total)
