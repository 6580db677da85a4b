"""Cancellations that the buyer did not ask for: against each marketplace's limit, and where they come from.

As the marketplaces count, a cancellation is the seller's unless the buyer, the payment or fraud is known to be its
reason. The limit is one of orders: an order with one cancelled line is a cancelled order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.health.health_limits import NO_LIMIT_DAYS, CancellationLimit, limit_of
from inventory.words import ReversalKind, ReversalReason

SELLERS = (ReversalReason.INVENTORY, ReversalReason.DAMAGED, ReversalReason.OTHER)
_SELLERS = {
    "kind": ReversalKind.CANCELLATION.value,
    "sellers": [reason.value for reason in SELLERS],
    "inventory": ReversalReason.INVENTORY.value,
}
MONTH = timedelta(days=28)
MOST = 20


@dataclass(frozen=True, slots=True)
class ChannelCancellations:
    channel: str
    orders: int
    """Placed within the days that the limit is about."""
    cancelled: int
    """Of them, those of which the seller cancelled something."""
    out_of_stock: int
    """Of the cancelled, those because the unit was not there."""
    days: int
    limit: float | None
    """Share of the orders. None: the vendor sets none that we know."""
    source: str

    @property
    def share(self) -> float | None:
        return self.cancelled / self.orders if self.orders else None

    @property
    def used(self) -> float | None:
        """Share of the limit."""
        return None if self.limit is None or self.share is None else self.share / self.limit


_BY_CHANNEL = text(
    """
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:channels AS text[]), CAST(:since AS timestamptz[])) AS wanted (channel, since)
    ), placed AS (
        SELECT wanted.channel, count(*) AS orders FROM wanted JOIN reservation
          ON reservation.channel = wanted.channel AND kind = 'order' AND placed_at > since AND placed_at <= :now
        GROUP BY wanted.channel
    ), cancelled AS (
        SELECT wanted.channel, count(DISTINCT reservation.holder) AS orders,
               count(DISTINCT reservation.holder) FILTER (WHERE reversal.reason = :inventory) AS out_of_stock
        FROM wanted JOIN reversal ON reversal.channel = wanted.channel AND reversal.occurred_at > wanted.since
        JOIN reservation ON reservation.holder = reversal.holder AND reservation.placed_at > wanted.since
                        AND reservation.placed_at <= :now
        WHERE reversal.kind = :kind AND reversal.reason = ANY(:sellers)
        GROUP BY wanted.channel
    )
    SELECT wanted.channel, coalesce(placed.orders, 0), coalesce(cancelled.orders, 0),
           coalesce(cancelled.out_of_stock, 0)
    FROM wanted LEFT JOIN placed USING (channel) LEFT JOIN cancelled USING (channel)
    """
)


def by_channel(
    connection: Connection,
    vendors: Mapping[str, str],
    limits: Mapping[str, CancellationLimit],
    *,
    now: datetime,
) -> list[ChannelCancellations]:
    """Each of the channels {code: vendor}, the nearest to its limit first."""
    own = {code: limit_of(limits, code, vendor) for code, vendor in vendors.items()}
    codes = sorted(vendors)
    days = {code: limit.days if limit else NO_LIMIT_DAYS for code, limit in own.items()}
    rows = connection.execute(
        _BY_CHANNEL,
        {"channels": codes, "since": [now - timedelta(days=days[code]) for code in codes], "now": now, **_SELLERS},
    )
    found = []
    for code, orders, cancelled, out_of_stock in rows:
        limit = own[code]
        found.append(
            ChannelCancellations(
                code, orders, cancelled, out_of_stock, days[code],
                limit.share if limit else None, limit.source if limit else "",
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (-(one.used or 0), -(one.share or 0), one.channel))


@dataclass(frozen=True, slots=True)
class Pattern:
    """Where cancellations of the last four weeks come from, by one thing at a time."""

    by: str
    """SKU, supplier, channel or hour (of the day, UTC, when the order was placed)."""
    subject: str
    orders: int
    pieces: int
    out_of_stock: int
    """Orders, of these, cancelled because the unit was not there."""
    share: float
    """Of all cancelled orders."""


_PATTERN = text(
    """
    WITH cancelled AS (
        SELECT reversal.holder, reversal.channel, part.key AS sku, reversal.quantity * part.value::bigint AS pieces,
               reversal.reason = :inventory AS gone, to_char(reservation.placed_at AT TIME ZONE 'UTC', 'HH24') AS hour
        FROM reversal JOIN reservation USING (holder) JOIN order_line AS line USING (holder, line_id)
        CROSS JOIN LATERAL jsonb_each_text(line.components) AS part
        WHERE reversal.kind = :kind AND reversal.reason = ANY(:sellers)
          AND reversal.occurred_at > :since AND reversal.occurred_at <= :now
    ), suppliers AS (
        SELECT DISTINCT ON (sku) sku, supplier FROM (
            SELECT sku, supplier, updated_at AS at, 1 AS rank FROM purchase_line
            WHERE sku IN (SELECT sku FROM cancelled)
            UNION ALL
            SELECT sku, supplier, pulled_at, 2 FROM supplier_stock WHERE sku IN (SELECT sku FROM cancelled)
        ) AS known ORDER BY sku, rank, at DESC
    ), told AS (
        SELECT about.thing, about.subject, holder, pieces, gone
        FROM cancelled LEFT JOIN suppliers USING (sku)
        CROSS JOIN LATERAL (VALUES ('SKU', sku), ('supplier', coalesce(suppliers.supplier, 'not known')),
                                   ('channel', channel), ('hour', hour || ' h')) AS about (thing, subject)
    ), counted AS (
        SELECT thing, subject, count(DISTINCT holder) AS orders, sum(pieces)::bigint AS pieces,
               count(DISTINCT holder) FILTER (WHERE gone) AS gone
        FROM told GROUP BY thing, subject
    ), ranked AS (
        SELECT *, row_number() OVER (PARTITION BY thing ORDER BY orders DESC, pieces DESC, subject) AS place
        FROM counted
    )
    SELECT thing, subject, orders, pieces, gone,
           (orders::float / (SELECT count(DISTINCT holder) FROM cancelled)) AS share
    FROM ranked WHERE place <= :most
    ORDER BY array_position(ARRAY['SKU', 'supplier', 'channel', 'hour'], thing), place
    """
)


def patterns(connection: Connection, *, now: datetime, most: int = MOST) -> list[Pattern]:
    """By SKU, supplier, channel and hour, each with the most first. A bundle counts for its components; a SKU belongs
    to the supplier of its last purchase, else of the last feed that has it."""
    rows: Sequence[object] = connection.execute(
        _PATTERN, {"since": now - MONTH, "now": now, "most": most, **_SELLERS}
    ).all()
    return [Pattern(*row) for row in rows]  # type: ignore[misc]
