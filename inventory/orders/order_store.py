"""Reading and writing orders, their lines and their reversals set-wise: the SQL beside `inventory.orders.orders`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, text

from inventory.words import ReversalKind, ReversalReason


class _Dated(Protocol):
    @property
    def placed_at(self) -> datetime: ...
    @property
    def updated_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Header:
    fresh: bool
    status: str
    updated_at: datetime


@dataclass(slots=True)
class OrderLineState:
    holder: str
    line_id: str
    listing_id: int
    sku: str
    components: dict[str, int]
    quantity: int
    reversed: int
    shipped: int = 0
    sent_back: int = 0
    changed: bool = False

    @property
    def open(self) -> int:
        """Listing units that are neither sent nor reversed: what the order still holds, or waits for."""
        return self.quantity - (self.reversed - self.sent_back) - self.shipped


@dataclass(slots=True)
class ReversalState:
    reversal_id: str
    holder: str
    line_id: str
    quantity: int
    kind: ReversalKind
    reason: ReversalReason
    restocked: bool | None
    occurred_at: datetime
    applied: int = 0
    status: str = "applied"
    lowers: bool = False
    """The channel lowered the ordered number itself: it is less ordered, not more reversed."""


_HEADERS = text(
    """
    INSERT INTO reservation (holder, kind, channel, status, placed_at, updated_at, recorded_at, fingerprint)
    SELECT holder, 'order', :channel, 'live', placed_at, updated_at, :now, ''
    FROM unnest(CAST(:holders AS text[]), CAST(:placed AS timestamptz[]), CAST(:updated AS timestamptz[]))
         AS given (holder, placed_at, updated_at)
    ORDER BY holder
    ON CONFLICT (holder) DO UPDATE SET updated_at = greatest(reservation.updated_at, EXCLUDED.updated_at)
    RETURNING holder, (xmax = 0) AS fresh, status, updated_at
    """
)

_LINES = text(
    """
    INSERT INTO order_line (holder, line_id, listing_id, sku, components, quantity, reversed, shipped, sent_back)
    SELECT * FROM unnest(CAST(:holders AS text[]), CAST(:line_ids AS text[]), CAST(:listing_ids AS bigint[]),
                         CAST(:skus AS text[]), CAST(:components AS jsonb[]), CAST(:quantities AS int[]),
                         CAST(:reversed AS int[]), CAST(:shipped AS int[]), CAST(:sent_back AS int[]))
    ON CONFLICT (holder, line_id) DO UPDATE
    SET quantity = EXCLUDED.quantity, reversed = EXCLUDED.reversed, shipped = EXCLUDED.shipped,
        sent_back = EXCLUDED.sent_back
    """
)

_REVERSALS = text(
    """
    INSERT INTO reversal (channel, reversal_id, holder, line_id, quantity, applied, kind, reason, restocked, status,
                          occurred_at, recorded_at)
    SELECT :channel, reversal_id, holder, line_id, quantity, applied, kind, reason, restocked, status, occurred_at, :now
    FROM unnest(CAST(:ids AS text[]), CAST(:holders AS text[]), CAST(:line_ids AS text[]), CAST(:quantities AS int[]),
                CAST(:applied AS int[]), CAST(:kinds AS text[]), CAST(:reasons AS text[]), CAST(:restocked AS bool[]),
                CAST(:statuses AS text[]), CAST(:occurred AS timestamptz[]))
         AS given (reversal_id, holder, line_id, quantity, applied, kind, reason, restocked, status, occurred_at)
    ORDER BY reversal_id
    ON CONFLICT (channel, reversal_id) DO UPDATE SET applied = EXCLUDED.applied, status = EXCLUDED.status
    """
)


def lock_headers(
    connection: Connection, channel: str, sales: Mapping[str, _Dated], *, now: datetime
) -> dict[str, Header]:
    """Make or lock the reservation of each order; two pages with the same order wait for each other here."""
    holders = sorted(sales)
    rows = connection.execute(
        _HEADERS,
        {
            "channel": channel,
            "holders": holders,
            "placed": [sales[holder].placed_at for holder in holders],
            "updated": [sales[holder].updated_at for holder in holders],
            "now": now,
        },
    )
    return {row.holder: Header(row.fresh, row.status, row.updated_at) for row in rows}


def order_lines(connection: Connection, holders: Collection[str]) -> dict[tuple[str, str], OrderLineState]:
    if not holders:
        return {}
    rows = connection.execute(
        text(
            "SELECT holder, line_id, listing_id, sku, components, quantity, reversed, shipped, sent_back "
            "FROM order_line WHERE holder = ANY(:holders)"
        ),
        {"holders": sorted(holders)},
    )
    return {(row.holder, row.line_id): OrderLineState(*row) for row in rows}


def known_reversals(connection: Connection, channel: str, ids: Collection[str]) -> set[str]:
    if not ids:
        return set()
    rows = connection.execute(
        text("SELECT reversal_id FROM reversal WHERE channel = :channel AND reversal_id = ANY(:ids)"),
        {"channel": channel, "ids": sorted(ids)},
    )
    return {row.reversal_id for row in rows}


def waiting_reversals(connection: Connection, channel: str, holders: Collection[str]) -> list[ReversalState]:
    """Reversals of these orders that came before the line they reverse."""
    rows = connection.execute(
        text(
            "SELECT reversal_id, holder, line_id, quantity, kind, reason, restocked, occurred_at, applied "
            "FROM reversal WHERE channel = :channel AND status = 'unmatched' AND holder = ANY(:holders)"
        ),
        {"channel": channel, "holders": sorted(holders)},
    )
    return [
        ReversalState(
            row.reversal_id, row.holder, row.line_id, row.quantity, ReversalKind(row.kind), ReversalReason(row.reason),
            row.restocked, row.occurred_at, row.applied,
        )
        for row in rows
    ]  # fmt: skip


def write_order_lines(connection: Connection, lines: Sequence[OrderLineState]) -> None:
    if lines:
        columns: dict[str, list[Any]] = {
            "holders": [line.holder for line in lines],
            "line_ids": [line.line_id for line in lines],
            "listing_ids": [line.listing_id for line in lines],
            "skus": [line.sku for line in lines],
            "components": [json.dumps(line.components) for line in lines],
            "quantities": [line.quantity for line in lines],
            "reversed": [line.reversed for line in lines],
            "shipped": [line.shipped for line in lines],
            "sent_back": [line.sent_back for line in lines],
        }
        connection.execute(_LINES, columns)


def write_reversals(connection: Connection, channel: str, reversals: Sequence[ReversalState], *, now: datetime) -> None:
    if reversals:
        columns: dict[str, Any] = {
            "channel": channel,
            "now": now,
            "ids": [one.reversal_id for one in reversals],
            "holders": [one.holder for one in reversals],
            "line_ids": [one.line_id for one in reversals],
            "quantities": [one.quantity for one in reversals],
            "applied": [one.applied for one in reversals],
            "kinds": [one.kind.value for one in reversals],
            "reasons": [one.reason.value for one in reversals],
            "restocked": [one.restocked for one in reversals],
            "statuses": [one.status for one in reversals],
            "occurred": [one.occurred_at for one in reversals],
        }
        connection.execute(_REVERSALS, columns)
