"""Units that are gone for good: broken, spoilt, stolen, thrown away."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.catalogue import existing_items
from inventory.ledger.ledger import Move, lock_balances
from inventory.ledger.stock import move_stock
from inventory.words import MovementReason, StockState

FROM = (StockState.AVAILABLE, StockState.DAMAGED, StockState.QUARANTINED)
"""Where units can be written off from: what is promised to a buyer is released first."""
SOURCE = "write_off"


@dataclass(frozen=True, slots=True)
class Gone:
    sku: str
    location: str
    state: StockState
    quantity: int


@dataclass(slots=True)
class WrittenOff:
    rows: int = 0
    units: int = 0
    repeated: int = 0
    refused: list[tuple[Gone, str]] = field(default_factory=list)


_NOTE = text(
    """
    INSERT INTO write_off (reference, sku, location, state, quantity, actor, reason, at)
    SELECT :reference, sku, location, state, quantity, :actor, :reason, :now
    FROM unnest(CAST(:skus AS text[]), CAST(:locations AS text[]), CAST(:states AS text[]),
                CAST(:quantities AS int[])) AS given (sku, location, state, quantity)
    """
)


def written_off(connection: Connection, reference: str) -> dict[tuple[str, str, StockState], int]:
    """{(SKU, location, state): units} that this reference has written off."""
    rows = connection.execute(
        text("SELECT sku, location, state, quantity FROM write_off WHERE reference = :reference"),
        {"reference": reference},
    )
    return {(row.sku, row.location, StockState(row.state)): row.quantity for row in rows}


def write_off(
    connection: Connection, reference: str, rows: Sequence[Gone], *, actor: str, reason: str, now: datetime
) -> WrittenOff:
    """Write these units off. A reference does so once for each SKU, location and state; what is not there is refused
    and named, the others go."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 10))"), {"name": reference})
    done = written_off(connection, reference)
    skus = {row.sku for row in rows}
    known = existing_items(connection, skus)
    locked = lock_balances(connection, known)
    result, going = WrittenOff(), []
    for row in {(row.sku, row.location, row.state): row for row in rows}.values():
        place = (row.sku, row.location, row.state.value)
        before = done.get((row.sku, row.location, row.state))
        if before == row.quantity:
            result.repeated += 1
            continue
        why = ""
        if before is not None:
            why = f"{reference} wrote {before} of it off already; name another reference"
        elif row.sku not in known:
            why = "the SKU is not in the catalogue"
        elif row.quantity < 1:
            why = "a quantity is a whole number, 1 or more"
        elif row.quantity > locked.get(place, 0):
            why = f"{locked.get(place, 0)} are {row.state} at {row.location}"
        if why:
            result.refused.append((row, why))
        else:
            going.append(row)
    if going:
        move_stock(connection, [_move(row, reference, actor, reason, now) for row in going], now=now)
        connection.execute(
            _NOTE,
            {
                "reference": reference,
                "skus": [row.sku for row in going],
                "locations": [row.location for row in going],
                "states": [row.state.value for row in going],
                "quantities": [row.quantity for row in going],
                "actor": actor,
                "reason": reason,
                "now": now,
            },
        )
    result.rows, result.units = len(going), sum(row.quantity for row in going)
    return result


def _move(row: Gone, reference: str, actor: str, reason: str, now: datetime) -> Move:
    return Move(
        sku=row.sku,
        location=row.location,
        from_state=row.state,
        to_state=StockState.WRITTEN_OFF,
        quantity=row.quantity,
        reason=MovementReason.WRITE_OFF,
        source=SOURCE,
        event_key=f"write-off:{reference}:{row.sku}:{row.location}:{row.state}",
        occurred_at=now,
        actor=actor,
        reference=f"{reference}: {reason}",
    )
