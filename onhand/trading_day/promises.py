"""What a day of trading proved, promise by promise (DESIGN 2). The truth is the shops' own books, not the ledger's."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from inventory.ledger.rebuilding import compare
from inventory.publishing.availability import availability
from inventory.publishing.exposure import exposed_units

Booked = tuple[str, str, str, str, int, int]
"""(channel, order id, line id, SKU, units sold, units reversed)"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the verdict. `kept` None: a figure, not a promise."""

    what: str
    figure: str
    kept: bool | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A time of the day that was not like the rest of it."""

    what: str
    first: datetime
    last: datetime


@dataclass(slots=True)
class Truth:
    """What the shops' own books say: {channel: {order id: {line id: (SKU, sold, reversed)}}} and what they show."""

    orders: dict[str, dict[str, dict[str, tuple[str, int, int]]]] = field(default_factory=dict)
    shown: dict[str, dict[str, int]] = field(default_factory=dict)
    placed: dict[str, datetime] = field(default_factory=dict)
    """{holder: instant}"""

    @classmethod
    def of(cls, states: Mapping[str, dict[str, Any]]) -> "Truth":
        truth = cls()
        for code, state in states.items():
            truth.orders[code] = {
                order["order_id"]: {
                    line["line_id"]: (line["sku"], line["quantity"], line["reversed"]) for line in order["lines"]
                }
                for order in state["orders"]
            }
            truth.placed |= {
                f"order:{code}:{order['order_id']}": datetime.fromisoformat(order["placed_at"])
                for order in state["orders"]
            }
            truth.shown[code] = {product["sku"]: product["quantity"] for product in state["products"]}
        return truth

    def sold(self) -> Counter[str]:
        """Units of each SKU that customers are owed."""
        units: Counter[str] = Counter()
        for orders in self.orders.values():
            for lines in orders.values():
                for sku, quantity, back in lines.values():
                    units[sku] += quantity - back
        return units


def verdict(
    connection: Connection,
    truth: Truth,
    opening: Mapping[str, int],
    spans: Sequence[Span] = (),
) -> list[Line]:
    """Every promise, with the figure that shows whether it was kept. What was placed in one of `spans` (the first that
    holds it) is measured apart."""
    return [
        *_orders(connection, truth),
        *_stock(connection, truth, opening),
        *_pushes(connection),
        *_gaps(connection, truth, spans),
    ]


def _orders(connection: Connection, truth: Truth) -> list[Line]:
    rows = connection.execute(
        text(
            "SELECT reservation.channel, reservation.holder, line_id, line.sku, quantity, reversed "
            "FROM order_line AS line JOIN reservation USING (holder)"
        )
    )
    ledger = Counter(
        (row.channel, row.holder.split(":", 2)[2], row.line_id, row.sku, row.quantity, row.reversed) for row in rows
    )
    shops = Counter(
        (code, order_id, line_id, line[0], line[1], line[2])
        for code, orders in truth.orders.items()
        for order_id, lines in orders.items()
        for line_id, line in lines.items()
    )
    placed = sum(len(orders) for orders in truth.orders.values())
    waiting = _one(connection, "SELECT count(*) FROM inbox WHERE status <> 'applied'")
    held = _one(connection, "SELECT coalesce(sum(line.held), 0) FROM reservation_line AS line JOIN reservation "
                            "USING (holder) WHERE status = 'live'")  # fmt: skip
    oversold = _one(connection, "SELECT coalesce(sum(oversold), 0) FROM reservation_line")
    reversed_lines = _one(connection, "SELECT count(*) FROM reversal")
    events = _one(connection, "SELECT count(*) FROM inbox")
    return [
        Line("orders placed on the shops", f"{placed:,} with {sum(shops.values()):,} lines"),
        Line("each of them once in the ledger, line by line", _same(ledger, shops), ledger == shops),
        Line("events waiting or held back", f"{waiting:,} of {events:,}", waiting == 0),
        Line("units reserved", f"{held:,}"),
        Line("units sold short", f"{oversold:,}", oversold == 0),
        Line("cancellations applied", f"{reversed_lines:,}"),
    ]


def _same(ledger: "Counter[Booked]", shops: "Counter[Booked]") -> str:
    """How many lines, and where the books differ the first of them: (channel, order, line, SKU, sold, reversed)."""
    figure = f"{len(ledger):,} lines"
    for whose, rest in (("only in the ledger", ledger - shops), ("only in the shops", shops - ledger)):
        if rest:
            figure += f"; {len(rest)} {whose}, as {'/'.join(map(str, min(rest)))}"
    return figure


