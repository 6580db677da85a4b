"""A recorded history of orders: read from a file, cut into trading days, turned into order documents.

What a file says is taken as it stands, with three rules:

- Codes that are no goods (postage, fees) stay as lines of their order; whoever moves stock leaves
  them out (`inventory.skus.is_non_stock`).
- A line without price is a gift when it has a customer, and a stock adjustment when it has none or is
  negative: adjustments are listed, and are no orders.
- A cancellation belongs to the latest earlier sale of the same customer and SKU that still has
  units, then to the one before; to the lines of its own order where the file gives both the same
  number. What finds no sale is kept, unmatched: real sellers cancel more than was ever sold.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path

from adapters.channels.protocol import OrderDocument
from adapters.sandbox.order_csv import BadRow, Row, TraceError, read_rows
from inventory.words import ReversalKind, ReversalReason

__all__ = [
    "BadRow",
    "Trace",
    "TraceAdjustment",
    "TraceCancellation",
    "TraceError",
    "TraceLine",
    "TraceOrder",
    "read_trace",
    "to_documents",
]


@dataclass(frozen=True, slots=True)
class TraceLine:
    line: int
    """Its number in the order. One SKU may stand on several lines."""
    sku: str
    """In normal form; may be a code that is no goods."""
    quantity: int


@dataclass(frozen=True, slots=True)
class TraceOrder:
    order_id: str
    placed_at: datetime
    lines: tuple[TraceLine, ...]
    customer: str | None = None
    """A hash, or None."""


@dataclass(frozen=True, slots=True)
class TraceCancellation:
    cancellation_id: str
    """Stable for the same file, and unique: one row of the file may be matched to several sales."""
    at: datetime
    sku: str
    quantity: int
    customer: str | None
    matched: tuple[str, int] | None
    """(order_id, line) of the sale, which may lie before the day that is looked at."""


@dataclass(frozen=True, slots=True)
class TraceAdjustment:
    at: datetime
    sku: str
    quantity: int
    """Units found (positive) or gone (negative)."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything is sorted by time."""

    orders: tuple[TraceOrder, ...]
    cancellations: tuple[TraceCancellation, ...] = ()
    adjustments: tuple[TraceAdjustment, ...] = ()
    bad_rows: tuple[BadRow, ...] = field(default=(), repr=False)

    def trading_days(self) -> list[date]:
        """The days with an order, in the zone that the trace was read in."""
        return sorted({order.placed_at.date() for order in self.orders})

    def day(self, which: int | date) -> "Trace":
        """One trading day: by date, or by number from 1. Raises `TraceError`."""
        days = self.trading_days()
        if isinstance(which, int):
            if not 1 <= which <= len(days):
                raise TraceError(f"there is no day {which}: the trace has {len(days)} trading days, from 1")
            which = days[which - 1]
        if which not in days:
            raise TraceError(f"no orders on {which}: the trading days are {days[0]} to {days[-1]}")
        return Trace(
            tuple(order for order in self.orders if order.placed_at.date() == which),
            tuple(c for c in self.cancellations if c.at.date() == which),
            tuple(a for a in self.adjustments if a.at.date() == which),
        )


def read_trace(path: Path, zone: tzinfo = UTC) -> Trace:
    """The history in a CSV file (see `adapters.sandbox.order_csv`); rows that are no use are `bad_rows`.

    `zone` is where the shop is: it gives times without an offset, and the trading days, their meaning.
    Raises `TraceError` when no row can be used.
    """
    rows, bad = read_rows(path, zone)
    sales: list[Row] = []
    reversals: list[Row] = []
    adjustments: list[TraceAdjustment] = []
    for row in rows:
        if row.cancellation:
            reversals.append(row)
        elif row.free and row.customer is None:
            adjustments.append(TraceAdjustment(row.at, row.sku, row.quantity))
        elif row.quantity < 0:
            bad.append(BadRow(row.line_number, "qty is negative on a sale"))
        else:
            sales.append(row)
    if not sales:
        first = f"; line {bad[0].line_number}: {bad[0].reason}" if bad else ""
        raise TraceError(f"{path} has no usable order line{first}")
    return Trace(
        tuple(_orders(sales)),
        tuple(_matched(sales, reversals)),
        tuple(sorted(adjustments, key=lambda adjustment: adjustment.at)),
        tuple(sorted(bad, key=lambda row: row.line_number)),
    )


