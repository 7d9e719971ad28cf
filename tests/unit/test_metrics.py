"""The gauge that no loop can hide from."""

from kube.objects import Key
from syncer.engine.metrics import Target, WriteRates


def most(rates: WriteRates) -> dict[tuple[str, ...], float]:
    (family,) = rates.collect()
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_the_busiest_object_of_this_and_the_last_minute_shows() -> None:
    now = 600.0
    rates = WriteRates(lambda: now)
    pods = [Target("tenant", "pods", Key("default", name)) for name in "ab"]
    for target in (pods[0], pods[1], pods[1]):
        rates.count(target)
    assert most(rates) == {("tenant", "pods"): 2}
    now = 665.0
    rates.count(pods[0])
    assert most(rates) == {("tenant", "pods"): 2}, "the last minute was busier"
    now = 725.0
    assert most(rates) == {("tenant", "pods"): 1}
    now = 845.0
    assert most(rates) == {}, "what is over does not stay"
