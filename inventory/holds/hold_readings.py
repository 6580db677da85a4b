"""What channels that ask first want to know: what became of a hold, and what is free. Nothing is locked."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.catalogue import eligible_locations, existing_items
from inventory.holds.pool import promised_units
from inventory.holds.reservations import (
    HOLD_COLUMNS,
    HeldLine,
    HoldRequest,
    HoldState,
    explode,
    fill,
    state_of,
)
from inventory.ledger.ledger import plan_by_key
from inventory.words import StockState


def read_holds(connection: Connection, holders: Sequence[str], *, now: datetime) -> dict[str, HoldState]:
    """The holds as they are; those that never were are absent."""
    rows = connection.execute(
        text(f"SELECT {HOLD_COLUMNS} FROM reservation WHERE holder = ANY(:holders) AND kind = 'hold'"),  # noqa: S608
        {"holders": list(holders)},
    )
    return {row.holder: state_of(row, now) for row in rows}


def free_units(
    connection: Connection, channel: str, skus: Collection[str], listings: Collection[str], *, now: datetime
) -> list[HeldLine]:
    """What each name alone could be held of by this channel now (`free`), in whole units of the name.

    A moment later it may be another number: only a hold keeps units. Names must differ.
    """
    plan_by_key(connection)
    every = HoldRequest("", channel, tuple((sku, 1) for sku in skus), timedelta(1), tuple((ref, 1) for ref in listings))
    wanted = explode(connection, {every.holder: every})[every.holder]
    parts = {sku for one in wanted for sku in one.pieces}
    shelf = _unheld(connection, parts, eligible_locations(connection).get(channel, ()), now)
    promised = promised_units(connection, parts)
    left = {sku: max(0, shelf.get(sku, 0) - promised.get(sku, 0)) for sku in parts}
    known = existing_items(connection, parts)
    found = []
    for one in wanted:
        [line] = fill([one], dict(left))
        found.append(replace(line, asked=0, held=0, known=line.known and one.pieces.keys() <= known))
    return found


def _unheld(connection: Connection, skus: Collection[str], locations: Sequence[str], now: datetime) -> dict[str, int]:
    """Pieces available at these locations, with those of holds whose time is over."""
    rows = connection.execute(
        text(
            """
            SELECT sku, sum(units)::bigint AS units FROM (
                SELECT sku, quantity AS units FROM balance
                WHERE sku = ANY(:skus) AND location = ANY(:locations) AND state = :available
                UNION ALL
                SELECT line.sku, line.held FROM reservation_line AS line JOIN reservation USING (holder)
                WHERE line.sku = ANY(:skus) AND line.location = ANY(:locations)
                  AND reservation.status = 'live' AND reservation.expires_at <= :now
            ) AS parts GROUP BY sku
            """
        ),
        {"skus": sorted(skus), "locations": list(locations), "available": StockState.AVAILABLE.value, "now": now},
    )
    return {row.sku: row.units for row in rows}
