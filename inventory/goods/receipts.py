"""Goods from suppliers: what is ordered is `inbound`, what arrives leaves it, line by line and never more than once.

A purchase that comes in several cartons is received in several receipts. What arrives sound is available, damaged and
doubtful units are kept apart. The gate `receipts` comes before: what it lets through beyond the order was approved.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.ledger.ledger import Move
from inventory.ledger.stock import move_stock
from inventory.words import MovementReason, StockState

SOURCE = "receipt"

PurchaseKey = tuple[str, str]
"""(purchase, SKU)"""
ReceiptKey = tuple[str, str, str]
"""(purchase, SKU, location) within one receipt"""


@dataclass(frozen=True, slots=True)
class Expected:
    """A line of a purchase as it is to be."""

    purchase: str
    sku: str
    supplier: str
    location: str
    ordered: int
    promised_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ordered:
    """A line of a purchase as the ledger has it."""

    purchase: str
    sku: str
    supplier: str
    location: str
    ordered: int
    received: int
    promised_at: datetime | None
    changes: int

    @property
    def missing(self) -> int:
        return self.ordered - self.received


@dataclass(frozen=True, slots=True)
class Received:
    """One row of a receipt. `purchase` empty: nobody had ordered it."""

    purchase: str
    sku: str
    location: str
    sound: int
    damaged: int
    quarantined: int

    @property
    def key(self) -> ReceiptKey:
        return self.purchase, self.sku, self.location

    @property
    def units(self) -> int:
        return self.sound + self.damaged + self.quarantined


@dataclass(frozen=True, slots=True)
class Change:
    """What a call did to lines of purchases."""

    new: int
    changed: int
    repeated: int
    units: int
    """By which `inbound` grew; negative: it shrank."""


_LINES = text(
    "SELECT purchase, sku, supplier, location, ordered, received, promised_at, changes FROM purchase_line "
    "WHERE purchase = ANY(:purchases) ORDER BY purchase, sku"
)
_LOCKED = text(f"{_LINES.text} FOR UPDATE")


def ordered_lines(
    connection: Connection, purchases: Collection[str], *, lock: bool = False
) -> dict[PurchaseKey, Ordered]:
    """Every line of these purchases; with `lock` nobody else changes or receives them until the transaction ends."""
    rows = connection.execute(_LOCKED if lock else _LINES, {"purchases": sorted(set(purchases))})
    return {(row.purchase, row.sku): Ordered(*row) for row in rows}


def receipt_lines(connection: Connection, receipt: str) -> dict[ReceiptKey, Received]:
    """What a receipt has booked already."""
    rows = connection.execute(
        text("SELECT purchase, sku, location, sound, damaged, quarantined FROM receipt_line WHERE receipt = :receipt"),
        {"receipt": receipt},
    )
    return {(row.purchase, row.sku, row.location): Received(*row) for row in rows}


_EXPECT = text(
    """
    INSERT INTO purchase_line (purchase, sku, supplier, location, ordered, received, promised_at, changes, actor,
                               updated_at)
    SELECT purchase, sku, supplier, location, ordered, 0, promised_at, 1, :actor, :now
    FROM unnest(CAST(:purchases AS text[]), CAST(:skus AS text[]), CAST(:suppliers AS text[]),
                CAST(:locations AS text[]), CAST(:ordered AS int[]), CAST(:promised AS timestamptz[]))
         AS given (purchase, sku, supplier, location, ordered, promised_at)
    ORDER BY purchase, sku
    ON CONFLICT (purchase, sku) DO UPDATE
    SET ordered = EXCLUDED.ordered, supplier = EXCLUDED.supplier, actor = EXCLUDED.actor,
        updated_at = EXCLUDED.updated_at, changes = purchase_line.changes + 1,
        promised_at = coalesce(EXCLUDED.promised_at, purchase_line.promised_at)
    """
)


@dataclass(frozen=True, slots=True)
class BookedReceipt:
    rows: int
    units: int
    late: tuple[Received, ...]
    """Rows for which the purchase has no longer room: another receipt was quicker. Not booked."""


class NotExpectable(ValueError):
    """A line of a purchase cannot become what was said; nothing was changed."""


def expect(connection: Connection, lines: Sequence[Expected], *, actor: str, now: datetime) -> Change:
    """These are the lines of purchases now: what is missing of them is inbound. A line that says what is known already
    changes nothing, a smaller quantity gives up the rest. Raises NotExpectable, UnknownItem."""
    # Two that begin the same purchase at once must not both count it as new: they wait for each other here.
    for purchase in sorted({line.purchase for line in lines}):
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7))"), {"name": purchase})
    known = ordered_lines(connection, {line.purchase for line in lines}, lock=True)
    moves, changed, units, new = [], [], 0, 0
    for line in {(line.purchase, line.sku): line for line in lines}.values():
        before = known.get((line.purchase, line.sku))
        if before is None:
            if line.ordered < 1:
                raise NotExpectable(f"{line.purchase}/{line.sku}: nothing is ordered")
            new += 1
        else:
            _check_change(line, before)
            promised = line.promised_at or before.promised_at
            if (line.ordered, line.supplier, promised) == (before.ordered, before.supplier, before.promised_at):
                continue
        changed.append(line)
        more = line.ordered - (before.ordered if before else 0)
        units += more
        if more:
            moves.append(_expected(line, more, before.changes if before else 0, actor, now))
    if moves:
        move_stock(connection, moves, now=now)
    if changed:
        connection.execute(
            _EXPECT,
            {
                "purchases": [line.purchase for line in changed],
                "skus": [line.sku for line in changed],
                "suppliers": [line.supplier for line in changed],
                "locations": [line.location for line in changed],
                "ordered": [line.ordered for line in changed],
                "promised": [line.promised_at for line in changed],
                "actor": actor,
                "now": now,
            },
        )
    return Change(new, len(changed) - new, len(lines) - len(changed), units)


def change_fault(line: Expected, before: Ordered) -> str:
    """Why a known line cannot become this one, or nothing."""
    if line.location != before.location:
        return f"it is expected at {before.location}; for another location name another purchase"
    if line.ordered < before.received:
        return f"{before.received} of it have been received already"
    return ""


def _check_change(line: Expected, before: Ordered) -> None:
    why = change_fault(line, before)
    if why:
        raise NotExpectable(f"{line.purchase}/{line.sku}: {why}")


def _expected(line: Expected, more: int, changes: int, actor: str, now: datetime) -> Move:
    grows = more > 0
    return Move(
        sku=line.sku,
        location=line.location,
        from_state=StockState.SUPPLIER if grows else StockState.INBOUND,
        to_state=StockState.INBOUND if grows else StockState.SUPPLIER,
        quantity=abs(more),
        reason=MovementReason.RECEIPT,
        source=SOURCE,
        event_key=f"expected:{line.purchase}:{line.sku}:{changes}",
        occurred_at=now,
        actor=actor,
        reference=line.purchase,
    )


_BOOK = text(
    """
    INSERT INTO receipt_line (receipt, purchase, sku, location, sound, damaged, quarantined, over, actor, at)
    SELECT :receipt, purchase, sku, location, sound, damaged, quarantined, over, :actor, :now
    FROM unnest(CAST(:purchases AS text[]), CAST(:skus AS text[]), CAST(:locations AS text[]), CAST(:sound AS int[]),
                CAST(:damaged AS int[]), CAST(:quarantined AS int[]), CAST(:over AS int[]))
         AS given (purchase, sku, location, sound, damaged, quarantined, over)
    ORDER BY purchase, sku, location
    """
)
_TAKE = text(
    """
    UPDATE purchase_line SET received = received + given.units, updated_at = :now
    FROM unnest(CAST(:purchases AS text[]), CAST(:skus AS text[]), CAST(:units AS int[]))
         AS given (purchase, sku, units)
    WHERE purchase_line.purchase = given.purchase AND purchase_line.sku = given.sku
    """
)


def book(
    connection: Connection, receipt: str, rows: Sequence[Received], *, actor: str, now: datetime, over: bool = False
) -> BookedReceipt:
    """Book these rows of a receipt; those that it booked before are skipped.

    `over`: what goes beyond an order is booked too, for it lies at the dock. Raises UnknownItem.
    """
    # The same receipt from two people at once: the second sees what the first has booked.
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 8))"), {"name": receipt})
    done = receipt_lines(connection, receipt)
    orders = ordered_lines(connection, {row.purchase for row in rows if row.purchase}, lock=True)
    left = {key: line.missing for key, line in orders.items()}
    taken: dict[PurchaseKey, int] = defaultdict(int)
    moves: list[Move] = []
    fresh: list[tuple[Received, int]] = []
    late: list[Received] = []
    for row in sorted({row.key: row for row in rows}.values(), key=lambda one: one.key):
        line = orders.get((row.purchase, row.sku))
        part = min(row.units, left.get((row.purchase, row.sku), 0))
        beyond = row.units - part if row.purchase else 0
        if row.key in done or row.units < 1:
            continue
        if beyond and not over:
            late.append(row)
            continue
        if part:
            left[row.purchase, row.sku] -= part
            taken[row.purchase, row.sku] += part
        fresh.append((row, beyond))
        moves += _arrived(receipt, row, part, line.location if line else row.location, actor, now)
    if fresh:
        move_stock(connection, moves, now=now)
        connection.execute(_BOOK, {**_columns(fresh), "receipt": receipt, "actor": actor, "now": now})
    if taken:
        connection.execute(
            _TAKE,
            {
                "purchases": [purchase for purchase, _ in taken],
                "skus": [sku for _, sku in taken],
                "units": list(taken.values()),
                "now": now,
            },
        )
    return BookedReceipt(len(fresh), sum(row.units for row, _ in fresh), tuple(late))


def _columns(fresh: Sequence[tuple[Received, int]]) -> dict[str, list[object]]:
    names = {"purchases": "purchase", "skus": "sku", "locations": "location"}
    columns: dict[str, list[object]] = {
        column: [getattr(row, name) for row, _ in fresh]
        for column, name in (names | {one: one for one in ("sound", "damaged", "quarantined")}).items()
    }
    return columns | {"over": [beyond for _, beyond in fresh]}


def _arrived(receipt: str, row: Received, expected: int, expected_at: str, actor: str, now: datetime) -> list[Move]:
    """The movements of one row: as many of its units as were expected leave `inbound`, the others the supplier."""
    moves = []
    states = (
        (StockState.AVAILABLE, row.sound),
        (StockState.DAMAGED, row.damaged),
        (StockState.QUARANTINED, row.quarantined),
    )
    for state, units in states:
        part = min(units, expected)
        expected -= part
        for source, place, quantity in (
            (StockState.INBOUND, expected_at, part),
            (StockState.SUPPLIER, row.location, units - part),
        ):
            if quantity:
                moves.append(
                    Move(
                        sku=row.sku,
                        location=place,
                        to_location=row.location,
                        from_state=source,
                        to_state=state,
                        quantity=quantity,
                        reason=MovementReason.RECEIPT,
                        source=SOURCE,
                        event_key=f"receipt:{receipt}:{row.purchase}:{row.sku}:{row.location}:{source}:{state}",
                        occurred_at=now,
                        actor=actor,
                        reference=f"{receipt}/{row.purchase}" if row.purchase else receipt,
                    )
                )
    return moves
