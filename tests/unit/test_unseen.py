"""Quantiles of what is sold unseen, against a simulation and against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from inventory.policies import calibration
from inventory.policies.policy import Offer
from inventory.policies.policy_text import parse_policy
from inventory.publishing.unseen import LONGEST, SINGLE, Sizes, Unseen, quantile

HEAVY = Sizes.of(1 / np.arange(1, 600) ** 1.8 * (np.arange(1, 600) > 1))


@pytest.mark.parametrize("sizes", [SINGLE, HEAVY], ids=["single", "heavy"])
@pytest.mark.parametrize(("lines", "shape"), [(0.02, 3.0), (0.7, 1.0), (4.0, 6.0)])
@pytest.mark.parametrize("epsilon", [0.05, 0.01])
def test_a_quantile_is_exceeded_as_seldom_as_it_says(lines: float, shape: float, sizes: Sizes, epsilon: float) -> None:
    rng = np.random.default_rng(5)
    times = 200_000
    numbers = rng.poisson(rng.gamma(shape, lines / shape, times))
    units = rng.choice(len(sizes.share), p=sizes.share, size=int(numbers.sum()))
    totals = np.bincount(np.repeat(np.arange(times), numbers), weights=units, minlength=times)
    found = quantile(lines, shape, sizes, epsilon)
    assert np.mean(totals > found) <= epsilon + 4 * np.sqrt(epsilon / times)
    if found:
        # Not wider than rounding makes it: a grid of 3 % of the rate and of a fifth of the shape.
        assert np.mean(totals > found * 0.8 - 1) > epsilon


@settings(max_examples=200, deadline=None)
@given(some.floats(1e-6, 20), some.floats(0.1, 20), some.floats(1e-5, 0.2))
def test_more_demand_and_less_risk_need_more(lines: float, shape: float, epsilon: float) -> None:
    for sizes in (SINGLE, HEAVY):
        found = quantile(lines, shape, sizes, epsilon)
        assert 0 <= found <= quantile(lines * 1.5, shape, sizes, epsilon)
        assert found <= quantile(lines, shape, sizes, epsilon / 3)


def test_sizes_beyond_the_longest_count_as_the_longest() -> None:
    share = np.zeros(LONGEST + 500)
    share[1], share[-1] = 9.0, 1.0
    assert Sizes.of(share).share[LONGEST] == pytest.approx(0.1)


@some.composite
def offers(draw: some.DrawFn) -> list[Offer]:
    shape, sizes = draw(some.floats(0.3, 10)), draw(some.sampled_from([SINGLE, HEAVY]))
    return [
        Offer(
            1.0,
            draw(some.integers(0, 12)),
            reachable=draw(some.sampled_from([True, True, False])),
            rate=draw(some.floats(0.01, 5)),
            busiest_lines=0.1,
            unseen=Unseen(draw(some.floats(0, 3)), shape, sizes),
        )
        for _ in range(draw(some.integers(1, 4)))
    ]


@settings(max_examples=300, deadline=None)
@given(offers(), some.integers(0, 40), some.floats(1e-4, 0.2), some.floats(0, 6))
def test_calibrated_shows_within_what_is_there(
    given: list[Offer], sellable: int, epsilon: float, restock: float
) -> None:
    policy = parse_policy(f"calibrated:{epsilon}")
    shown = policy.entitled(sellable, given, restock)
    fence = calibration.kept_for_dark(epsilon, given, restock)
    assert fence <= sum(one.exposure for one in given if not one.reachable)
    for place, one in enumerate(given):
        if one.reachable:
            assert 0 <= shown[place] <= max(0, sellable - fence)
            assert policy.counted(place, sellable, given, restock) >= fence


@settings(max_examples=300, deadline=None)
@given(some.lists(some.floats(0.01, 5), min_size=2, max_size=5), some.floats(0.001, 0.2), some.floats(0, 6))
def test_the_chance_that_a_last_unit_oversells_is_bounded(rates: list[float], lag: float, restock: float) -> None:
    """What the policy promises for one run-out, recomputed from what it shows."""
    epsilon = 0.01
    given = [Offer(1.0, 1, rate=rate, busiest_lines=rate * lag, unseen=Unseen(rate * lag, 4.0)) for rate in rates]
    shown = [
        place for place, units in enumerate(parse_policy(f"calibrated:{epsilon}").entitled(1, given, restock)) if units
    ]
    assert shown
    if len(shown) > 1:
        whole = sum(rates[place] for place in shown)
        chance = sum(rates[place] / whole * (1 - (1 + (whole - rates[place]) * lag / 4.0) ** -4.0) for place in shown)
        assert chance <= calibration.RUN_OUT * epsilon


def test_who_knows_nothing_splits() -> None:
    policy = parse_policy("calibrated:0.01")
    assert policy.entitled(8, [Offer(1.0, 0), Offer(1.0, 0)]) == [4, 4]
    assert policy.counted(0, 8, [Offer(1.0, 0), Offer(1.0, 3)]) == 3


def test_plenty_is_mirrored_and_a_dark_channel_is_fenced() -> None:
    policy = parse_policy("calibrated:0.001")
    calm = [Offer(1.0, 100, rate=1.0, unseen=Unseen(0.0005, 5.0)) for _ in range(4)]
    assert min(policy.entitled(100, calm)) >= 99
    calm[1].reachable, calm[1].unseen = False, Unseen(0.5, 5.0)
    few = policy.entitled(100, calm)[0]
    calm[1].unseen = Unseen(2.0, 5.0)
    assert policy.entitled(100, calm)[0] < few < 99, "more as it lasts"
    calm[1].exposure = 1
    assert policy.entitled(100, calm)[0] >= 98, "never more than it can"
