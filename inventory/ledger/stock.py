"""Changes of stock that are not sales: receipts, adjustments, damage, write-offs, transfers, counts.

The one way to move stock outside of reservations: it serves whoever waits for units first, and marks the
listings that must be computed again.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.catalogue import eligible_locations, existing_items
from inventory.holds.reservation_store import lock_shelf, write_shelf
from inventory.ledger.ledger import InsufficientStock, Move
from inventory.ledger.shelf import Cause
from inventory.publishing.outbox import mark_dirty
from inventory.words import MovementReason, StockState


class UnknownItem(Exception):
    """A movement names a SKU that is not in the catalogue. Nothing was changed."""


def move_stock(connection: Connection, moves: Sequence[Move], *, now: datetime) -> set[str]:
    """Post the movements, all or nothing; returns the SKUs that changed.

    A movement whose event key is in the journal already is skipped. Raises `InsufficientStock`,
    `UnknownItem`.
    """
    skus = {move.sku for move in moves}
    unknown = skus - existing_items(connection, skus)
    if unknown:
        raise UnknownItem(f"not in the catalogue: {', '.join(sorted(unknown)[:5])}; nothing was changed")
    shelf = lock_shelf(connection, skus, eligible_locations(connection), now=now)
    posted = _posted(connection, moves)
    new = [move for key, move in {move.event_key: move for move in moves}.items() if key not in posted]
    for move in new:
        if move.from_state is StockState.AVAILABLE:
            left = shelf.available.setdefault(move.sku, {}).get(move.location, 0) - move.quantity
            if left < 0:
                raise InsufficientStock(
                    f"{move.quantity} of {move.sku} cannot leave {move.location}: "
                    f"{left + move.quantity} are available; nothing was changed"
                )
            shelf.available[move.sku][move.location] = left
        shelf.moves.append(move)
        if move.to_state is StockState.AVAILABLE:
            cause = Cause(move.event_key, move.reason, move.source, move.occurred_at, move.reference)
            shelf.put(move.sku, move.to_location or move.location, move.quantity, cause)
    write_shelf(connection, shelf, now=now)
    # Expired holds may have given back units of other SKUs as well.
    changed = {move.sku for move in shelf.moves}
    mark_dirty(connection, changed, now=now)
    return changed


def _posted(connection: Connection, moves: Sequence[Move]) -> set[str]:
    rows = connection.execute(
        text("SELECT event_key FROM movement WHERE event_key = ANY(:keys)"),
        {"keys": [move.event_key for move in moves]},
    )
    return {row.event_key for row in rows}


def receive(
    connection: Connection, lines: Sequence[tuple[str, str, int]], *, receipt: str, actor: str = "", now: datetime
) -> set[str]:
    """Goods from a supplier are on the shelf: (SKU, location, units). `receipt` makes it repeatable.

    A SKU may come on several lines; they are added up.
    """
    merged: dict[tuple[str, str], int] = defaultdict(int)
    for sku, location, units in lines:
        merged[sku, location] += units
    return move_stock(
        connection,
        [
            Move(
                sku=sku,
                location=location,
                from_state=StockState.SUPPLIER,
                to_state=StockState.AVAILABLE,
                quantity=units,
                reason=MovementReason.RECEIPT,
                source="receipt",
                actor=actor,
                reference=receipt,
                event_key=f"receipt:{receipt}:{sku}:{location}",
                occurred_at=now,
            )
            for (sku, location), units in merged.items()
            if units
        ],
        now=now,
    )
