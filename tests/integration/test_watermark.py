"""The watermark: moved by what the channel said, never by a clock that may be wrong."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from inventory import setup
from inventory.channels import UnknownChannel, advance_watermark, begin_watermark, channel_state
from inventory.words import WriteMode

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def channel(engine: Engine) -> Engine:
    with engine.begin() as connection:
        setup.add_locations(connection, ["main"])
        setup.add_channel(connection, setup.ChannelSetup("shop", "x", WriteMode.ABSOLUTE, ("main",)))
    return engine


def watermark_after(engine: Engine, *newest: datetime | None, started: datetime = NOON) -> datetime | None:
    with engine.begin() as connection:
        for one in newest:
            begin_watermark(connection, "shop", started=NOON - timedelta(minutes=10))
            advance_watermark(connection, "shop", one, pull_started=started)
        return channel_state(connection, "shop").watermark


def test_the_first_pull_without_orders_sets_where_it_began(channel: Engine) -> None:
    assert watermark_after(channel, None) == NOON - timedelta(minutes=10)


def test_a_pull_without_orders_does_not_move_it(channel: Engine) -> None:
    """By our clock it could move, but a channel whose clock is behind would then lose its next orders."""
    seen = NOON - timedelta(minutes=3)
    assert watermark_after(channel, seen, None, None) == seen


def test_it_never_goes_back(channel: Engine) -> None:
    assert watermark_after(channel, NOON, NOON - timedelta(hours=1)) == NOON


def test_a_clock_that_runs_ahead_does_not_carry_it_along(channel: Engine) -> None:
    assert watermark_after(channel, NOON + timedelta(days=365)) == NOON


def test_an_unknown_channel_is_named(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(UnknownChannel, match="nowhere"):
        channel_state(connection, "nowhere")
