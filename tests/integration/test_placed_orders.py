"""A channel whose search for changes may miss a new order: nothing settles until what was placed was searched for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fake_channel import Bench, FakeChannel, bench, line, order, page
from sqlalchemy import Engine

from adapters.channels.protocol import OrderPage
from inventory.publishing.exposure import Observation, observe
from tasks.publishing.publish import publish
from tasks.selling.pull import pull


@dataclass
class HidesChanges(FakeChannel):
    """`placed` is what the next search by the instant of placing finds; None: there is no allowance for it."""

    placed: Sequence[OrderPage] | None = None
    asked_placed_since: list[datetime] = field(default_factory=list)

    def placed_orders(self, placed_since: datetime) -> list[OrderPage] | None:
        self.asked_placed_since.append(placed_since)
        return None if self.placed is None else list(self.placed)


def selling(engine: Engine) -> tuple[Bench, HidesChanges]:
    """Four units of A on sale at a channel that hides changes, and all of it settled."""
    stage = bench(engine, {"A": 4}, amazon=False)
    channel = HidesChanges("amazon", False, {"amazon-A": 0}, placed=[])
    stage.channels["amazon"] = channel
    for _ in range(3):
        publish(stage.runtime)
        stage.clock.forward(100)
        pull(stage.runtime, "amazon")
    publish(stage.runtime)
    assert channel.shown == {"amazon-A": 4}
    assert exposure(stage) == 4
    return stage, channel


def exposure(stage: Bench) -> int:
    return int(stage.one("SELECT exposure FROM listing"))


def three_sold_unseen(stage: Bench, channel: HidesChanges) -> None:
    """Somebody buys three; the number that is read afterwards shows it, the order is in no search for changes."""
    channel.shown["amazon-A"] = 1
    seen = [Observation(int(stage.one("SELECT id FROM listing")), 1, True)]
    with stage.engine.begin() as connection:
        observe(connection, seen, read_started=stage.clock(), read_ended=stage.clock())
    stage.clock.forward(100)


def test_without_a_search_for_what_was_placed_the_worst_case_stays(engine: Engine) -> None:
    stage, channel = selling(engine)
    three_sold_unseen(stage, channel)
    channel.placed = None
    report = pull(stage.runtime, "amazon")
    assert report.placed is False
    assert exposure(stage) == 4, "three may be sold unseen"


def test_an_order_found_by_when_it_was_placed_counts_before_anything_settles(engine: Engine) -> None:
    stage, channel = selling(engine)
    placed_at = stage.clock()
    three_sold_unseen(stage, channel)
    channel.placed = [page(order("1", placed_at, line("1", "amazon-A", 3)))]
    assert pull(stage.runtime, "amazon").placed is True
    assert exposure(stage) == 1
    assert stage.one("SELECT sum(quantity) FROM order_line") == 3


def test_after_an_hour_without_such_a_search_the_ordinary_one_is_believed(engine: Engine) -> None:
    """An order would have had to be changed just before every look of that hour."""
    stage, channel = selling(engine)
    three_sold_unseen(stage, channel)
    channel.placed = None
    stage.clock.forward(3_400)
    pull(stage.runtime, "amazon")
    assert exposure(stage) == 4
    stage.clock.forward(200)
    pull(stage.runtime, "amazon")
    assert exposure(stage) == 1


def test_the_search_goes_on_where_the_last_one_was_however_many_pulls_had_none(engine: Engine) -> None:
    stage, channel = selling(engine)
    before = stage.one("SELECT placed_watermark FROM channel")
    channel.placed = None
    for number in range(5):
        stage.clock.forward(600)
        channel.pages = [page(order(str(number), stage.clock(), line(str(number), "amazon-A", 0), test=True))]
        pull(stage.runtime, "amazon")
    assert stage.one("SELECT watermark - placed_watermark > interval '30 minutes' FROM channel")
    channel.placed = []
    stage.clock.forward(600)
    pull(stage.runtime, "amazon")
    assert channel.asked_placed_since[-1] == before - timedelta(seconds=30)
    assert stage.one("SELECT watermark = placed_watermark FROM channel")
