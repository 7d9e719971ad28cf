"""Percentiles, ratios, lines, and the Prometheus text that counts are read from."""

import pytest

from benchkit import exposition, stats
from benchkit.exposition import Sample

TEXT = """\
# HELP vcp_requests_total API requests.
# TYPE vcp_requests_total counter
vcp_requests_total{side="host",verb="create"} 4.0
vcp_requests_total{side="tenant",verb="create"} 2.0
vcp_requests_total{side="tenant",verb="say \\"hi\\""} 1.0
vcp_seconds_sum{resource="pods"} 1.5
vcp_seconds_count{resource="pods"} 3
vcp_leader 1
"""


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(share: float, value: int) -> None:
    assert stats.percentile(range(1, 101), share) == value


def test_without_values_there_are_no_percentiles() -> None:
    assert stats.percentiles([]) == {}
    assert stats.percentiles([7.0]) == {"p50": 7.0, "p90": 7.0, "p99": 7.0}


def test_a_ratio_is_taken_within_each_repeat() -> None:
    assert stats.ratios([30, 10, 5], [60, 20, 20]) == stats.Spread(0.5, 0.25, 0.5)


def test_a_line_through_points_on_a_line_is_that_line() -> None:
    line = stats.fit([(0, 5), (10, 25), (20, 45)])
    assert line == pytest.approx((5, 2))
    assert line.at(100) == pytest.approx(205)
    assert stats.fit([(3, 1), (3, 2)]) == (1.5, 0.0)


def test_a_thinned_curve_keeps_its_end() -> None:
    curve = stats.thinned([float(number) for number in range(1000)], points=10)
    assert len(curve) <= 11
    assert curve[0] == (0.0, 1)
    assert curve[-1] == (999.0, 1000)
    assert stats.thinned([]) == []


def test_samples_are_read_with_their_labels() -> None:
    samples = exposition.parse(TEXT)
    assert samples[Sample("vcp_leader", frozenset())] == 1
    assert exposition.total(samples, "vcp_requests_total") == 7
    assert exposition.total(samples, "vcp_requests_total", side="tenant") == 3
    assert exposition.mean(samples, "vcp_seconds", resource="pods") == 0.5
    assert exposition.mean(samples, "vcp_seconds", resource="secrets") is None
    assert {sample.name for sample in exposition.parse(TEXT, "vcp_leader")} == {"vcp_leader"}


def test_only_what_grew_is_told() -> None:
    before = exposition.parse(TEXT)
    after = exposition.parse(TEXT.replace("} 4.0", "} 10.0"))
    ((sample, more),) = exposition.grown(before, after).items()
    assert (sample.label("side"), more) == ("host", 6.0)
