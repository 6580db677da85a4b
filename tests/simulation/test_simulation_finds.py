"""Rules that are broken on purpose are found within a few seeds, and a failing seed is made small."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from simulation_ground import swept_ground  # noqa: F401 - a fixture
from sqlalchemy import Connection, text

from adapters.channels.protocol import OrderDocument
from inventory.orders import inbox, orders
from inventory.publishing import exposure, publications
from onhand.simulation.drawing import draw
from onhand.simulation.ground import Ground
from onhand.simulation.playing import play
from onhand.simulation.scenario import Scenario, size
from onhand.simulation.shrinking import shrink
from tasks.publishing import read
from tasks.selling import pull

FEW = 8
HALF_A_DAY = 0.5


def sends_before_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number leaves without its worst case being counted."""
    real = exposure.grow

    def grow(connection: Connection, sendings: Any, *, now: datetime) -> Any:
        return real(connection, [replace(one, growth=0) for one in sendings], now=now)

    monkeypatch.setattr(publications, "grow", grow)


def applies_a_page_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page sold is taken from the exposure twice."""
    real = exposure.note_sales

    def note(connection: Connection, sold: Mapping[int, int], put_back: Mapping[int, int], *, now: datetime) -> Any:
        return real(connection, {one: 2 * units for one, units in sold.items()}, put_back, now=now)

    monkeypatch.setattr(orders, "note_sales", note)


def shrinks_without_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is seen counts at once, although orders from before may be unread."""
    real = exposure.observe

    def observe(connection: Connection, observations: Any, *, read_started: datetime, read_ended: datetime) -> None:
        real(connection, observations, read_started=read_started, read_ended=read_ended)
        connection.execute(text("UPDATE listing SET exposure = least(exposure, observed)"))

    monkeypatch.setattr(read, "observe", observe)


def loses_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last order of a page is not stored."""
    real = inbox.store

    def store(connection: Connection, channel: str, documents: list[OrderDocument], *, now: datetime) -> int:
        return real(connection, channel, documents[:-1], now=now)

    monkeypatch.setattr(inbox, "store", store)


def settles_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen counts from the next pull on, although an order may be hidden for longer."""
    real = exposure.settle

    def settle(connection: Connection, channel: str, *, pull_started: datetime) -> set[str]:
        return real(connection, channel, pull_started=pull_started + timedelta(hours=1))

    monkeypatch.setattr(pull, "settle", settle)


def first_failing(start: int, ground: Ground) -> tuple[Scenario, str]:
    for seed in range(start, start + FEW):
        scenario = draw(seed, HALF_A_DAY)
        if violation := play(scenario, ground).violation:
            return scenario, violation
    raise AssertionError("nobody noticed")


@pytest.mark.parametrize(
    ("mutation", "start"),
    [(sends_before_it_counts, 11), (shrinks_without_evidence, 1), (loses_an_event, 1), (settles_too_early, 72)],
)
def test_a_broken_rule_is_found(
    mutation: Callable[[pytest.MonkeyPatch], None],
    start: int,
    monkeypatch: pytest.MonkeyPatch,
    swept_ground: Ground,  # noqa: F811
) -> None:
    mutation(monkeypatch)
    assert "Broken" in first_failing(start, swept_ground)[1]


def test_a_failing_seed_is_made_small(monkeypatch: pytest.MonkeyPatch, swept_ground: Ground) -> None:  # noqa: F811
    applies_a_page_twice(monkeypatch)
    scenario, first = first_failing(1, swept_ground)
    small, violation, tries = shrink(scenario, first, lambda one: play(one, swept_ground).violation, tries=10)
    assert tries <= 10
    assert size(small) < size(scenario)
    assert len(small.tell()) < len(scenario.tell())
    assert play(small, swept_ground).violation == violation


def test_a_seed_is_played_the_same_each_time(swept_ground: Ground) -> None:  # noqa: F811
    told = [play(draw(7, HALF_A_DAY), swept_ground).history for _ in range(2)]
    assert told[0] == told[1]