def _stock(connection: Connection, truth: Truth, opening: Mapping[str, int]) -> list[Line]:
    sold = truth.sold()
    over = {sku: units - opening.get(sku, 0) for sku, units in sold.items() if units > opening.get(sku, 0)}
    gone = sum(1 for sku, units in opening.items() if sold[sku] >= units)
    differences = compare(connection)
    exposed = exposed_units(connection, list(opening))
    sellable = {sku: one.sellable for sku, one in availability(connection, list(opening)).items()}
    unbacked = {sku: units for sku, units in exposed.items() if units > sellable.get(sku, 0)}
    asking = {row.code for row in connection.execute(text("SELECT code FROM channel WHERE asks_first"))}
    hidden = sum(max(0, units - _on_show(truth, sku, asking)) for sku, units in sellable.items())
    return [
        Line("units oversold (by the shops' own books)", f"{sum(over.values()):,}", not over),
        Line("SKUs sold to the last unit", f"{gone:,} of {len(opening):,}"),
        Line("balances = journal = reservations", f"{len(differences)} differences", not differences),
        Line(
            "worst case still on sale ≤ sellable",
            f"{sum(exposed.values()):,} of {sum(sellable.values()):,} units",
            not unbacked,
        ),
        Line("sellable units that no shop shows", f"{hidden:,}"),
    ]


def _on_show(truth: Truth, sku: str, asking: Collection[str]) -> int:
    """Units of the SKU that somebody can see. Channels that ask first show the same pool, each all of it."""
    shown = {code: max(0, units.get(sku, 0)) for code, units in truth.shown.items()}
    pool = max((units for code, units in shown.items() if code in asking), default=0)
    return pool + sum(units for code, units in shown.items() if code not in asking)


def _pushes(connection: Connection) -> list[Line]:
    rows = connection.execute(text("SELECT status, count(*) AS n FROM publication GROUP BY status"))
    by_status = {row.status: row.n for row in rows}
    total = sum(by_status.values())
    open_doubts = _one(connection, "SELECT count(*) FROM listing WHERE unconfirmed_until IS NOT NULL")
    refused = _one(connection, "SELECT coalesce(sum(failed_rows), 0) FROM gate_run WHERE suite = 'outgoing_push'")
    ungated = _one(connection, "SELECT count(*) FROM publication WHERE gate_run_id IS NULL")
    unexplained = _one(connection, "SELECT count(*) FROM publication WHERE inputs = '{}' OR policy_version = ''")
    hopeful = _one(
        connection,
        "SELECT count(*) FROM publication WHERE growth > 0 AND growth > (inputs->>'room')::int",
    )
    return [
        Line("pushes sent", f"{total:,}"),
        *(Line(f"  {status}", f"{by_status[status]:,}") for status in sorted(by_status)),
        Line("pushes without the gate's verdict", f"{ungated:,}", ungated == 0),
        Line("numbers refused by the gate", f"{refused:,}"),
        Line("raises beyond what was free", f"{hopeful:,}", hopeful == 0),
        Line("listings still in doubt", f"{open_doubts:,}", open_doubts == 0),
        Line("numbers without an explanation", f"{unexplained:,}", unexplained == 0),
    ]


def _gaps(connection: Connection, truth: Truth, spans: Sequence[Span]) -> list[Line]:
    """From the instant in the shop's own book: what Shopify and WooCommerce tell is cut to whole seconds."""
    rows = connection.execute(text("SELECT holder, recorded_at, synced_at FROM reservation WHERE kind = 'order'")).all()
    synced = sum(row.synced_at is not None for row in rows)
    gaps: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        at = truth.placed.get(row.holder)
        if at is not None and row.synced_at is not None:
            when = next((span.what for span in spans if span.first <= at <= span.last), "")
            gaps[when].append(((row.recorded_at - at).total_seconds(), (row.synced_at - at).total_seconds()))
    lines = [Line("orders known to all other channels", f"{synced:,} of {len(rows):,}", synced == len(rows))]
    for when in dict.fromkeys(["", *(span.what for span in spans)]):
        if measured := gaps.get(when):
            what = f"sync gap, {when or 'placed on one channel → confirmed on all others'}"
            lines.append(Line(what, f"{_percentiles([gap for _, gap in measured])} ({len(measured):,} orders)"))
            lines.append(Line("  of that, until the ledger knew", _percentiles([known for known, _ in measured])))
    return lines


def _percentiles(seconds: list[float]) -> str:
    half, most = np.percentile(seconds, [50, 95])
    return f"p50 {half:.1f} s, p95 {most:.1f} s"


def _one(connection: Connection, sql: str) -> int:
    return int(connection.execute(text(sql)).scalar_one())
