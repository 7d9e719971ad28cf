"""How fast may be written, in virtual time."""

import itertools
from typing import Any

import pytest

from kube import apis
from kube.objects import Key
from syncer.core.actions import Create, Patch, Side, TokenRequest, Tokens
from syncer.core.policy import Budget
from syncer.engine import pacing
from syncer.engine.pacing import Paced, Pacer

BUDGET = Budget(writes_per_second=10, write_burst=100, kib_per_second=64, kib_burst=1024)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def patch(body: dict[str, Any], name: str = "a", side: Side = "host", sub: str = "") -> pacing.Write:
    return pacing.write(Patch(side, apis.CONFIG_MAPS, Key("ns", name), "uid", body, sub))


def create(name: str, size: int = 10, side: Side = "host") -> pacing.Write:
    obj = {"metadata": {"name": name, "namespace": "ns"}, "data": {"x": "y" * size}}
    return pacing.write(Create(side, apis.CONFIG_MAPS, obj))


def written(pacer: Pacer, clock: Clock, wishes: Any, seconds: float, item: str = "item") -> list[float]:
    """When each of the wishes is carried out, one after the other, by someone who waits as they are told."""
    end, times = clock.now + seconds, []
    start = clock.now
    for wish in itertools.islice(wishes, 5000):
        while clock.now < end:
            try:
                pacer.check(item, wish)
            except Paced as paced:
                clock.now += paced.seconds + 0.001
                continue
            pacer.wrote(wish)
            times.append(clock.now - start)
            break
        else:
            return times
    return times


def test_a_burst_is_free_and_then_the_rate_counts(clock: Clock) -> None:
    pacer = Pacer(BUDGET, clock)
    times = written(pacer, clock, (create(f"c{number}") for number in itertools.count()), 10)
    assert times[100] == 0
    assert len(times) == pytest.approx(100 + 10 * 10, abs=3)


def test_bytes_are_bounded_whatever_the_number_of_objects(clock: Clock) -> None:
    pacer = Pacer(BUDGET, clock)
    size = 100 * 1024
    times = written(pacer, clock, (create(f"c{number}", size) for number in itertools.count()), 60)
    assert len(times) * size <= (1024 + 60 * 64 + 2 * 100) * 1024


def test_who_waits_for_the_budget_is_served_in_the_order_in_which_they_came(clock: Clock) -> None:
    pacer = Pacer(BUDGET, clock)
    for number in range(101):
        pacer.check(f"first {number}", create(f"c{number}"))
    waits = []
    for number in range(20):
        with pytest.raises(Paced) as paced:
            pacer.check(number, create(f"late-{number}"))
        assert paced.value.why == "budget"
        waits.append(paced.value.seconds)
    assert waits == sorted(waits)
    clock.now += waits[9] + 0.001
    for number in range(10):
        pacer.check(number, create(f"late-{number}"))
    with pytest.raises(Paced):
        pacer.check(10, create("late-10"))


def test_no_more_than_a_minute_is_promised(clock: Clock) -> None:
    pacer = Pacer(BUDGET, clock)
    waits = []
    for number in range(5000):
        try:
            pacer.check(number, create(f"c{number}"))
        except Paced as paced:
            waits.append(paced.seconds)
    assert max(waits) == 60
    clock.now += 61
    pacer.check("another", create("another"))


def test_the_tenants_side_has_no_budget(clock: Clock) -> None:
    pacer = Pacer(BUDGET, clock)
    for number in range(1000):
        pacer.check(number, create(f"c{number}", side="tenant"))


def test_forty_updates_of_a_fat_object_are_a_few_writes(clock: Clock) -> None:
    pacer = Pacer(Budget(), clock)
    fat = [patch({"data": {"x": "y" * 2**20, "n": str(number)}}) for number in range(40)]
    assert len(written(pacer, clock, fat, 10)) <= 2
    change = Patch("host", apis.CONFIG_MAPS, Key("ns", "b"), "uid", {"data": {"n": "1"}})
    assert len(written(Pacer(Budget(), clock), clock, [pacing.write(change, stored=2**20)] * 40, 10)) <= 2


def test_an_object_that_changes_every_second_is_not_put_off(clock: Clock) -> None:
    pacer = Pacer(Budget(), clock)
    for number in range(1000):
        wish = patch({"data": {"n": str(number)}})
        pacer.check("item", wish)
        pacer.wrote(wish)
        clock.now += 1


@pytest.mark.parametrize("side", ["tenant", "host"])
def test_a_fight_slows_down_and_its_end_is_noticed(clock: Clock, side: Side) -> None:
    pacer = Pacer(Budget(), clock)
    same = patch({"status": {"message": None}}, side=side, sub="status")
    times = written(pacer, clock, itertools.repeat(same), 600)
    assert len([time for time in times if time < 60]) <= 13
    assert len([time for time in times if time >= 300]) <= 6
    assert pacer.fights() == 1
    clock.now += 200
    assert pacer.fights() == 0
    assert written(pacer, clock, [same] * 4, 1) == [0, 0, 0, 0]


def test_two_contents_in_turn_are_a_fight_too(clock: Clock) -> None:
    pacer = Pacer(Budget(), clock)
    turns = [patch({"status": {"message": text}}, side="tenant", sub="status") for text in "ab"]
    assert len(written(pacer, clock, itertools.cycle(turns), 60)) <= 26


def test_what_is_made_on_the_host_for_each_job_is_no_fight(clock: Clock) -> None:
    pacer = Pacer(Budget(), clock)
    for _ in range(200):
        wish = create("shared")
        pacer.check("item", wish)
        pacer.wrote(wish)
        clock.now += 1


def test_what_was_not_carried_out_counts_for_no_object(clock: Clock) -> None:
    pacer = Pacer(Budget(), clock)
    for _ in range(50):
        pacer.check("item", patch({"x": "y"}))
    assert pacer.fights() == 0


def test_tokens_count_with_their_secret(clock: Clock) -> None:
    secret = {"metadata": {"name": "t", "namespace": "ns"}}
    wish = pacing.write(Tokens(secret, "", {}, "default", (TokenRequest("token", "", 3600),)))
    assert (wish.target.side, wish.target.resource, wish.target.key) == ("host", "secrets", Key("ns", "t"))
    assert wish.size > 1000


def test_others_may_ask_whether_the_budget_has_room(clock: Clock) -> None:
    pacer = Pacer(BUDGET, clock)
    granted = sum(pacer.grants(10) for _ in range(1000))
    assert granted == pytest.approx(101, abs=1)
    clock.now += 1
    assert pacer.grants(10)
