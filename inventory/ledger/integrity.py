"""The ledger against itself: what must hold between its own tables, and where it does not.

`inventory.ledger.rebuilding` says whether balances are the sum of the journal; here are the rest: holds that hold for
nobody, orders that hold twice, reservations that do not hold what was ordered or what moved, and work that nobody does.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.ledger import rebuilding
from inventory.reconciling.discrepancies import Found
from inventory.words import OUTSIDE_ACCOUNTS, Comparison, DiscrepancyClass, Drift, Severity

STUCK_AFTER = timedelta(hours=1)
"""Work that has waited for so long is waited for by nobody."""
UNSWEPT_AFTER = timedelta(hours=1)
_MOST = 1000
"""Findings of one kind that are told; a broken ledger has more, and these are enough to see how."""

_ENDED = text(
    """
    SELECT line.holder, line.sku, line.location, line.held, reservation.channel, reservation.status
    FROM reservation_line AS line JOIN reservation USING (holder)
    WHERE reservation.status IN ('released', 'expired', 'sold', 'refused') AND line.held > 0
    ORDER BY line.holder, line.sku, line.location LIMIT :most
    """
)

_UNSWEPT = text(
    """
    SELECT holder, channel, expires_at,
           (SELECT coalesce(sum(held), 0) FROM reservation_line AS line
            WHERE line.holder = reservation.holder)::bigint AS held
    FROM reservation WHERE status = 'live' AND expires_at <= :before ORDER BY holder LIMIT :most
    """
)

_DOUBLED = text(
    """
    SELECT held.channel, orders.holder, held.holder AS twice, sum(least(line.held, twin.held))::bigint AS units,
           min(line.sku) AS sku
    FROM reservation AS held
    JOIN reservation AS orders ON orders.holder = 'order:' || held.channel || ':' || held.order_id
    JOIN reservation_line AS line ON line.holder = held.holder AND line.held > 0
    JOIN reservation_line AS twin ON twin.holder = orders.holder AND twin.sku = line.sku AND twin.held > 0
    WHERE held.kind = 'hold' AND held.status = 'live' AND held.order_id IS NOT NULL AND orders.status = 'live'
    GROUP BY held.channel, orders.holder, held.holder ORDER BY orders.holder LIMIT :most
    """
)

_NEGATIVE = text(
    """
    SELECT sku, location, state, quantity FROM balance
    WHERE quantity < 0 AND state <> ALL(:outside) ORDER BY sku, location, state LIMIT :most
    """
)

_LINES = text(
    """
    WITH ordered AS (
        SELECT line.holder, part.key AS sku,
               sum((quantity - reversed + sent_back - shipped) * part.value::bigint)::bigint AS units
        FROM order_line AS line JOIN reservation USING (holder), jsonb_each_text(line.components) AS part
        WHERE reservation.status = 'live' GROUP BY line.holder, part.key
    ), holding AS (
        SELECT line.holder, line.sku, sum(line.held + line.oversold + line.early)::bigint AS units
        FROM reservation_line AS line JOIN reservation USING (holder)
        WHERE reservation.status = 'live' AND reservation.kind = 'order' GROUP BY line.holder, line.sku
    )
    SELECT holder, sku, coalesce(ordered.units, 0) AS ordered, coalesce(holding.units, 0) AS holding
    FROM ordered FULL JOIN holding USING (holder, sku)
    WHERE coalesce(ordered.units, 0) <> coalesce(holding.units, 0) ORDER BY holder, sku LIMIT :most
    """
)

# An order takes a hold's units over where they lie, without a movement: so what a channel's holders hold together is
# compared with what moved for them together.
_MOVED = text(
    """
    WITH moved AS (
        SELECT split_part(reference, ':', 2) AS channel, sku, location, sum(change)::bigint AS units
        FROM (SELECT reference, sku, location, -quantity AS change FROM movement
              WHERE from_state IN ('reserved', 'allocated')
              UNION ALL
              SELECT reference, sku, to_location, quantity FROM movement WHERE to_state IN ('reserved', 'allocated')
             ) AS sides
        WHERE starts_with(reference, 'order:') OR starts_with(reference, 'hold:')
        GROUP BY 1, sku, location
    ), holding AS (
        SELECT reservation.channel, line.sku, line.location, sum(line.held)::bigint AS units
        FROM reservation_line AS line JOIN reservation USING (holder)
        WHERE reservation.status = 'live' AND line.held > 0 GROUP BY reservation.channel, line.sku, line.location
    )
    SELECT channel, sku, location, coalesce(moved.units, 0) AS moved, coalesce(holding.units, 0) AS holding
    FROM moved FULL JOIN holding USING (channel, sku, location)
    WHERE coalesce(moved.units, 0) <> coalesce(holding.units, 0) ORDER BY channel, sku, location LIMIT :most
    """
)

_STUCK = text(
    """
    SELECT 'outbox' AS place, sku, '' AS channel, dirty_at AS since, 1 AS many FROM outbox
    WHERE dirty_at < :before AND due_at < :before AND (lease_until IS NULL OR lease_until < :now)
    UNION ALL
    SELECT 'inbox', '', channel, min(received_at), count(*)::int FROM inbox
    WHERE status = 'pending' AND received_at < :before AND (lease_until IS NULL OR lease_until < :now) GROUP BY channel
    ORDER BY 1, 2, 3 LIMIT :most
    """
)


def inspect(connection: Connection, *, now: datetime) -> list[Found]:
    """Everything that does not hold. Changes and locks nothing."""
    return [
        *_sums(connection),
        *_holds(connection, now),
        *_negatives(connection),
        *_reservations(connection),
        *_waiting(connection, now),
    ]


def _found(drift: Drift, subject: str, expected: int, stored: int, message: str, **about: str) -> Found:
    return Found(
        Comparison.LEDGER, drift, DiscrepancyClass.MISMATCH, f"{drift.value}/{subject}", expected, stored, message,
        severity=Severity.CRITICAL, **about,
    )  # fmt: skip


def _sums(connection: Connection) -> Iterator[Found]:
    for one in rebuilding.compare(connection)[:_MOST]:
        about = {"channel": one.location} if one.check is rebuilding.Check.EXPOSURE else {"location": one.location}
        where = f"{one.sku}@{one.location}/{one.state}"
        message = f"{one.check.value} {where}: {one.stored} stand there, {one.expected} should"
        yield _found(Drift(one.check.value), where, one.expected, one.stored, message, sku=one.sku, **about)


def _holds(connection: Connection, now: datetime) -> Iterator[Found]:
    for row in connection.execute(_ENDED, {"most": _MOST}):
        message = f"{row.holder} is {row.status} and still holds {row.held} of {row.sku} at {row.location}"
        subject = f"{row.holder}/{row.sku}@{row.location}"
        yield _found(
            Drift.ORPHANED_HOLD, subject, 0, row.held, message,
            sku=row.sku, channel=row.channel, location=row.location,
        )  # fmt: skip
    for row in connection.execute(_UNSWEPT, {"before": now - UNSWEPT_AFTER, "most": _MOST}):
        yield Found(
            Comparison.LEDGER, Drift.ORPHANED_HOLD, DiscrepancyClass.DELAYED, f"orphaned_hold/{row.holder}", 0,
            row.held, f"{row.holder} ended at {row.expires_at:%Y-%m-%d %H:%M} UTC, and nobody has swept it",
            channel=row.channel,
        )  # fmt: skip
    for row in connection.execute(_DOUBLED, {"most": _MOST}):
        message = f"{row.holder} and the hold {row.twice} that it came from both hold {row.units} units"
        yield _found(Drift.DOUBLED_HOLD, row.holder, 0, row.units, message, sku=row.sku, channel=row.channel)


def _negatives(connection: Connection) -> Iterator[Found]:
    outside = [state.value for state in OUTSIDE_ACCOUNTS]
    for row in connection.execute(_NEGATIVE, {"outside": outside, "most": _MOST}):
        where = f"{row.sku}@{row.location}/{row.state}"
        message = f"{where} is {row.quantity}: a shelf cannot hold less than nothing"
        yield _found(Drift.NEGATIVE, where, 0, row.quantity, message, sku=row.sku, location=row.location)


def _reservations(connection: Connection) -> Iterator[Found]:
    for row in connection.execute(_LINES, {"most": _MOST}):
        message = f"{row.holder}: {row.ordered} of {row.sku} are ordered and {row.holding} held"
        yield _found(
            Drift.UNMATCHED_LINES, f"{row.holder}/{row.sku}", row.ordered, row.holding, message,
            sku=row.sku, channel=row.holder.split(":")[1] if ":" in row.holder else "",
        )  # fmt: skip
    for row in connection.execute(_MOVED, {"most": _MOST}):
        message = f"{row.channel} holds {row.holding} of {row.sku} at {row.location}, and {row.moved} moved for it"
        yield _found(
            Drift.UNMATCHED_LINES, f"{row.channel}:{row.sku}@{row.location}", row.moved, row.holding, message,
            sku=row.sku, channel=row.channel, location=row.location,
        )  # fmt: skip


def _waiting(connection: Connection, now: datetime) -> Iterator[Found]:
    for row in connection.execute(_STUCK, {"before": now - STUCK_AFTER, "now": now, "most": _MOST}):
        name = row.sku or row.channel
        yield Found(
            Comparison.LEDGER, Drift.STUCK, DiscrepancyClass.DELAYED, f"stuck/{row.place}/{name}", 0, row.many,
            f"{name} has waited in the {row.place} since {row.since:%Y-%m-%d %H:%M} UTC",
            sku=row.sku, channel=row.channel,
        )  # fmt: skip
