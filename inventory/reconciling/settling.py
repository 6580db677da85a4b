"""A person settles a discrepancy: it is closed with a name and a reason, and what it held back goes on."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.incidents import resolve_incidents
from inventory.orders.orders import Sale, SaleReversal, apply_sales
from inventory.publishing.outbox import mark_dirty
from inventory.words import Comparison, Drift, IncidentKind, Resolution, ReversalKind, ReversalReason


class NotOpen(Exception):
    """There is no such discrepancy, or it is over."""


class NotReleasable(Exception):
    """Only of a phantom order can the units be released."""


@dataclass(frozen=True, slots=True)
class Settled:
    id: int
    comparison: str
    subject: str
    sku: str
    released: int = 0
    """Units that were held for a phantom order and are free again."""
    undisputed: bool = False
    """The listing was in dispute; our number is published to it again."""


def resolve_discrepancy(
    connection: Connection, number: int, *, actor: str, reason: str, release_units: bool, now: datetime
) -> Settled:
    """Close one open discrepancy. Of a disputed listing our number is published again; of a phantom order the units are
    released if `release_units` says so. Raises `NotOpen`, `NotReleasable`."""
    row = connection.execute(text("SELECT * FROM discrepancy WHERE id = :id FOR UPDATE"), {"id": number}).one_or_none()
    if row is None:
        raise NotOpen(f"there is no discrepancy {number}: see the table `aging` of the last reconcile run")
    if row.status != "open":
        raise NotOpen(f"discrepancy {number} is over since {row.resolved_at:%Y-%m-%d %H:%M} UTC: {row.resolution}")
    if release_units and row.drift != Drift.PHANTOM_ORDER:
        raise NotReleasable(f"discrepancy {number} is no order that the channel denies, so it holds nothing to release")
    connection.execute(
        text(
            "UPDATE discrepancy SET status = 'resolved', resolution = :resolution, actor = :actor, reason = :reason, "
            "resolved_at = :now WHERE id = :id"
        ),
        {"id": number, "resolution": Resolution.BY_PERSON.value, "actor": actor, "reason": reason, "now": now},
    )
    _close_incidents(connection, row.subject, now)
    released = _release(connection, row.channel, row.subject, number, now) if release_units else 0
    undisputed = row.comparison == Comparison.QUANTITIES and _undispute(connection, row.listing_id, now)
    return Settled(number, row.comparison, row.subject, row.sku, released, bool(undisputed))


def _close_incidents(connection: Connection, subject: str, now: datetime) -> None:
    kinds = (
        IncidentKind.WRITE_CONFLICT,
        IncidentKind.FOREIGN_WRITE,
        IncidentKind.NEGATIVE_STOCK,
        IncidentKind.PHANTOM_ORDER,
    )
    for kind in kinds:
        resolve_incidents(connection, kind, [subject], now=now)


def _undispute(connection: Connection, listing_id: int | None, now: datetime) -> bool:
    rows = connection.execute(
        text("UPDATE listing SET disputed_since = NULL WHERE id = :id AND disputed_since IS NOT NULL RETURNING sku"),
        {"id": listing_id},
    ).all()
    mark_dirty(connection, {row.sku for row in rows}, now=now)
    return bool(rows)


def _release(connection: Connection, channel: str, subject: str, number: int, now: datetime) -> int:
    """As a cancellation of all that is left of the order: the units go back to the shelf that they are on."""
    order_id = subject.removeprefix(f"{channel}/")
    lines = connection.execute(
        text(
            "SELECT line.line_id, line.quantity - line.reversed AS units, reservation.placed_at "
            "FROM order_line AS line JOIN reservation USING (holder) "
            "WHERE holder = :holder AND reservation.status = 'live' AND line.quantity > line.reversed"
        ),
        {"holder": f"order:{channel}:{order_id}"},
    ).all()
    if not lines:
        return 0
    reversals = tuple(
        SaleReversal(
            f"phantom:{number}:{order_id}:{line.line_id}", line.line_id, line.units, ReversalKind.CANCELLATION,
            ReversalReason.OTHER,
            # The channel put nothing back on its counter, but the goods never left our shelf.
            None, now,
        )
        for line in lines
    )  # fmt: skip
    placed_at = lines[0].placed_at
    applied = apply_sales(connection, channel, [Sale(order_id, placed_at, placed_at, (), reversals)], now=now)
    return applied.units_returned
