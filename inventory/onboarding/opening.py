"""Opening stock: what a seller says lies on the shelf becomes the ledger's first movements, or a correction of them.

Each row posted is also noted by its reference, SKU and location, so that the same file posts nothing twice, rows of
zero included. The gate `stock_balances` comes before.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.ledger.ledger import Move, lock_balances
from inventory.ledger.stock import move_stock
from inventory.words import ON_HAND, MovementReason, StockState

OPENING = "opening"
"""Reference of all that is not a correction: a SKU is opened once a location."""

Place = tuple[str, str]
"""(SKU, location)"""


@dataclass(frozen=True, slots=True)
class Opened:
    sku: str
    location: str
    quantity: int
    """Units that lie there, whether promised to a buyer or not."""


@dataclass(frozen=True, slots=True)
class KnownStock:
    """What the ledger says of some SKUs before they are opened."""

    posted: dict[Place, int]
    """Under the given reference already: the quantity."""
    moved: frozenset[str]
    """SKUs with a movement that is no opening."""
    on_hand: dict[Place, int]
    available: dict[Place, int]
    bundles: frozenset[str]


@dataclass(frozen=True, slots=True)
class PostedStock:
    new: int
    repeated: int
    """Rows that had been posted before: nothing was changed for them."""
    units: int
    """Net units by which the stock grew."""
    short: frozenset[Opened]
    """Corrections that would take away what was promised meanwhile. Not posted."""


def known_stock(connection: Connection, skus: Collection[str], reference: str) -> KnownStock:
    given = {"skus": sorted(set(skus)), "reference": reference}
    posted = connection.execute(
        text("SELECT sku, location, quantity FROM opening_balance WHERE reference = :reference AND sku = ANY(:skus)"),
        given,
    )
    moved = connection.execute(
        text("SELECT DISTINCT sku FROM movement WHERE sku = ANY(:skus) AND NOT starts_with(event_key, 'opening:')"),
        given,
    )
    bundles = connection.execute(
        text("SELECT DISTINCT bundle_sku AS sku FROM bundle_component WHERE bundle_sku = ANY(:skus)"), given
    )
    held = connection.execute(text("SELECT sku, location, state, quantity FROM balance WHERE sku = ANY(:skus)"), given)
    on_hand, available = _shelves({(row.sku, row.location, row.state): row.quantity for row in held})
    return KnownStock(
        {(row.sku, row.location): row.quantity for row in posted},
        frozenset(row.sku for row in moved),
        on_hand,
        available,
        frozenset(row.sku for row in bundles),
    )


def _shelves(balances: dict[tuple[str, str, str], int]) -> tuple[dict[Place, int], dict[Place, int]]:
    on_hand: dict[Place, int] = {}
    available: dict[Place, int] = {}
    for (sku, location, state), quantity in balances.items():
        if state in ON_HAND:
            on_hand[sku, location] = on_hand.get((sku, location), 0) + quantity
        if state == StockState.AVAILABLE:
            available[sku, location] = quantity
    return on_hand, available


_NOTE = text(
    """
    INSERT INTO opening_balance (reference, sku, location, quantity, posted, actor, reason, at)
    SELECT :reference, sku, location, quantity, posted, :actor, :reason, :now
    FROM unnest(CAST(:skus AS text[]), CAST(:locations AS text[]), CAST(:quantities AS bigint[]),
                CAST(:posted AS bigint[])) AS given (sku, location, quantity, posted)
    ORDER BY sku, location
    ON CONFLICT (reference, sku, location) DO NOTHING
    RETURNING sku, location
    """
)


def post_stock(
    connection: Connection, rows: Sequence[Opened], *, reference: str, actor: str, reason: str, now: datetime
) -> PostedStock:
    """Post these rows: under `OPENING` as receipts, under any other reference as adjustments by the difference to
    what is on hand. Raises UnknownItem."""
    locked = lock_balances(connection, {row.sku for row in rows})
    on_hand, available = _shelves(locked)
    correction = reference != OPENING
    short = frozenset(
        row
        for row in rows
        if correction
        and on_hand.get((row.sku, row.location), 0) - row.quantity > available.get((row.sku, row.location), 0)
    )
    changes = {
        (row.sku, row.location): (row, row.quantity - (on_hand.get((row.sku, row.location), 0) if correction else 0))
        for row in rows
        if row not in short
    }
    ordered = list(changes.values())
    noted = connection.execute(
        _NOTE,
        {
            "reference": reference,
            "skus": [row.sku for row, _ in ordered],
            "locations": [row.location for row, _ in ordered],
            "quantities": [row.quantity for row, _ in ordered],
            "posted": [units for _, units in ordered],
            "actor": actor,
            "reason": reason,
            "now": now,
        },
    ).all()
    new = [changes[row.sku, row.location] for row in noted]
    moves = [_move(row, units, reference, actor, reason, now) for row, units in new if units]
    if moves:
        move_stock(connection, moves, now=now)
    return PostedStock(len(new), len(ordered) - len(new), sum(units for _, units in new), short)


def _move(row: Opened, units: int, reference: str, actor: str, reason: str, now: datetime) -> Move:
    opening = reference == OPENING
    outside = StockState.SUPPLIER if opening else StockState.COUNT_GAIN if units > 0 else StockState.COUNT_LOSS
    gains = units > 0
    return Move(
        sku=row.sku,
        location=row.location,
        from_state=outside if gains else StockState.AVAILABLE,
        to_state=StockState.AVAILABLE if gains else outside,
        quantity=abs(units),
        reason=MovementReason.RECEIPT if opening else MovementReason.ADJUSTMENT,
        source="open_balances",
        event_key=f"opening:{row.sku}:{row.location}"
        if opening
        else f"correction:{reference}:{row.sku}:{row.location}",
        occurred_at=now,
        actor=actor,
        reference=reference if opening else f"{reference}: {reason}",
    )
