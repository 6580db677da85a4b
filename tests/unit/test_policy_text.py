"""Policies and outage patterns from text."""

from datetime import datetime

import pytest

from inventory.orders.order_history import DAY
from inventory.policies.policy import Offer
from inventory.policies.policy_text import PolicyError, parse_policies, parse_policy
from inventory.replaying.outage_pattern import FIRST_EXPECTED, OutageError, parse_pattern

HOUR = DAY // 24
MONDAY = datetime(2011, 11, 7)  # noqa: DTZ001 - local clock time


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mirror", 10), ("fixed:3", 7), ("fixed:20", 0), ("percentage:90", 9), ("percentage:29 %", 2), ("strict", 5),
        ("mirror+cap:4", 4), ("fixed:8+floor:3", 0), ("fixed:8+floor:2", 2), (" STRICT + cap:3 + floor:2 ", 3),
    ],
)  # fmt: skip
def test_what_a_policy_shows_of_ten(text: str, shown: int) -> None:
    assert parse_policy(text).entitled(10, [Offer(1.0, 0), Offer(1.0, 0)]) == [shown, shown]


@pytest.mark.parametrize("units", range(0, 101))
def test_a_percentage_of_a_hundred_is_that_number(units: int) -> None:
    if units:
        assert parse_policy(f"percentage:{units}").entitled(100, [Offer(1.0, 0)]) == [units]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "missing"), ("mirorr", "calibrated:EPS"), ("mirror:1", "no number"), ("strict:2", "no number"),
        ("calibrated:x", "chance"), ("calibrated:0", "between"), ("calibrated:0.9", "between"),
        ("calibrated:nan", "between"), ("fixed", "whole number"), ("fixed:-1", "whole number"),
        ("fixed:1.5", "whole number"), ("percentage:0", "above 0"), ("percentage:101", "above 0"),
        ("percentage:nan", "above 0"), ("strict+top:1", "no limit"), ("strict+cap:1+cap:2", "two limits"),
        ("strict+cap:0", "never show"), ("strict+cap:2+floor:3", "never show"), ("mirror,mirror", "twice"),
        ("mirror,,strict", "missing"),
    ],
)  # fmt: skip
def test_nonsense_is_named(text: str, word: str) -> None:
    with pytest.raises(PolicyError, match=word) as caught:
        parse_policies(text)
    assert "\n" not in str(caught.value)


def test_calibrated_without_a_chance_has_the_usual_one() -> None:
    assert [one.text for one in parse_policies("calibrated,strict")] == ["calibrated:0.001", "strict"]


def test_a_weekly_outage() -> None:
    pattern = parse_pattern("channel=2,weekday=thu,from=10:00,to=16:00", 4)
    first, second = pattern.darknesses(MONDAY, 14)
    assert (first.channel, first.start, first.end) == (1, 3 * DAY + 10 * HOUR, 3 * DAY + 16 * HOUR)
    assert second.start - first.start == 7 * DAY
    assert (first.planned, second.planned) == (FIRST_EXPECTED, 6 * HOUR)


def test_outages_that_overlap_are_one_and_a_night_may_end_on_the_next_day() -> None:
    pattern = parse_pattern(
        "channel=1,date=2011-11-08,from=22:00,to=03:00; channel=1,weekday=wed,from=02:00,to=5:00", 2
    )
    [one] = pattern.darknesses(MONDAY, 7)
    assert (one.start, one.end) == (1 * DAY + 22 * HOUR, 2 * DAY + 5 * HOUR)
    assert parse_pattern("none", 2).darknesses(MONDAY, 7) == ()
    assert len(parse_pattern("channel=1,weekday=all", 1).darknesses(MONDAY, 7)) == 1
    assert len(parse_pattern("channel=1,weekday=mon+fri,to=12:00", 1).darknesses(MONDAY, 7)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "channel=5,weekday=thu", "channel=0,weekday=thu", "weekday=thu", "channel=1", "channel=1,weekday=thi",
        "channel=1,weekday=thu,date=2011-11-17", "channel=1,date=2011-13-17", "channel=1,weekday=thu,from=25:00",
        "channel=1,weekday=thu,from=10", "channel=1,weekday=thu,until=11:00", "every=thursday",
        "channel=1,channel=2,weekday=thu",
    ],
)  # fmt: skip
def test_an_outage_that_makes_no_sense_is_named(text: str) -> None:
    with pytest.raises(OutageError) as caught:
        parse_pattern(text, 4)
    assert text.split(",")[0].split("=")[0] in str(caught.value)
