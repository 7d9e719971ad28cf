"""Reads the Prometheus text format, as far as counters and histograms' sums need. Pure."""

import re
from collections.abc import Mapping
from typing import NamedTuple

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Sample(NamedTuple):
    name: str
    labels: frozenset[tuple[str, str]]

    def label(self, name: str) -> str:
        return dict(self.labels).get(name, "")


Samples = Mapping[Sample, float]


def parse(text: str, *names: str) -> dict[Sample, float]:
    """The samples with these names; all without names."""
    wanted = frozenset(names)
    return {
        Sample(name, frozenset(_LABEL.findall(labels))): float(value)
        for name, labels, value in _SAMPLE.findall(text)
        if not wanted or name in wanted
    }


def grown(before: Samples, after: Samples) -> dict[Sample, float]:
    """By how much each counter grew; what did not change is left out."""
    deltas = {sample: value - before.get(sample, 0.0) for sample, value in after.items()}
    return {sample: delta for sample, delta in deltas.items() if delta}


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum over all samples of a name that have these labels."""
    wanted = frozenset(labels.items())
    return sum(value for sample, value in samples.items() if sample.name == name and wanted <= sample.labels)


def mean(samples: Samples, histogram: str, **labels: str) -> float | None:
    """A histogram's mean; None if it counted nothing."""
    count = total(samples, f"{histogram}_count", **labels)
    return total(samples, f"{histogram}_sum", **labels) / count if count else None
