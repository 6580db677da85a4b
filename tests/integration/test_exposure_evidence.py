"""What lets an exposure fall: four ways in which it once fell without evidence, found by the simulation."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from inventory import setup
from inventory.publishing.exposure import Answered, Observation, Sending, answered, grow, note_sales, observe, settle
from inventory.words import ChannelMode, WriteMode

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def listing(engine: Engine) -> Iterator[tuple[Connection, int]]:
    """A listing that was seen to show five, and all of it is evidence."""
    with engine.begin() as connection:
        setup.add_items(connection, {"A": ""})
        setup.add_locations(connection, ["main"])
        shop = setup.ChannelSetup("shop", "imitated", WriteMode.ABSOLUTE, ("main",), mode=ChannelMode.LIVE,
                                  settle_seconds=30, in_doubt_seconds=60)  # fmt: skip
        setup.add_channel(connection, shop)
        setup.add_listings(connection, "shop", [("r", "A", 1)])
        number = connection.execute(text("SELECT id FROM listing")).scalar_one()
        see(connection, number, 5, 0, 1)
        settle(connection, "shop", pull_started=at(40))
        assert exposure(connection) == 5
        yield connection, number


def see(connection: Connection, number: int, quantity: int, started: float, ended: float) -> None:
    observe(connection, [Observation(number, quantity, True)], read_started=at(started), read_ended=at(ended))


def lower_to(connection: Connection, number: int, quantity: int, seconds: float) -> None:
    """It is sent, and a second later the channel says that it has applied it."""
    grow(connection, [Sending(number, quantity, quantity)], now=at(seconds))
    answered(connection, [Answered(number, at(seconds), True, 0)], now=at(seconds + 1))


def exposure(connection: Connection) -> int:
    return int(connection.execute(text("SELECT exposure FROM listing")).scalar_one())


def test_a_lowering_that_was_confirmed_and_not_applied_counts_what_is_shown(listing: tuple[Connection, int]) -> None:
    connection, number = listing
    lower_to(connection, number, 0, 100)
    see(connection, number, 5, 103, 104)
    settle(connection, "shop", pull_started=at(200))
    assert exposure(connection) == 5, "it said zero, and showed five"
    see(connection, number, 0, 210, 211)
    assert settle(connection, "shop", pull_started=at(300)) == {"A"}
    assert exposure(connection) == 0


def test_an_answer_alone_is_no_evidence_and_somebody_is_sent_to_look(listing: tuple[Connection, int]) -> None:
    """Whoever had sent it was killed before he read it back."""
    connection, number = listing
    lower_to(connection, number, 2, 100)
    assert settle(connection, "shop", pull_started=at(200)) == {"A"}
    assert exposure(connection) == 7, "all that was live, and all that was sent"
    see(connection, number, 2, 210, 211)
    assert settle(connection, "shop", pull_started=at(250)) == {"A"}
    assert exposure(connection) == 2


def test_a_read_under_way_when_units_were_put_back_is_no_evidence(listing: tuple[Connection, int]) -> None:
    """It saw the counter before a cancellation put a unit back; the cancellation was heard before it was noted."""
    connection, number = listing
    note_sales(connection, {number: 5}, {}, now=at(100))
    assert exposure(connection) == 0
    note_sales(connection, {}, {number: 1}, now=at(105))
    see(connection, number, 0, 103, 107)
    settle(connection, "shop", pull_started=at(200))
    assert exposure(connection) == 1, "the unit is on sale again"
    see(connection, number, 0, 210, 211)
    settle(connection, "shop", pull_started=at(300))
    assert exposure(connection) == 0


@pytest.mark.parametrize(("shown", "left"), [(3, 3), (2, 3), (5, 5)])
def test_a_compare_and_set_takes_off_what_it_lowered_once_that_was_seen(
    listing: tuple[Connection, int], shown: int, left: int
) -> None:
    """Five are exposed and three are set; it is said to be applied. What it shows then says whether it was."""
    connection, number = listing
    grow(connection, [Sending(number, 3, 0)], now=at(100))
    answered(connection, [Answered(number, at(100), True, 2)], now=at(101))
    assert exposure(connection) == 5, "its word alone"
    see(connection, number, shown, 100.5, 101.5)
    assert exposure(connection) == 5, "the look began before the answer"
    see(connection, number, shown, 102, 103)
    assert exposure(connection) == left
    see(connection, number, shown, 104, 105)
    assert exposure(connection) == left, "once"


def test_where_nothing_was_applied_what_was_added_is_taken_back_at_once(listing: tuple[Connection, int]) -> None:
    connection, number = listing
    grow(connection, [Sending(number, 9, 4)], now=at(100))
    assert exposure(connection) == 9
    answered(connection, [Answered(number, at(100), False, 4)], now=at(101))
    assert exposure(connection) == 5
    see(connection, number, 5, 102, 103)
    assert exposure(connection) == 5


def test_another_number_ends_what_was_to_be_seen_of_the_one_before(listing: tuple[Connection, int]) -> None:
    connection, number = listing
    grow(connection, [Sending(number, 3, 0)], now=at(100))
    answered(connection, [Answered(number, at(100), True, 2)], now=at(101))
    grow(connection, [Sending(number, 2, 0)], now=at(102))
    answered(connection, [Answered(number, at(102), False, 0)], now=at(103))
    see(connection, number, 3, 104, 105)
    assert exposure(connection) == 5, "nobody looked between the two: the next pull settles it"
    settle(connection, "shop", pull_started=at(200))
    assert exposure(connection) == 3