def _orders(sales: Iterable[Row]) -> list[TraceOrder]:
    """An order that carries several times was placed at the first."""
    by_order: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sales:
        by_order[row.order_id].append(row)
    orders = [
        TraceOrder(
            order_id,
            min(row.at for row in rows),
            tuple(TraceLine(row.line, row.sku, row.quantity) for row in rows),
            next((row.customer for row in rows if row.customer), None),
        )
        for order_id, rows in by_order.items()
    ]
    return sorted(orders, key=lambda order: (order.placed_at, order.order_id))


@dataclass(slots=True)
class _Sale:
    row: Row
    remaining: int


def _matched(sales: Iterable[Row], reversals: Iterable[Row]) -> Iterator[TraceCancellation]:
    by_buyer: defaultdict[tuple[str, str], list[_Sale]] = defaultdict(list)
    by_order: defaultdict[tuple[str, str], list[_Sale]] = defaultdict(list)
    order_ids = set()
    for row in sorted(sales, key=lambda row: (row.at, row.line_number)):
        sale = _Sale(row, row.quantity)
        by_order[row.order_id, row.sku].append(sale)
        order_ids.add(row.order_id)
        if row.customer:
            by_buyer[row.customer, row.sku].append(sale)
    for row in sorted(reversals, key=lambda row: (row.at, row.line_number)):
        if row.order_id in order_ids:
            found = by_order[row.order_id, row.sku]
        else:
            found = by_buyer.get((row.customer or "", row.sku), [])
        yield from _pieces(row, found)


def _pieces(row: Row, sales: list[_Sale]) -> Iterator[TraceCancellation]:
    left = abs(row.quantity)
    pieces: list[tuple[int, tuple[str, int] | None]] = []
    for sale in reversed(sales):
        taken = min(left, sale.remaining)
        # Not "earlier": files are often exact to the minute only.
        if taken and sale.row.at <= row.at:
            sale.remaining -= taken
            left -= taken
            pieces.append((taken, (sale.row.order_id, sale.row.line)))
    if left:
        pieces.append((left, None))
    for number, (quantity, matched) in enumerate(pieces, start=1):
        name = f"{row.order_id}:{row.line}:{number}"
        yield TraceCancellation(name, row.at, row.sku, quantity, row.customer, matched)


def to_documents(trace: Trace, channel: str) -> list[OrderDocument]:
    """The orders as a channel would hand them over (`adapters.channels.protocol`), oldest first.

    `listing_ref` is `{channel}:{sku}`. Cancellations that match a line of these orders are its
    reversals, all told as restocked; the others are left out.
    """
    by_line: defaultdict[tuple[str, int], list[TraceCancellation]] = defaultdict(list)
    for cancellation in trace.cancellations:
        if cancellation.matched:
            by_line[cancellation.matched].append(cancellation)
    return [_document(order, channel, by_line) for order in trace.orders]


def _document(
    order: TraceOrder, channel: str, by_line: dict[tuple[str, int], list[TraceCancellation]]
) -> OrderDocument:
    found = [(line, c) for line in order.lines for c in by_line.get((order.order_id, line.line), [])]
    updated_at = max([order.placed_at, *(c.at for _, c in found)])
    return {
        "order_id": order.order_id,
        "placed_at": order.placed_at.isoformat(),
        "updated_at": updated_at.isoformat(),
        "cancelled": sum(c.quantity for _, c in found) == sum(line.quantity for line in order.lines),
        "test": False,
        "lines": [
            {
                "line_id": f"{order.order_id}:{line.line}",
                "listing_ref": f"{channel}:{line.sku}",
                "sku": line.sku,
                "quantity": line.quantity,
            }
            for line in order.lines
        ],
        "reversals": [
            {
                "reversal_id": c.cancellation_id,
                "line_id": f"{order.order_id}:{line.line}",
                "quantity": c.quantity,
                "kind": ReversalKind.CANCELLATION.value,
                "reason": ReversalReason.CUSTOMER.value,
                "restocked": True,
                "occurred_at": c.at.isoformat(),
            }
            for line, c in found
        ],
    }
