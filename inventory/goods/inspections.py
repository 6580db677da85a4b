"""What an inspection of returned goods decides: on sale again, damaged, or written off."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.goods.returns import SOURCE, Booked, Refused, lock_parcels
from inventory.ledger.ledger import Move, lock_balances
from inventory.ledger.stock import move_stock
from inventory.words import MovementReason, StockState


@dataclass(frozen=True, slots=True)
class Inspected:
    parcel: str
    sku: str
    available: int
    damaged: int
    written_off: int

    @property
    def units(self) -> int:
        return self.available + self.damaged + self.written_off


@dataclass(frozen=True, slots=True)
class Waiting:
    """Units of a parcel that wait for an inspection."""

    parcel: str
    sku: str
    location: str
    units: int
    since: datetime


_DECIDE = text(
    """
    WITH noted AS (
        INSERT INTO return_inspection (sheet, parcel, sku, available, damaged, written_off, actor, at)
        VALUES (:sheet, :parcel, :sku, :available, :damaged, :written_off, :actor, :now)
    )
    UPDATE return_line SET waiting = waiting - :units WHERE parcel = :parcel AND sku = :sku
    """
)


def inspect(connection: Connection, sheet: str, rows: Sequence[Inspected], *, actor: str, now: datetime) -> Booked:
    """What an inspection found: units that wait become available, damaged or written off. A sheet decides on a SKU of a
    parcel once; the same row again changes nothing, and what cannot be is refused and named."""
    result = Booked()
    lock_parcels(connection, {row.parcel for row in rows})
    parcels = sorted({row.parcel for row in rows})
    waiting = {
        (row.parcel, row.sku): row
        for row in connection.execute(
            text("SELECT parcel, sku, location, waiting FROM return_line WHERE parcel = ANY(:parcels)"),
            {"parcels": parcels},
        )
    }
    done = {
        (row.parcel, row.sku): Inspected(*row)
        for row in connection.execute(
            text("SELECT parcel, sku, available, damaged, written_off FROM return_inspection WHERE sheet = :sheet"),
            {"sheet": sheet},
        )
    }
    locked = lock_balances(connection, {row.sku for row in rows})
    moves: list[Move] = []
    for row in {(row.parcel, row.sku): row for row in rows}.values():
        key = (row.parcel, row.sku)
        line, before = waiting.get(key), done.get(key)
        if before == row:
            result.repeated += 1
            continue
        place = (row.sku, line.location if line else "", StockState.QUARANTINED.value)
        why = ""
        if before is not None:
            why = f"sheet {sheet} decided otherwise on it already; name another sheet"
        elif line is None:
            why = "this parcel brought none of it"
        elif row.units > line.waiting:
            why = f"{line.waiting} of it wait for an inspection"
        elif row.units > locked.get(place, 0):
            why = f"{locked.get(place, 0)} of it are quarantined at {line.location}: somebody released them?"
        if why or line is None:
            result.refused.append(Refused(row.parcel, row.sku, why))
            continue
        locked[place] -= row.units
        moves += _decided(row, line.location, sheet, actor, now)
        connection.execute(
            _DECIDE,
            {
                "sheet": sheet, "parcel": row.parcel, "sku": row.sku, "available": row.available,
                "damaged": row.damaged, "written_off": row.written_off, "units": row.units, "actor": actor, "now": now,
            },
        )  # fmt: skip
        result.rows += 1
        result.units += row.units
    if moves:
        move_stock(connection, moves, now=now)
    return result


def _decided(row: Inspected, place: str, sheet: str, actor: str, now: datetime) -> list[Move]:
    parts = (
        (StockState.AVAILABLE, row.available, MovementReason.RESTOCK),
        (StockState.DAMAGED, row.damaged, MovementReason.DAMAGE),
        (StockState.WRITTEN_OFF, row.written_off, MovementReason.WRITE_OFF),
    )
    return [
        Move(
            sku=row.sku,
            location=place,
            from_state=StockState.QUARANTINED,
            to_state=state,
            quantity=units,
            reason=reason,
            source=SOURCE,
            event_key=f"inspected:{sheet}:{row.parcel}:{row.sku}:{state}",
            occurred_at=now,
            actor=actor,
            reference=row.parcel,
        )
        for state, units, reason in parts
        if units
    ]


_WAITING = text(
    """
    WITH queue AS (
        SELECT parcel, sku, location, waiting, at,
               sum(waiting) OVER (PARTITION BY sku, location ORDER BY at, parcel) - waiting AS earlier
        FROM return_line WHERE waiting > 0
    )
    SELECT parcel, queue.sku, queue.location, CAST(least(waiting, balance.quantity - earlier) AS int) AS units, at
    FROM queue JOIN balance ON balance.sku = queue.sku AND balance.location = queue.location
         AND balance.state = 'quarantined'
    WHERE balance.quantity > earlier AND (CAST(:before AS timestamptz) IS NULL OR at < :before)
    ORDER BY at, parcel, queue.sku
    """
)


def waiting_parcels(connection: Connection, *, before: datetime | None = None) -> list[Waiting]:
    """What waits for an inspection, the oldest first; with `before` only what came earlier than that. What is no longer
    quarantined, because somebody released it otherwise, waits for nothing."""
    rows = connection.execute(_WAITING, {"before": before})
    return [Waiting(*row) for row in rows]
