"""Ledger against a channel's orders: those it missed, those that the channel denies, those that say something else.

Both sides are held together by the channel's own clock (`placed_at`), so no skew of clocks makes a difference.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from inventory.catalogue import listings_by_ref
from inventory.orders.order_store import order_lines
from inventory.orders.orders import order_holder
from inventory.reconciling.discrepancies import Found
from inventory.words import Comparison, DiscrepancyClass, Drift, ReservationStatus

Document = Mapping[str, Any]
"""An order as the channel hands it over (`adapters.channels.protocol.OrderDocument`)."""


@dataclass(slots=True)
class Differing:
    """One page of the channel's orders, against the ledger."""

    missed: dict[str, Document] = field(default_factory=dict)
    """{order id: document}"""
    changed: dict[str, str] = field(default_factory=dict)
    """{order id: what differs, in words}"""
    outdated: set[str] = field(default_factory=set)
    """Of the changed ones, those of which the channel has a newer version than the ledger."""


def order_window(
    connection: Connection, channel: str, *, reach: timedelta, window: timedelta, now: datetime
) -> datetime:
    """Orders placed from here on can be compared: within the window, and not before the ledger first read the channel.
    What was sold before that was counted with the opening stock, and must never be applied."""
    first = connection.execute(
        text("SELECT received_at FROM inbox WHERE channel = :channel ORDER BY id LIMIT 1"), {"channel": channel}
    ).scalar_one_or_none()
    begun: datetime = now if first is None else first
    return max(now - window, begun - reach)


def compare_page(connection: Connection, channel: str, documents: Sequence[Document]) -> Differing:
    """Test orders and orders without anything in stock are none of the ledger's."""
    refs = {str(line.get("listing_ref")) for one in documents for line in _lines(one)}
    listings = listings_by_ref(connection, channel, refs)
    given = {
        order_holder(channel, str(one["order_id"])): one
        for one in documents
        if one.get("test") is not True and any(str(line.get("listing_ref")) in listings for line in _lines(one))
    }
    rows = connection.execute(
        text("SELECT holder, updated_at FROM reservation WHERE holder = ANY(:holders)"), {"holders": sorted(given)}
    )
    known = {row.holder: row.updated_at for row in rows}
    ledger: dict[str, dict[str, tuple[int, int]]] = {}
    for (holder, line_id), state in order_lines(connection, known).items():
        ledger.setdefault(holder, {})[line_id] = (state.quantity, state.reversed)
    found = Differing()
    for holder, document in given.items():
        order_id = str(document["order_id"])
        if holder not in known:
            found.missed[order_id] = document
            continue
        words = _difference(document, ledger.get(holder, {}), listings)
        if words:
            found.changed[order_id] = words
            updated = instant(document.get("updated_at"))
            if updated is not None and updated > known[holder]:
                found.outdated.add(order_id)
    return found


def _difference(document: Document, ledger: Mapping[str, tuple[int, int]], listings: Collection[str]) -> str:
    """In words; empty if the ledger says the same. A vendor may tell a cancellation as a reversal or by a lower number
    of units: only what is left of the line counts."""
    back: Counter[str] = Counter()
    for one in document.get("reversals") or []:
        if isinstance(one, dict) and isinstance(one.get("quantity"), int):
            back[str(one.get("line_id"))] += one["quantity"]
    for line in _lines(document):
        quantity, line_id = line.get("quantity"), str(line.get("line_id"))
        if str(line.get("listing_ref")) not in listings or not isinstance(quantity, int):
            continue
        if line_id not in ledger:
            return f"line {line_id} of {quantity} is not in the ledger"
        left = max(quantity - back[line_id], 0)
        ours = ledger[line_id][0] - ledger[line_id][1]
        if left != ours:
            return f"line {line_id}: the channel says {left} units, the ledger {ours}"
    return ""


def _lines(document: Document) -> list[dict[str, Any]]:
    lines = document.get("lines")
    return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []


def instant(value: object) -> datetime | None:
    """An aware time, or nothing."""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return parsed if parsed is not None and parsed.tzinfo is not None else None


def units_of(document: Document) -> int:
    return sum(one["quantity"] for one in _lines(document) if isinstance(one.get("quantity"), int))


def waiting_orders(connection: Connection, channel: str, order_ids: Collection[str]) -> set[str]:
    """Those of them that lie in the inbox, not applied: waiting, or held back by the gate."""
    if not order_ids:
        return set()
    rows = connection.execute(
        text(
            "SELECT DISTINCT payload ->> 'order_id' AS order_id FROM inbox WHERE channel = :channel "
            "AND status <> 'applied' AND payload ->> 'order_id' = ANY(:ids)"
        ),
        {"channel": channel, "ids": sorted(order_ids)},
    )
    return {row.order_id for row in rows}


