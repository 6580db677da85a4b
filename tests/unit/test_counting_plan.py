"""Which bins are counted: each within its time whatever the mix, the load even, and evidence first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from inventory.counting.counting_plan import Bin, PlanPolicy, classes, needed_lines, plan, suspicion
from inventory.words import CountCause

MONDAY = datetime(2026, 3, 2, 6, tzinfo=UTC)
WEEKDAYS = frozenset(range(5))


def at(days: float) -> datetime:
    return MONDAY + timedelta(days=days)


def a_bin(sku: str = "A", **what: Any) -> Bin:
    return Bin(**({"sku": sku, "location": "main", "on_hand": 20, "since": at(-30), "unit_cost": 5.0} | what))


# Shrinking an example of hundreds of days takes minutes.
@settings(max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    count=st.integers(1, 60),
    capacity=st.integers(1, 4),
    within=st.sampled_from([14, 30, 91]),
    working=st.sampled_from([WEEKDAYS, frozenset(range(7)), frozenset({0, 3})]),
    data=st.data(),
)
def test_no_bin_ever_waits_longer_than_promised(
    count: int, capacity: int, within: int, working: frozenset[int], data: st.DataObject
) -> None:
    """Whatever speaks for counting other bins: counted on the days they are planned, none is late; and the day's work
    is never more than the capacity or, where the promise needs more, the even share of it."""
    policy = PlanPolicy(within_days=within, capacity=capacity, working=working)
    rng = data.draw(st.randoms(use_true_random=False))
    bins = [
        a_bin(
            f"S{number}",
            since=at(-rng.randint(0, within // 2)),
            unit_cost=rng.choice([0.0, 1.0, 1000.0]),
            picks=rng.choice([0.0, 0.1, 20.0]),
            demand=rng.choice([0.0, 5.0]),
            last_sale=rng.choice([None, at(-40)]),
        )
        for number in range(count)
    ]
    # Five days are lost between a turn and the next day of work before it is due.
    even = -(-count // max(1, int((within - 5) / 7 * len(working)))) + 1
    heaviest = max(needed_lines(bins, MONDAY, policy), even, capacity)
    for day in range(2 * within + 10):
        now = at(day)
        assert all(now - one.since <= timedelta(days=within) for one in bins)
        if now.weekday() not in working:
            continue
        planned, [load] = plan(bins, now, policy)
        assert len(planned) <= heaviest and load.overdue == 0
        assert len(planned) <= max(capacity, load.needed)
        done = {one.bin.sku for one in planned}
        bins = [replace(one, since=now, counts=one.counts + 1) if one.sku in done else one for one in bins]
        # Errors are found at some, so that risk pulls at the plan.
        bins = [replace(one, errors=one.errors + 1) if rng.random() < 0.02 else one for one in bins]


def test_what_is_late_already_comes_first_above_the_capacity_but_not_all_on_one_day() -> None:
    """As when a seller begins to count. What is not late does not become so by it."""
    policy = PlanPolicy(capacity=10)
    late = [a_bin(f"L{number:03d}", since=at(-200)) for number in range(300)]
    bins = [*late, *(a_bin(f"S{number}", since=at(-89 + number % 30), unit_cost=99.0) for number in range(60))]
    planned, [load] = plan(bins, MONDAY, policy)
    assert (load.needed, load.overdue) == (151, 300), (
        "the first of the others is due the day after tomorrow, behind them"
    )
    planned, [load] = plan(late, MONDAY, policy)
    assert (len(planned), load.needed) == (15, 15)
    for day in range(60):
        done = {one.bin.sku for one in plan(late, at(day), policy)[0]}
        late = [one for one in late if one.sku not in done]
    assert late == []


def test_each_location_has_its_own_capacity_and_its_own_turns() -> None:
    bins = [a_bin(f"S{number}", location=place) for place in ("main", "attic") for number in range(100)]
    planned, loads = plan(bins, MONDAY, PlanPolicy(capacity=20, capacities={"attic": 5}))
    assert {one.location: one.planned for one in loads} == {"attic": 5, "main": 20}
    assert {one.location: one.turns for one in loads} == {"attic": 2, "main": 2}
    assert len(planned) == 25
    planned, loads = plan(bins, MONDAY, PlanPolicy(capacity=20), taken={"main": 18}, turns_taken={"main": 2})
    assert {one.location: one.planned for one in loads} == {"attic": 20, "main": 2}


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ({"prompts": frozenset({CountCause.OVERSELL})}, CountCause.OVERSELL),
        ({"prompts": frozenset({CountCause.DRIFT})}, CountCause.DRIFT),
        ({"prompts": frozenset({CountCause.LATE_MOVEMENT})}, CountCause.LATE_MOVEMENT),
        ({"prompts": frozenset({CountCause.REJECTED})}, CountCause.REJECTED),
        ({"picks": 2.0, "demand": 4.0, "last_sale": at(-6)}, CountCause.ZERO_SALES),
        ({"counts": 6, "errors": 5}, CountCause.ERROR_HISTORY),
        ({"unit_cost": 500.0}, CountCause.VALUE),
        ({"demand": 30.0, "picks": 10.0, "on_hand": 300, "last_sale": at(0)}, CountCause.VELOCITY),
    ],
)
def test_each_reason_brings_a_bin_forward(what: dict[str, Any], cause: CountCause) -> None:
    """Among bins of its age, and it says why."""
    bins = [a_bin(f"S{number:02d}") for number in range(40)] + [a_bin("X", **what)]
    planned, _ = plan(bins, MONDAY, PlanPolicy(capacity=3))
    [found] = [one for one in planned if one.bin.sku == "X"]
    assert found.prompted and cause in found.causes


def test_silence_means_nothing_where_there_is_nothing_to_sell_or_little_is_sold() -> None:
    policy = PlanPolicy()
    for what in ({"on_hand": 0}, {"picks": 0.05}, {"last_sale": at(-0.5)}, {"since": at(-1)}):
        one = a_bin(**({"picks": 2.0, "last_sale": at(-6)} | what))
        assert CountCause.ZERO_SALES not in suspicion(one, 50, MONDAY, policy).causes


def test_what_a_person_asks_for_pushes_out_no_turn() -> None:
    bins = [a_bin(f"S{number}", since=at(-80)) for number in range(20)]
    asked = [a_bin(f"X{number}", prompts=frozenset({CountCause.ASKED})) for number in range(30)]
    planned, [load] = plan(bins + asked, MONDAY, PlanPolicy(capacity=5))
    assert {one.bin.sku for one in planned} >= {one.sku for one in asked}
    assert load.turns == load.needed >= 2


def test_a_bin_rests_after_its_count_unless_there_is_evidence() -> None:
    bins = [a_bin(f"S{number}", since=at(-2), counts=1, unit_cost=100.0) for number in range(9)]
    quiet, _ = plan(bins, MONDAY, PlanPolicy(capacity=9))
    assert len(quiet) == 1, "the turn alone"
    bins[4] = replace(bins[4], prompts=frozenset({CountCause.OVERSELL}))
    assert {one.bin.sku for one in plan(bins, MONDAY, PlanPolicy(capacity=9))[0]} == {"S0", "S4"}


def test_the_classes_are_by_money_sold() -> None:
    bins = [a_bin("A", demand=80.0), a_bin("B", demand=15.0), a_bin("C", demand=5.0), a_bin("D")]
    assert [classes(bins)[one.sku, "main"] for one in bins] == ["A", "B", "C", "C"]
    assert plan([], MONDAY, PlanPolicy()) == ([], [])


@pytest.mark.parametrize(
    "wrong",
    [{"capacity": 0}, {"capacities": {"main": 0}}, {"within_days": 0}, {"working": frozenset()}, {"working": {7}}],
)
def test_a_policy_that_cannot_keep_its_promise_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="count"):
        PlanPolicy(**wrong)
