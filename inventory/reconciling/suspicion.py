"""The three usual suspects when a number is zero and should be fifty. A suspicion is no verdict: a person looks.

- A *large manual adjustment*: somebody moved at least half of what was available, and no fewer than ten.
- An *app sync set to zero*: a synchronisation took the last available unit, or a channel was set to zero by
  somebody else.
- A *duplicate order deduction*: one order (number and content) under two channels, the same content twice
  within seconds, or an adjustment that names an order which was deducted already.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

LARGE_UNITS = 10
LARGE_SHARE = 0.5
TWICE_WITHIN_SECONDS = 10


class Pattern(StrEnum):
    LARGE_ADJUSTMENT = "large manual adjustment"
    SYNC_TO_ZERO = "app sync set to zero"
    DUPLICATE_DEDUCTION = "duplicate order deduction"


@dataclass(frozen=True, slots=True)
class Suspect:
    pattern: Pattern
    at: datetime
    units: int
    evidence: str


_TAKEN = text(
    """
    WITH sides AS (
        SELECT id, location AS place, -quantity AS change FROM movement WHERE sku = :sku AND from_state = 'available'
        UNION ALL
        SELECT id, to_location, quantity FROM movement WHERE sku = :sku AND to_state = 'available'
    ), running AS (
        SELECT id, place, change, sum(change) OVER (ORDER BY id)::bigint AS after,
               sum(change) OVER (PARTITION BY place ORDER BY id)::bigint AS left_there
        FROM sides
    )
    SELECT running.id, running.place, -running.change AS units, running.after, running.left_there, movement.reason,
           movement.source, movement.actor, movement.reference, movement.occurred_at
    FROM running JOIN movement USING (id)
    WHERE running.change < 0 AND movement.reason IN ('adjustment', 'count', 'write_off', 'app_sync')
    ORDER BY running.id
    """
)

_ZEROED = text(
    """
    SELECT discrepancy.channel, listing.ref, discrepancy.expected, discrepancy.opened_at
    FROM discrepancy JOIN listing ON listing.id = discrepancy.listing_id
    WHERE discrepancy.sku = :sku AND discrepancy.kind = 'foreign_write' AND discrepancy.observed = 0
      AND discrepancy.expected > 0
    ORDER BY discrepancy.id
    """
)

_ORDERS = text(
    """
    WITH holders AS (
        SELECT holder, channel, placed_at, substr(holder, length('order:' || channel || ':') + 1) AS order_id
        FROM reservation WHERE kind = 'order' AND holder IN (SELECT holder FROM reservation_line WHERE sku = :sku)
    ), content AS (
        SELECT holders.*, string_agg(line.sku || '*' || line.quantity, ';' ORDER BY line.sku, line.quantity) AS what,
               sum(line.quantity * CAST(coalesce(line.components ->> :sku, '0') AS bigint))::bigint AS units
        FROM holders JOIN order_line AS line USING (holder)
        GROUP BY holders.holder, holders.channel, holders.placed_at, holders.order_id
    ), beside AS (
        SELECT *, lag(holder) OVER times AS earlier, lag(placed_at) OVER times AS earlier_at,
               lag(holder) OVER numbers AS namesake
        FROM content
        WINDOW times AS (PARTITION BY what ORDER BY placed_at, holder),
               numbers AS (PARTITION BY order_id, what ORDER BY placed_at, holder)
    )
    SELECT holder, placed_at, units, namesake,
           CASE WHEN placed_at - earlier_at <= make_interval(secs => :seconds) THEN earlier END AS twin
    FROM beside
    WHERE namesake IS NOT NULL OR placed_at - earlier_at <= make_interval(secs => :seconds)
    ORDER BY placed_at, holder
    """
)


def suspects(connection: Connection, sku: str) -> list[Suspect]:
    """What of the SKU's history looks like one of the three, oldest first."""
    found: list[Suspect] = []
    orders = _order_names(connection, sku)
    for row in connection.execute(_TAKEN, {"sku": sku}):
        before = row.after + row.units
        by = f"{row.reason} of {row.units} at {row.place} by {row.actor or row.source} (movement {row.id})"
        if row.reason != "app_sync" and row.units >= LARGE_UNITS and row.units >= LARGE_SHARE * before:
            evidence = f"{by}: {before} were available before it, {row.after} after"
            found.append(Suspect(Pattern.LARGE_ADJUSTMENT, row.occurred_at, row.units, evidence))
        if row.reason == "app_sync" and row.left_there == 0:
            found.append(Suspect(Pattern.SYNC_TO_ZERO, row.occurred_at, row.units, f"{by}: nothing was left there"))
        named = sorted(orders & set(row.reference.replace(",", " ").split()))
        if named:
            evidence = f"{by}: its reference names order {named[0]}, which was deducted as a sale"
            found.append(Suspect(Pattern.DUPLICATE_DEDUCTION, row.occurred_at, row.units, evidence))
    for row in connection.execute(_ZEROED, {"sku": sku}):
        evidence = f"{row.channel} showed 0 of {row.ref} instead of {row.expected}, and we had not written it"
        found.append(Suspect(Pattern.SYNC_TO_ZERO, row.opened_at, row.expected, evidence))
    for row in connection.execute(_ORDERS, {"sku": sku, "seconds": TWICE_WITHIN_SECONDS}):
        evidence = (
            f"{row.holder} has the number and the content of {row.namesake}"
            if row.namesake
            else f"{row.holder} has the content of {row.twin}, placed seconds before"
        )
        found.append(Suspect(Pattern.DUPLICATE_DEDUCTION, row.placed_at, row.units, evidence))
    return sorted(found, key=lambda one: one.at)


def _order_names(connection: Connection, sku: str) -> set[str]:
    """Order ids and holders under which the SKU was sold."""
    rows = connection.execute(
        text(
            "SELECT holder, substr(holder, length('order:' || channel || ':') + 1) AS order_id FROM reservation "
            "WHERE kind = 'order' AND holder IN (SELECT holder FROM reservation_line WHERE sku = :sku)"
        ),
        {"sku": sku},
    )
    return {name for row in rows for name in (row.holder, row.order_id)}
