"""kill -9 of the process that applies and publishes, anywhere: nothing is lost, nothing twice, nothing oversold."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kill_nine_worker import PLACES
from shops import Stage, two_shops
from sqlalchemy import Engine, text

from inventory.ledger import rebuilding
from tasks.publishing.publish import publish
from tasks.selling.pull import pull

WORKER = Path(__file__).with_name("kill_nine_worker.py")
UNITS = {f"S{number}": number % 9 + 1 for number in range(12)}


class Worker:
    def __init__(self, nursery: "Nursery", told: dict[str, Any]) -> None:
        self.nursery = nursery
        nursery.write(json.dumps(told))
        self.pid = int(nursery.read())

    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        assert self.nursery.read() == str(int(signal.SIGKILL))


class Nursery:
    """Starts workers without the seconds that the imports of each would take."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def worker(self, database: str, stage: Stage, die_at: tuple[str, int] | None) -> Worker:
        return Worker(self, {"database": database, **stage.urls, "die_at": die_at})


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    with made.process:
        yield made


def shop_for(stage: Stage, chance: random.Random, seconds: float, worker: Worker) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and worker.alive():
        shop = chance.choice(list(stage.shops.values()))
        shop.checkout([(chance.choice(list(UNITS)), chance.randint(1, 2))])
        if shop.orders and chance.random() < 0.1:
            order = shop.orders[chance.choice(list(shop.orders))]
            if order.cancelled_at is None:
                shop.cancel(order.number)
        time.sleep(0.02)


def test_killed_anywhere(engine: Engine, database_url: str, nursery: Nursery) -> None:
    chance = random.Random(9)
    with two_shops(engine, UNITS, settle=0, in_doubt=2) as stage:
        publish(stage.runtime)
        fates: list[tuple[str, int] | None] = [
            ("page stored", 2), ("before write", 1), ("after write", 1), ("after write", 2), None,
            *((place, 1) for place in PLACES), None,
        ]  # fmt: skip
        deaths: Counter[str] = Counter()
        for fate in fates:
            worker = nursery.worker(database_url, stage, fate)
            shop_for(stage, chance, chance.uniform(0.2, 0.6) if fate is None else 6, worker)
            deaths["from outside" if worker.alive() else "by itself"] += 1
            worker.kill()
        assert deaths["by itself"] >= 6, f"the chosen places were not reached: {deaths}"
        drain(engine, stage)
        verify(engine, stage)


def drain(engine: Engine, stage: Stage) -> None:
    """Pull and publish until nothing is left to do, and nothing comes of looking again."""
    left = """
        SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM publication WHERE status = 'sent')
             + (SELECT count(*) FROM inbox WHERE status <> 'applied')
             + (SELECT count(*) FROM listing WHERE unconfirmed_until IS NOT NULL)
    """
    until = time.monotonic() + 120
    quiet = 0
    while quiet < 4:
        for code in stage.shops:
            pull(stage.runtime, code)
        publish(stage.runtime)
        with engine.connect() as connection:
            quiet = 0 if connection.execute(text(left)).scalar_one() else quiet + 1
        assert time.monotonic() < until, "what is left does not end"
        time.sleep(0.3)


def verify(engine: Engine, stage: Stage) -> None:
    sold: dict[tuple[str, str], Any] = {}
    net: Counter[str] = Counter()
    for code, shop in stage.shops.items():
        for order in shop.orders.values():
            for line in order.lines:
                holder = f"order:{code}:{shop.naming.order(order.number)}"
                sold[holder, shop.naming.line(line.number)] = (line.quantity, line.reversed)
                net[line.sku] += line.quantity - line.reversed
    assert len(sold) > 20
    with engine.connect() as connection:
        lines = connection.execute(text("SELECT holder, line_id, quantity, reversed FROM order_line"))
        assert {(one.holder, one.line_id): (one.quantity, one.reversed) for one in lines} == sold
        assert rebuilding.compare(connection) == []
        assert connection.execute(text("SELECT count(*) FROM reservation_line WHERE oversold > 0")).scalar_one() == 0
        assert connection.execute(text("SELECT count(*) FROM inbox WHERE status <> 'applied'")).scalar_one() == 0
        assert connection.execute(text("SELECT count(*) FROM outbox")).scalar_one() == 0
        assert connection.execute(text("SELECT count(*) FROM publication WHERE status = 'sent'")).scalar_one() == 0
        listings = connection.execute(text("SELECT channel, sku, exposure, unconfirmed_until FROM listing")).all()
    shown = {(code, sku): shop.product(sku).quantity for code, shop in stage.shops.items() for sku in UNITS}
    assert {(one.channel, one.sku): one.exposure for one in listings} == shown
    assert [one for one in listings if one.unconfirmed_until is not None] == []
    for sku, units in UNITS.items():
        assert net[sku] + sum(shown[code, sku] for code in stage.shops) <= units, f"{sku} is sold twice"
    assert sum(net.values()) + sum(shown.values()) >= sum(UNITS.values()) - len(UNITS), "units are stranded"


@pytest.mark.parametrize("place", ["before write", "after write"])
def test_a_number_in_doubt_counts_until_it_is_read_back(
    engine: Engine, database_url: str, nursery: Nursery, place: str
) -> None:
    with two_shops(engine, {"A": 6}, in_doubt=2) as stage:
        worker = nursery.worker(database_url, stage, (place, 1))
        until = time.monotonic() + 120
        while worker.alive() and time.monotonic() < until:
            time.sleep(0.02)
        assert not worker.alive()
        with engine.connect() as connection:
            query = text("SELECT channel, exposure FROM listing WHERE unconfirmed_until IS NOT NULL")
            counted = {row.channel: row.exposure for row in connection.execute(query)}
        worker.kill()
        assert counted
        for code, exposure in counted.items():
            assert exposure >= stage.shops[code].product("A").quantity
        drain(engine, stage)
        assert sum(shop.product("A").quantity for shop in stage.shops.values()) == 6
