"""Other policies under everything that goes wrong at once: they may oversell, but nothing is lost, no listing may sell
more than is counted, and all comes to rest. The seeds are those of `test_mixed_faults`."""

import json
from dataclasses import replace

import pytest
from simulation_ground import swept_ground  # noqa: F401 - a fixture
from sqlalchemy import text

from onhand.simulation.drawing import draw
from onhand.simulation.ground import Ground
from onhand.simulation.playing import Play
from onhand.simulation.world import BEGIN

POLICIES = {
    "calibrated": '[default]\npolicy = "calibrated:0.01"\n',
    "mirrored, one channel split strictly, floors and caps": (
        '[default]\npolicy = "mirror"\n[[rule]]\nname = "split"\nchannels = ["FIRST"]\npolicy = "strict"\n'
        '[[rule]]\nname = "limits"\nchannels = ["SECOND"]\nfloor = 2\ncap = 5\n'
    ),
}
FACTS = {
    "hours": [1 / 24] * 24, "weekday": [1.0] * 7, "sizes": [{"1": 0.6, "2": 0.2, "3": 0.2}],
    "prior": {"rates": {"shopify": 900.0, "woocommerce": 900.0, "ebay": 900.0}, "shape": 2.0, "size_class": 0},
}  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_is_lost_and_all_comes_to_rest(policy: str, swept_ground: Ground) -> None:  # noqa: F811
    for seed in range(7001, 7005):
        swept_ground.sweep()
        scenario = draw(seed, 0.5)
        first_code, second_code = (one.code for one in scenario.channels[:2])
        file = POLICIES[policy].replace("FIRST", first_code).replace("SECOND", second_code)
        play = Play(replace(scenario, policy=file, real_gate=False), swept_ground)
        with swept_ground.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO learned_market (learned_at, order_lines, days, facts) VALUES (:now, 1, 1, :facts)"),
                {"now": BEGIN, "facts": json.dumps(FACTS)},
            )
        try:
            play.run()
        except Exception as error:
            told = "\n".join(play.world.history[-70:])
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{told}") from error
