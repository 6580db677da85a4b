"""Outages that come every week, and lines of the week that is not over: what is known of them, and what follows."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from inventory.orders.order_history import DAY, WEEK
from inventory.policies.demand_model import Knowledge, revised
from inventory.policies.foreseen import GRACE, LEAD, TIMES, Foreseen, foresee, moments, next_one
from inventory.policies.policy import Offer
from inventory.policies.policy_text import parse_policy
from inventory.publishing.unseen import SINGLE, Sizes, Unseen
from inventory.replaying.outage_pattern import parse_pattern
from inventory.replaying.replay_demand import SkuDemand
from inventory.replaying.replay_shelf import Setting, Shelf

HOUR = DAY // 24
LAG = 60_000
THURSDAY = "channel=2,weekday=thu,from=10:00,to=16:00"
ORIGIN = datetime(2029, 12, 3)  # noqa: DTZ001 - local clock time


def weekly(weeks: Sequence[int], shift: int = 0) -> list[tuple[int, int]]:
    return [(week * WEEK + 3 * DAY + 10 * HOUR + shift * n, week * WEEK + 3 * DAY + 16 * HOUR)
            for n, week in enumerate(weeks)]  # fmt: skip


def test_what_came_two_weeks_running_is_expected_in_the_third() -> None:
    assert next_one(1, weekly([0]), LAG) is None
    ten = 2 * WEEK + 3 * DAY + 10 * HOUR
    assert next_one(1, weekly([0, 1]), LAG) == Foreseen(1, ten - LEAD - 2 * LAG, ten + GRACE, ten, ten + 6 * HOUR)
    assert next_one(1, weekly([0, 2]), LAG) is not None, "one week without it"
    assert next_one(1, weekly([0, 3]), LAG) is None, "every third week is no habit"
    late = next_one(1, weekly([0, 1, 2], shift=HOUR // 3), LAG)
    assert late is not None
    assert (late.until - late.start) == LEAD + 2 * LAG + 2 * HOUR // 3 + GRACE, "between the earliest and the latest"
    assert next_one(1, weekly([0, 1], shift=2 * HOUR), LAG) is None, "another time of day"


def test_the_outages_of_the_judges_command() -> None:
    darknesses = parse_pattern(THURSDAY, 4).darknesses(ORIGIN, 70)
    outages = [(one.channel, one.start, one.end) for one in darknesses]
    found = foresee(outages, LAG)
    assert [one.begin for one in found] == [one.start for one in darknesses[TIMES:]] + [outages[-1][1] + WEEK]
    # The last one does not come: then, and only then, it is said when nobody waits any longer.
    assert moments(found, outages) == (*(one.start for one in found), found[-1].until)
    # Of every day it is a habit of each weekday.
    daily = parse_pattern("channel=1,weekday=all,from=02:00,to=03:00", 4).darknesses(ORIGIN, 21)
    assert len(foresee([(one.channel, one.start, one.end) for one in daily], LAG)) == 14


@settings(max_examples=200, deadline=None)
@given(some.lists(some.tuples(some.integers(0, 2), some.integers(0, 8 * 7 * 24), some.integers(1, 30)), max_size=30))
def test_nothing_is_foreseen_from_later_outages(given_: list[tuple[int, int, int]]) -> None:
    outages = sorted({(channel, start * HOUR, (start + hours) * HOUR) for channel, start, hours in given_},
                     key=lambda one: one[1])  # fmt: skip
    whole = foresee(outages, LAG)
    for cut in range(len(outages)):
        known = foresee(outages[:cut], LAG)
        later = outages[cut][1] if cut < len(outages) else 1 << 62
        assert [one for one in known if one.start < later] == [
            one for one in whole if one in known and one.start < later
        ]
    assert all(one.start < one.begin < one.until and one.begin < one.end for one in whole)


SIZES = [SINGLE, Sizes.of([0, 5, 3, 1, 0, 0, 2])]


@settings(max_examples=300, deadline=None)
@given(
    some.lists(some.floats(0.01, 5), min_size=2, max_size=4), some.integers(0, 60), some.sampled_from(SIZES),
    some.booleans(),
)  # fmt: skip
def test_who_is_about_to_go_dark_shows_no_more_and_nobody_else_less(
    rates: list[float], sellable: int, sizes: Sizes, other_dark: bool
) -> None:
    policy = parse_policy("calibrated:0.01")
    offers = [
        Offer(1.0, 1, rate=rate, busiest_lines=rate / 500, unseen=Unseen(rate / 500, 4.0, sizes)) for rate in rates
    ]
    if other_dark:
        offers[-1].reachable, offers[-1].unseen = False, Unseen(0.4, 4.0, sizes)
    usual = policy.entitled(sellable, offers)
    offers[0].leaving = Unseen(rates[0] / 4, 4.0, sizes)
    prepared = policy.entitled(sellable, offers)
    assert 0 <= prepared[0] <= usual[0]
    assert prepared[1:] == usual[1:]


def test_the_last_unit_goes_to_those_who_stay_and_plenty_is_left_alone() -> None:
    policy = parse_policy("calibrated:0.001")
    offers = [Offer(1.0, 1, rate=0.2, unseen=Unseen(0.0001, 4.0)) for _ in range(4)]
    offers[1].leaving = Unseen(0.15, 4.0)
    assert policy.entitled(1, offers) == [1, 0, 1, 1]
    assert policy.entitled(2, offers)[1] == 1, "of two it keeps one"
    assert policy.entitled(30, offers) == [29] * 4
    offers[1].rate, offers[1].leaving = 20.0, Unseen(15.0, 4.0)
    usual = [one.leaving for one in offers]
    offers[1].leaving = None
    free = policy.entitled(3, offers)
    offers[1].leaving = usual[1]
    assert policy.entitled(3, offers) == free, "it sells nearly all that is sold"


def known(rate: float, shape: float = 2.0) -> Knowledge:
    return Knowledge(
        1, np.full((1, 4), rate / 4, np.float32), np.array([shape], np.float32), np.zeros(1, np.int16), (SINGLE,),
        (1.0,) * 7, (1 / 24,) * 24,
    )  # fmt: skip


def test_lines_of_this_week_say_that_the_rate_is_another() -> None:
    assert revised(2.0, 1.0, 0) == (pytest.approx(2 / 3), 2.0)
    assert revised(2.0, 1.0, 4) == (2.0, 6.0)
    demand = SkuDemand([known(0.5)], 0, Setting(LAG, [1.0] * 4, [False] * 4, (), False))
    offers = [Offer(1.0, 1) for _ in range(4)]

    def total(moment: int) -> float:
        demand(moment, offers, [None] * 4)
        return sum(one.rate for one in offers)

    assert total(DAY) == pytest.approx(0.5)
    assert total(3 * DAY) == pytest.approx(0.5 * 2 / 3), "nothing in two days, where one line was expected"
    demand.saw(3)
    assert total(3 * DAY) == pytest.approx(0.5 * 5 / 3)
    assert offers[0].unseen is not None
    assert offers[0].unseen.shape == 5.0


def test_what_a_dark_channel_sells_is_neither_much_nor_little() -> None:
    [dark] = parse_pattern("channel=2,date=2029-12-05", 4).darknesses(ORIGIN, 7)
    setting = Setting(LAG, [1.0] * 4, [False] * 4, (dark,), False)
    offers = [Offer(1.0, 1) for _ in range(4)]
    SkuDemand([known(0.5)], 0, setting)(3 * DAY, offers, [None, dark, None, None])
    # Two days passed; on one of them a quarter of the demand was not heard of.
    assert offers[0].rate * 4 == pytest.approx(0.5 * 2 / (2 + 0.5 * 2 - 0.125))


def test_a_foreseen_outage_leaves_the_last_unit_on_sale() -> None:
    """Two outages that nobody expected, and the third: the others would have had nothing to sell in it."""
    darknesses = parse_pattern(THURSDAY, 4).darknesses(ORIGIN, 28)
    outages = [(one.channel, one.start, one.end) for one in darknesses]
    foreseen = foresee(outages, LAG)
    sales = [(week * WEEK + 3 * DAY + 12 * HOUR, 0, 1) for week in range(4)]
    sold = []
    for prepared in ((), moments(foreseen, outages)):
        setting = Setting(LAG, [1.0] * 4, [False] * 4, darknesses, False, True, foreseen if prepared else (), prepared)
        tally = Shelf(parse_policy("calibrated:0.001"), setting, SkuDemand([known(0.5)], 0, setting)).live(
            sales, [(week * WEEK, 1) for week in range(4)]
        )
        sold.append(tally.sold_lines)
        assert tally.oversold_lines == 0
    assert sold == [0, 2]
