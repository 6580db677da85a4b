"""Whether calibrated keeps its chance, over many seeds, with the statistics to say so."""

from functools import cache
from math import sqrt

import pytest

from adapters.sandbox.long_trace import long_trace
from inventory.outage_pattern import parse_pattern
from inventory.policy_text import parse_policies
from inventory.replay import Plan, run
from inventory.replay_shelf import Tally

SEEDS = range(8)
THURSDAYS = "channel=2,weekday=thu,from=10:00,to=16:00"


@cache
def added_up(policies: str, lag: float, outage: str) -> list[Tally]:
    """Over all seeds: half a year of a small shop with SKUs as hot and as slow as a large one's."""
    plan = Plan(parse_policies(policies), [lag], [parse_pattern(outage, 4)])
    totals = [Tally() for _ in plan.policies]
    for seed in SEEDS:
        history = long_trace(seed, 26, skus=400, orders_a_day=6)
        for total, outcome in zip(totals, run(history, plan), strict=True):
            total.add(outcome.tally)
    return totals


def upper(found: int, of: int) -> float:
    """Wilson's bound: with 97.5 % the true share is below."""
    share, z = found / of, 1.96
    middle = share + z * z / (2 * of)
    return (middle + z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))) / (1 + z * z / of)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("epsilon", "lag"), [(0.01, 900.0), (0.05, 3600.0)])
def test_run_outs_oversell_no_more_often_than_epsilon(epsilon: float, lag: float) -> None:
    mirror, calibrated = added_up(f"mirror,calibrated:{epsilon}", lag, "none")
    assert calibrated.run_outs > 3_000
    assert upper(mirror.oversold_lines, mirror.run_outs) > epsilon, "else there is nothing to keep"
    assert upper(calibrated.oversold_lines, calibrated.run_outs) <= epsilon


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_outages_of_every_week() -> None:
    mirror, strict, calibrated = added_up("mirror,strict,calibrated:0.001", 60.0, THURSDAYS)
    assert strict.oversold_lines == 0
    assert mirror.oversold_lines > 100
    # So few can only show that it is less than a seventh. The target is a twentieth; whole generated years came to
    # 3.2 to 5.7 % (docs/replay.md).
    assert upper(calibrated.oversold_lines, mirror.oversold_lines) <= 1 / 7
    assert calibrated.delivered_units > strict.delivered_units
