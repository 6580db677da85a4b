"""Other policies under everything that goes wrong at once: they may oversell, but nothing is lost, no listing may sell
more than is counted, and all comes to rest.

The market is that of `test_strict_never_oversells.py`.
"""

import json
import os

import pytest
from market_world import BEGIN, SimulatedShop
from sqlalchemy import Engine, text
from test_strict_never_oversells import Play, quick_engine  # noqa: F401 - a fixture

from expectations import gate
from inventory import rebuilding
from inventory.availability import load_market
from inventory.guidance import read_guidance
from inventory.policy_store import bring_in_force
from inventory.publishing import plan

SEEDS = int(os.environ.get("ONHAND_SEEDS", "12")) // 6
POLICIES = {
    "calibrated": '[default]\npolicy = "calibrated:0.01"\n',
    "mirrored, one channel split strictly, floors and caps": (
        '[default]\npolicy = "mirror"\n[[rule]]\nname = "split"\nchannels = ["cas0"]\npolicy = "strict"\n'
        '[[rule]]\nname = "limits"\nchannels = ["absolute1"]\nfloor = 2\ncap = 5\n'
    ),
}
FACTS = {
    "hours": [1 / 24] * 24, "weekday": [1.0] * 7, "sizes": [{"1": 0.6, "2": 0.2, "3": 0.2}],
    "prior": {"rates": {"cas0": 900.0, "absolute1": 900.0}, "shape": 2.0, "size_class": 0},
}  # fmt: skip


class Told(Play):
    """A play under a policy."""

    oversells = True

    def __init__(self, seed: int, engine: Engine, policy: str) -> None:
        super().__init__(seed, engine, gate.recheck)
        with engine.begin() as connection:
            connection.execute(
                text("INSERT INTO learned_market (learned_at, order_lines, days, facts) VALUES (:now, 1, 1, :facts)"),
                {"now": BEGIN, "facts": json.dumps(FACTS)},
            )
            bring_in_force(connection, policy, actor="the seed", reason="to try it", now=BEGIN)

    def verify(self) -> None:
        now = self.world.now()
        with self.engine.connect() as connection:
            assert rebuilding.compare(connection) == []
            listings = connection.execute(text("SELECT id, channel, ref, exposure FROM listing")).all()
            blind = [one for one in listings if type(self.world.shops[one.channel]) is SimulatedShop]
            shown = {(one.channel, one.ref): self.world.shops[one.channel].shown[one.ref] for one in listings}
            assert {(one.channel, one.ref): one.exposure for one in blind} == {
                (one.channel, one.ref): shown[one.channel, one.ref] for one in blind
            }
            live = {one.id: shown[one.channel, one.ref] for one in listings}
            guidance = read_guidance(connection, list(self.world.stock), now=now)
            assert guidance.dark == {}, "a channel is thought dark although it is read"
            left = plan(load_market(connection, self.world.stock, live, guidance))
            assert [f"{step.position.ref} to {step.quantity}" for step in left] == []
            waiting = connection.execute(text("SELECT count(*) FROM outbox WHERE due_at <= :now"), {"now": now})
            assert waiting.scalar_one() == 0
            assert connection.execute(text("SELECT count(*) FROM inbox WHERE status <> 'applied'")).scalar_one() == 0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(7000, 7000 + SEEDS))
def test_nothing_is_lost_and_all_comes_to_rest(seed: int, policy: str, quick_engine: Engine) -> None:  # noqa: F811
    play = Told(seed, quick_engine, POLICIES[policy])
    try:
        play.run()
        play.verify()
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{play.world.tell()}") from error