def known_orders(connection: Connection, channel: str, order_ids: Collection[str]) -> set[str]:
    """Those of them that the ledger has."""
    holders = {order_holder(channel, one): one for one in order_ids}
    rows = connection.execute(
        text("SELECT holder FROM reservation WHERE holder = ANY(:holders)"), {"holders": sorted(holders)}
    )
    return {holders[row.holder] for row in rows}


@dataclass(frozen=True, slots=True)
class HeldOrder:
    order_id: str
    units: int
    """Pieces that it holds or waits for."""
    placed_at: datetime


def held_orders(
    connection: Connection, channel: str, *, since: datetime, until: datetime, page: int = 5000
) -> Iterator[list[HeldOrder]]:
    """The ledger's orders of the channel that still hold units, placed in this time, a page at a time."""
    after, last = since, ""
    prefix = order_holder(channel, "")
    while True:
        rows = connection.execute(
            text(
                """
                WITH placed AS (
                    SELECT holder, placed_at, status FROM reservation
                    WHERE kind = 'order' AND channel = :channel AND placed_at <= :until
                      AND (placed_at, holder) > (:after, :last) ORDER BY placed_at, holder LIMIT :page
                )
                SELECT holder, placed_at, status,
                       coalesce((SELECT sum(held + oversold) FROM reservation_line AS line
                                 WHERE line.holder = placed.holder), 0)::bigint AS units
                FROM placed ORDER BY placed_at, holder
                """
            ),
            {"channel": channel, "after": after, "last": last, "until": until, "page": page},
        ).all()
        if not rows:
            return
        after, last = rows[-1].placed_at, rows[-1].holder
        yield [
            HeldOrder(row.holder.removeprefix(prefix), row.units, row.placed_at)
            for row in rows
            if row.units > 0 and row.status == ReservationStatus.LIVE
        ]


def missed_order(channel: str, order_id: str, document: Document, *, waits: bool) -> Found:
    """`waits`: it lies in the inbox."""
    return Found(
        Comparison.ORDERS,
        Drift.MISSED_ORDER,
        DiscrepancyClass.DELAYED if waits else DiscrepancyClass.MISMATCH,
        f"{channel}/{order_id}",
        0,
        units_of(document),
        "it was read and waits in the inbox or at the gate" if waits else "the channel has it, the ledger had not",
        sku=_first_sku(document),
        channel=channel,
    )


def changed_order(channel: str, order_id: str, words: str, *, waits: bool) -> Found:
    kind = DiscrepancyClass.DELAYED if waits else DiscrepancyClass.MISMATCH
    return Found(Comparison.ORDERS, Drift.CHANGED_ORDER, kind, f"{channel}/{order_id}", 1, 1, words, channel=channel)


def phantom_order(channel: str, order: HeldOrder) -> Found:
    return Found(
        Comparison.ORDERS,
        Drift.PHANTOM_ORDER,
        DiscrepancyClass.MISMATCH,
        f"{channel}/{order.order_id}",
        order.units,
        0,
        f"the ledger holds {order.units} units for it, and the channel does not know it",
        channel=channel,
    )


def _first_sku(document: Document) -> str:
    lines = _lines(document)
    return str(lines[0].get("sku") or "")[:200] if lines else ""


def explain_quantities(connection: Connection, channel: str, order_ids: Collection[str]) -> int:
    """Listings that showed less because of orders that had been missed: what looked like a foreign write was none.
    Returns how many discrepancies were understood."""
    result = connection.execute(
        text(
            """
            WITH missed AS (
                SELECT line.listing_id, sum(line.quantity) AS units, min(reservation.placed_at) AS placed_at
                FROM reservation JOIN order_line AS line USING (holder)
                WHERE reservation.holder = ANY(:holders) GROUP BY line.listing_id
            )
            UPDATE discrepancy
            SET kind = 'mismatch', resolution = CASE WHEN status = 'resolved' THEN 'explained' ELSE resolution END,
                message = 'the channel had an order that the ledger had missed'
            FROM missed
            WHERE discrepancy.comparison = 'quantities' AND discrepancy.listing_id = missed.listing_id
              AND discrepancy.kind IN ('foreign_write', 'mismatch', 'delayed')
              AND discrepancy.last_seen_at >= missed.placed_at - interval '5 min'
              AND discrepancy.expected - discrepancy.observed BETWEEN 1 AND missed.units
            """
        ),
        {"holders": sorted(order_holder(channel, one) for one in order_ids)},
    )
    return result.rowcount
