"""What the smoke bench judges by: counts per pod against a recorded budget."""

import msgspec

from benchkit import budget
from benchkit.budget import Budget
from benchkit.exposition import Sample
from benchkit.measures import smoke


def requests(**counts: float) -> dict[Sample, float]:
    """`host_create_pods=3` and the like."""
    found = {}
    for name, count in counts.items():
        side, verb, resource = name.split("_", 2)
        labels = {"side": side, "verb": verb, "resource": resource, "code": "2xx"}
        found[Sample("vcp_syncer_requests_total", frozenset(labels.items()))] = count
    return found


def test_requests_are_counted_by_kind_and_in_all() -> None:
    found = budget.counts(
        requests(host_create_pods=100, tenant_get_pods=50, tenant_patch_leases=999), 204800, 100
    )
    assert found == {
        "KiB": 2.0,
        "host create pods": 1.0,
        "host requests": 1.0,
        "host writes": 1.0,
        "tenant get pods": 0.5,
        "tenant requests": 0.5,
    }


def test_what_costs_more_than_its_budget_is_told_and_what_costs_less_is_not() -> None:
    allowed = Budget({"host create pods": 1.1, "tenant requests": 4.0})
    measured = {"host create pods": 1.5, "tenant requests": 3.9}
    assert budget.exceeded(measured, allowed, 100) == ["host create pods: 1.5 per pod, the budget is 1.1"]


def test_a_request_that_the_budget_does_not_know_may_not_happen_for_every_pod() -> None:
    assert budget.exceeded({"host get pods": 1.0}, Budget({}), 100)
    assert not budget.exceeded({"host create nodes": 0.04}, Budget({}), 100)


def test_a_recorded_budget_allows_what_was_recorded() -> None:
    measured = {"host create pods": 1.0, "KiB": 57.3, "tenant patch nodes": 0.01}
    assert not budget.exceeded(measured, budget.recorded(measured), 100)


def test_the_recorded_budget_keeps_to_the_design() -> None:
    """One token, a binding, two status writes, an Event in the tenant; a pod and a Secret on the host."""
    budgets = msgspec.json.decode(smoke.BUDGET.read_bytes(), type=dict[str, Budget])
    creates = {name: limit / budget.ROOM for name, limit in budgets["creates"].per_pod.items()}
    assert creates["tenant writes"] < 5.1
    assert creates["host writes"] < 2.1
