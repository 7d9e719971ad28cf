"""The model of growth, and the best ratio that two CPUs allow."""

import pytest

from benchkit import model

from .results import MIB, results


def test_a_tenant_s_own_control_plane_bounds_the_ratio_and_the_syncer_does_not() -> None:
    direct = {"host apiserver": 8.0, "kwok": 2.0, "others": 100.0, "load generator": 5.0}
    through = direct | {"tenant API server": 6.0, "tenant etcd": 4.0, "syncer": 50.0}
    assert model.best_ratio(direct, through) == pytest.approx(0.5)
    assert model.best_ratio({"others": 1.0}, through) is None


def test_cost_grows_in_straight_lines() -> None:
    slopes = model.slopes(results())
    assert slopes is not None
    assert slopes.tenant_memory == 240 * MIB
    assert slopes.pod_memory == MIB / 100
    assert slopes.pod_cpu == pytest.approx(0.03)
    assert slopes.pod_cpu_host == pytest.approx(0.02)
    cost = model.cost(slopes, 1000, 100_000)
    assert cost.memory == pytest.approx((1000 * 240 + 1000) / 1024)
    assert cost.cpus_idle == pytest.approx(30)
    assert cost.cpus_churn == pytest.approx(100_000 * 0.03 / 3600)


@pytest.mark.parametrize("missing", ["create", "memory", "throughput"])
def test_without_what_it_needs_there_is_no_model(missing: str) -> None:
    assert model.slopes({name: one for name, one in results().items() if name != missing}) is None
