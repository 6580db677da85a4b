"""A warehouse and a store for the tests of goods: the tasks' own functions on a real ledger, under a clock."""

from pathlib import Path
from typing import Any

from fake_channel import Clock
from ledger_stage import START, business, clear_outbox
from sqlalchemy import Engine

from inventory import setup
from tasks.runtime import Runtime

FOLDER = Path()


class GoodsStage:
    """SKUs A (20 in main), B (5 in main), C (1 in store), D (3 in main), and KIT, a bundle of two A."""

    def __init__(self, engine: Engine) -> None:
        business(
            engine,
            stock_at={"A": {"main": 20}, "B": {"main": 5}, "C": {"store": 1}, "D": {"main": 3}},
            channels={"web": ("main", "store")},
            bundles={"KIT": {"A": 2}},
        )
        self.engine, self.clock = engine, Clock(START)

        def no_channel(code: str) -> Any:
            raise AssertionError(f"{code} was opened")

        self.runtime = Runtime(engine, no_channel, self.clock)
        with engine.begin() as connection:
            setup.add_aliases(connection, {"alpha": "A"})
        clear_outbox(engine)


def why(held: list[dict[str, Any]], key: str = "row") -> dict[Any, str]:
    return {one[key]: one["why"] for one in held}
