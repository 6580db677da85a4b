"""One SKU's replay: against an oracle, and what must hold whatever happens."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from replay_oracle import World

from inventory.policies.policy import Habit, Offer, Policy, Strict
from inventory.policies.policy_text import parse_policy
from inventory.publishing.unseen import Sizes, Unseen
from inventory.replaying.replay_shelf import Darkness, Setting, Shelf, Tally

END = 120


class Nothing:
    """Nothing is known of demand."""

    def __call__(self, moment: int, offers: Sequence[Offer], noticed: Sequence[Darkness | None]) -> float:
        return 3.0

    def looks(self) -> Sequence[int]:
        return ()

    def saw(self, lines: int) -> None:
        assert lines >= 0

    def next_change(self) -> int:
        return 1 << 62


class Something(Nothing):
    """A lot is sold, in any quantity, and more on channels that are dark."""

    sizes = Sizes.of([0, 5, 3, 1, 1])

    def __call__(self, moment: int, offers: Sequence[Offer], noticed: Sequence[Darkness | None]) -> float:
        for offer, dark in zip(offers, noticed, strict=True):
            offer.rate, offer.busiest_lines = 2.0, 0.4
            offer.unseen = Unseen(0.2 if dark is None else 2.0, 3.0, self.sizes)
        return 3.0


@some.composite
def outages(draw: some.DrawFn, channels: int) -> tuple[Darkness, ...]:
    found = []
    for channel in range(channels):
        start = 0
        for _ in range(draw(some.integers(0, 2))):
            start += draw(some.integers(1, 50))
            end = start + draw(some.integers(1, 40))
            found.append(Darkness(channel, start, end, draw(some.integers(1, 60))))
            start = end + 1
    return tuple(sorted(found, key=lambda one: (one.start, one.channel)))


@some.composite
def lives(draw: some.DrawFn) -> tuple[int, tuple[Darkness, ...], list[tuple[int, int, int]], list[tuple[int, int]]]:
    channels = draw(some.integers(1, 4))
    sale = some.tuples(some.integers(0, END - 1), some.integers(0, channels - 1), some.sampled_from([1, 1, 1, 2, 5]))
    sales = sorted(draw(some.lists(sale, max_size=25)), key=lambda one: one[0])
    levels = draw(some.lists(some.tuples(some.integers(0, END - 1), some.integers(1, 9)), max_size=3))
    return channels, draw(outages(channels)), sales, sorted([(0, draw(some.integers(1, 9))), *levels])


def replayed(policy: Policy, setting: Setting, sales: list[tuple[int, int, int]], levels: list[tuple[int, int]],
             knowing: Nothing | None = None) -> Tally:  # fmt: skip
    return Shelf(policy, setting, knowing or Nothing()).live(sales, levels)


@settings(max_examples=400, deadline=None)
@given(lives(), some.sampled_from([2, 4, 10, 40]), some.booleans(), some.sampled_from(["mirror", "fixed:1", "strict"]))
def test_the_engine_does_what_the_oracle_does(life: tuple, lag: int, absolute: bool, text: str) -> None:  # type: ignore[type-arg]
    channels, dark, sales, levels = life
    policy = parse_policy(text)
    absolute = absolute and isinstance(policy, Habit)
    setting = Setting(lag, [1.0] * channels, [False] * channels, dark, absolute)
    tally = replayed(policy, setting, sales, levels)
    found = World(policy, channels, lag, dark, absolute).run(sales, levels, END)
    assert (tally.oversold_lines, tally.oversold_units, tally.oversold_lines_in_outage, tally.delivered_units) == (
        found.oversold_lines, found.oversold_units, found.inside, found.delivered,
    )  # fmt: skip
    assert (tally.hidden_lines, tally.counter_units) == (found.hidden, found.counter)
    # The oracle goes on after the last order.
    assert tally.api_calls <= found.calls


@settings(max_examples=500, deadline=None)
@given(lives(), some.integers(0, 90), some.integers(0, 15), some.sampled_from(["strict", "strict+cap:3+floor:2"]))
def test_strict_never_oversells(life: tuple, lag: int, asking: int, text: str) -> None:  # type: ignore[type-arg]
    channels, dark, sales, levels = life
    asks = [bool(asking >> channel & 1) for channel in range(channels)]
    setting = Setting(lag, [1.0] * channels, asks, dark, False)
    assert replayed(parse_policy(text), setting, sales, levels).oversold_lines == 0


@settings(max_examples=300, deadline=None)
@given(lives(), some.integers(0, 40), some.booleans(), some.sampled_from(["mirror", "fixed:2", "calibrated:0.01"]))
def test_what_is_sold_is_delivered_or_oversold(life: tuple, lag: int, absolute: bool, text: str) -> None:  # type: ignore[type-arg]
    channels, dark, sales, levels = life
    setting = Setting(lag, [1.0] * channels, [False] * channels, dark, absolute)
    shelf = Shelf(parse_policy(text), setting, Something())
    tally = shelf.live(sales, levels)
    assert 0 <= tally.delivered_units <= tally.demand_units == sum(units for _, _, units in sales)
    assert tally.oversold_lines_in_outage <= tally.oversold_lines <= tally.oversold_units
    assert tally.oversold_units_in_outage <= tally.oversold_units
    assert all(shown >= 0 for shown in shelf.shown)


@settings(max_examples=200, deadline=None)
@given(lives(), some.booleans())
def test_a_mirror_without_lag_is_one_counter(life: tuple, absolute: bool) -> None:  # type: ignore[type-arg]
    channels, _, sales, levels = life
    tally = replayed(Habit("mirror"), Setting(0, [1.0] * channels, [False] * channels, (), absolute), sales, levels)
    assert tally.oversold_lines == tally.hidden_lines == 0
    assert tally.delivered_units == tally.counter_units


@settings(max_examples=200, deadline=None)
@given(lives(), some.integers(2, 40))
def test_all_channels_that_ask_are_one_counter(life: tuple, lag: int) -> None:  # type: ignore[type-arg]
    channels, _, sales, levels = life
    setting = Setting(lag, [1.0] * channels, [True] * channels, (), False)
    for policy in (Strict(), parse_policy("calibrated:0.001")):
        tally = replayed(policy, setting, sales, levels)
        assert (tally.oversold_lines, tally.delivered_units) == (0, tally.counter_units)


def test_a_dark_channel_sells_what_it_shows_and_the_fence_keeps_it_for_it() -> None:
    dark = (Darkness(1, 100, 5_000, 4_900),)
    sales = [(200, 0, 1), (300, 0, 1), (4_000, 1, 1), (4_100, 1, 1)]
    setting = Setting(60, [1.0, 1.0], [False, False], dark, False)
    mirror = replayed(Habit("mirror"), setting, sales, [(0, 2)])
    assert (mirror.oversold_lines, mirror.oversold_lines_in_outage) == (2, 2)
    fenced = replayed(parse_policy("calibrated:0.01"), setting, sales, [(0, 2)], Something())
    assert (fenced.oversold_lines, fenced.delivered_units) == (0, 2)


@pytest.mark.parametrize("lag", [1, 60, 900])
def test_the_same_history_gives_the_same_figures(lag: int) -> None:
    setting = Setting(lag, [1.0, 1.0], [False, False], (Darkness(0, 5, 50, 9),), False)
    sales = [(moment, moment % 2, 1 + moment % 3) for moment in range(0, 100, 7)]
    first, second = (replayed(parse_policy("calibrated"), setting, sales, [(0, 9)], Something()) for _ in range(2))
    assert first == second
