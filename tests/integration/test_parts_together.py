"""Where the parts meet: what one of them noted must not become untrue by what another does next."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from fake_channel import bench
from shops import LOCATION, Stage, two_shops
from sqlalchemy import Engine, text

from expectations import gate
from inventory import setup
from inventory.outages import pauses
from inventory.publishing.exposure import Observation, observe
from inventory.publishing.outbox import mark_dirty
from inventory.words import PauseOwner
from tasks.outages.lift import resume_channel
from tasks.outages.pause import pause_channel
from tasks.publishing.publish import publish
from tasks.selling.pull import pull

SPARE = "gid://shopify/Location/2"
SETTLE = 60
"""Seconds until an order is certain to be seen."""


@pytest.fixture
def stage(engine: Engine) -> Iterator[Stage]:
    with two_shops(engine, {"A": 10}, settle=SETTLE, locations=(LOCATION, SPARE)) as made:
        made.runtime.check = gate.recheck
        yield made


def later(stage: Stage, seconds: float) -> None:
    ahead = timedelta(seconds=seconds)
    before = stage.runtime.now
    stage.runtime = replace(stage.runtime, now=lambda: before() + ahead)


def trade(stage: Stage, times: int = 3) -> None:
    for _ in range(times):
        for code in stage.shops:
            pull(stage.runtime, code)
        publish(stage.runtime)


def exposures(stage: Stage) -> dict[str, int]:
    with stage.runtime.engine.connect() as connection:
        return {row.channel: row.exposure for row in connection.execute(text("SELECT channel, exposure FROM listing"))}


def test_what_was_seen_behind_the_switch_is_forgotten_when_it_is_turned_back(stage: Stage) -> None:
    trade(stage)
    later(stage, 2 * SETTLE)
    trade(stage)
    assert exposures(stage) == {"shopify": 5, "website": 5}
    assert stage.shops["shopify"].product("A").quantity == 5
    pause_channel(stage.runtime, "shopify", owner=PauseOwner.PERSON, actor="Wanda", reason="a bad feed")
    resume_channel(stage.runtime, "shopify", by=PauseOwner.PERSON, actor="Walter", reason="it is mended")
    later(stage, 2 * SETTLE)
    pull(stage.runtime, "shopify")
    assert stage.shops["shopify"].product("A").quantity == 5
    assert exposures(stage)["shopify"] == 5, "it is on sale with five: they are not free for the others"


def test_what_the_pool_may_have_is_noted_for_all_that_share_a_bundle(engine: Engine) -> None:
    """A note from an earlier policy would let the pool sell what a blind listing is given now."""
    at = bench(engine, {"A": 10, "B": 10}, shop=True, site=False)
    with engine.begin() as connection:
        connection.execute(text("UPDATE channel SET asks_first = true WHERE code = 'shop'"))
        setup.add_items(connection, {"KIT": ""})
        setup.add_bundle(connection, "KIT", {"A": 1, "B": 1})
        connection.execute(text("INSERT INTO pool_kept (sku, pieces, safety) VALUES ('A', 0, 0)"))
        connection.execute(text("DELETE FROM outbox"))
        mark_dirty(connection, {"KIT"}, now=at.clock())
    publish(at.runtime)
    assert at.one("SELECT exposure FROM listing WHERE ref = 'site-A'") > 0
    assert at.one("SELECT pieces FROM pool_kept WHERE sku = 'A'") is None


def test_a_look_that_began_behind_the_switch_ends_before_it(stage: Stage) -> None:
    """A publisher notes what it read while the pause is being lifted: by then it is on sale."""
    engine = stage.runtime.engine
    trade(stage)
    later(stage, 2 * SETTLE)
    trade(stage)
    pause_channel(stage.runtime, "shopify", owner=PauseOwner.PERSON, actor="Wanda", reason="a bad feed")
    later(stage, 1)
    now = stage.runtime.now()
    with engine.connect() as connection:
        [number] = connection.execute(text("SELECT id FROM listing WHERE channel = 'shopify'")).scalars()

    def look() -> None:
        with engine.begin() as other:
            observe(other, [Observation(number, 5, True)], read_started=now, read_ended=now)

    with ThreadPoolExecutor(1) as pool, engine.connect() as connection:
        lifting = pauses.liftable(connection, "shopify", PauseOwner.PERSON)
        assert pauses.begin_lifting(connection, lifting, {number: 5}, now=now) == []
        looking = pool.submit(look)
        waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not looking.done():
            with engine.connect() as watching:
                if watching.execute(waits).scalar_one():
                    break
        connection.commit()
        looking.result()
    with engine.connect() as connection:
        row = connection.execute(text("SELECT exposure, settling FROM listing WHERE id = :id"), {"id": number}).one()
    assert (row.exposure, row.settling) in {(5, None), (5, 5)}
