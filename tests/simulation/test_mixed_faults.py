"""Everything fails at once, seed by seed: no unit is sold twice, lost or forgotten (`onhand.simulation`).

ONHAND_SEEDS says how many seeds (default 100), ONHAND_FIRST_SEED the first; `onhand simulate` plays thousands.
"""

import os
from collections import Counter

import pytest
from simulation_ground import swept_ground  # noqa: F401 - a fixture

from onhand.simulation.drawing import draw
from onhand.simulation.ground import Ground
from onhand.simulation.playing import play

SEEDS = int(os.environ.get("ONHAND_SEEDS", "100"))
FIRST = int(os.environ.get("ONHAND_FIRST_SEED", "1"))
TOGETHER = 10
HALF_A_DAY = 0.5
"""One busy spell: here many short ones are worth more than few long ones."""


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, TOGETHER))
def test_no_unit_is_sold_twice_lost_or_forgotten(first: int, swept_ground: Ground) -> None:  # noqa: F811
    faults: Counter[str] = Counter()
    orders = 0
    for seed in range(first, first + min(TOGETHER, SEEDS)):
        outcome = play(draw(seed, HALF_A_DAY), swept_ground)
        assert outcome.violation == "", "\n".join([f"seed {seed}", *outcome.history[-70:]])
        assert outcome.oversold == 0
        faults += outcome.faults
        orders += outcome.orders
    assert orders > 0
    assert faults.total() > 0
