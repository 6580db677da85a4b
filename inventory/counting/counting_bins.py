"""What is known of each bin that speaks for counting it, read from the ledger in one statement."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from inventory.counting.counting_plan import SALES_DAYS, Bin
from inventory.words import ON_HAND, OUTSIDE_ACCOUNTS, CountCause

_INSIDE = ", ".join(f"'{state}'" for state in ON_HAND)
_OUTSIDE = ", ".join(f"'{state}'" for state in sorted(OUTSIDE_ACCOUNTS))
_DONE = "status IN ('matched', 'adjusted')"

_BINS = text(
    f"""
    WITH held AS (
        SELECT sku, location, sum(quantity)::bigint AS on_hand FROM balance
        WHERE state IN ({_INSIDE}) AND (:all OR sku = ANY(:skus)) GROUP BY sku, location
    ), moved AS (
        -- Both sides of each movement that touch a shelf.
        SELECT sku, place AS location, min(recorded_at) AS first_at, max(recorded_at) AS last_at,
               count(*) FILTER (WHERE sold AND occurred_at > :since) AS picks,
               coalesce(sum(quantity) FILTER (WHERE sold AND occurred_at > :since), 0)::bigint AS units,
               max(occurred_at) FILTER (WHERE sold) AS last_sale
        FROM (
            SELECT sku, location AS place, quantity, recorded_at, occurred_at,
                   reason IN ('sale', 'hold') AND from_state = 'available' AS sold
            FROM movement WHERE from_state IN ({_INSIDE}) AND (:all OR sku = ANY(:skus))
            UNION ALL
            SELECT sku, to_location, quantity, recorded_at, occurred_at, false
            FROM movement WHERE (from_state NOT IN ({_INSIDE}) OR location <> to_location)
                            AND to_state IN ({_INSIDE}) AND (:all OR sku = ANY(:skus))
        ) AS sides GROUP BY sku, place
    ), done AS (
        SELECT sku, location, max(counted_at) FILTER (WHERE {_DONE}) AS last_at,
               count(*) FILTER (WHERE {_DONE}) AS counts,
               count(*) FILTER (WHERE {_DONE} AND variance <> 0) AS errors,
               max(decided_at) FILTER (WHERE status = 'rejected' OR posted <> variance) AS doubted_at
        FROM bin_count WHERE (:all OR sku = ANY(:skus)) GROUP BY sku, location
    ), bins AS (
        SELECT held.sku, held.location, held.on_hand, moved.first_at, moved.picks, moved.units, moved.last_sale,
               done.last_at AS counted_at, coalesce(done.last_at, moved.first_at) AS since,
               coalesce(done.counts, 0) AS counts, coalesce(done.errors, 0) AS errors, done.doubted_at
        FROM held JOIN moved USING (sku, location) LEFT JOIN done USING (sku, location)
        WHERE (held.on_hand > 0 OR moved.last_at > :since)
          AND NOT EXISTS (SELECT FROM bin_count WHERE bin_count.sku = held.sku AND bin_count.location = held.location
                                                  AND bin_count.status IN ('open', 'recount', 'awaiting_approval'))
    ), unfound AS (
        SELECT subject AS sku, max(last_at) AS at FROM incident WHERE kind IN ('oversold', 'unit_not_found')
        GROUP BY subject
    ), drifted AS (
        SELECT sku, max(last_seen_at) AS at FROM discrepancy WHERE kind IN ('mismatch', 'bad_count') GROUP BY sku
    ), late AS (
        -- Known to have moved before the count, but only since: the count did not know of it.
        SELECT DISTINCT last.sku, last.location, last.counted_at
        FROM bin_count AS last JOIN bins USING (sku, location, counted_at) JOIN movement ON movement.sku = last.sku
        WHERE last.{_DONE}
          AND movement.recorded_at > last.decided_at AND movement.occurred_at <= last.counted_at
          AND ((movement.location = last.location AND movement.from_state IN ({_INSIDE}))
               <> (movement.to_location = last.location AND movement.to_state IN ({_INSIDE})))
          AND movement.from_state <> 'count_gain' AND movement.to_state <> 'count_loss'
    )
    SELECT bins.*, cost.unit_cost, coalesce(unfound.at > bins.since, false) AS oversell,
           coalesce(drifted.at > bins.since, false) AS drift, late.sku IS NOT NULL AS late
    FROM bins LEFT JOIN item_cost AS cost USING (sku) LEFT JOIN unfound USING (sku) LEFT JOIN drifted USING (sku)
    LEFT JOIN late USING (sku, location)
    ORDER BY bins.location, bins.sku
    """  # noqa: S608 - put together from constants of this file
)


def bins(
    connection: Connection, *, now: datetime, assumed_cost: float, skus: Collection[str] | None = None
) -> list[Bin]:
    """Every bin that is not about to be counted already: one that holds units, or from or to which units moved in the
    last 91 days. `skus`: only theirs. `assumed_cost`: of a unit nobody has priced."""
    rows = connection.execute(
        _BINS, {"since": now - timedelta(days=SALES_DAYS), "all": skus is None, "skus": sorted(skus or ())}
    )
    found = []
    for row in rows:
        days = min(max((now - row.first_at).total_seconds() / 86_400, 1.0), SALES_DAYS)
        prompts = {
            CountCause.OVERSELL: row.oversell,
            CountCause.DRIFT: row.drift,
            CountCause.LATE_MOVEMENT: row.late,
            CountCause.REJECTED: row.doubted_at is not None and row.doubted_at >= row.since,
        }
        found.append(
            Bin(
                sku=row.sku,
                location=row.location,
                on_hand=row.on_hand,
                since=row.since,
                unit_cost=assumed_cost if row.unit_cost is None else float(row.unit_cost),
                picks=row.picks / days,
                demand=row.units / days,
                last_sale=row.last_sale,
                counts=row.counts,
                errors=row.errors,
                prompts=frozenset(cause for cause, is_so in prompts.items() if is_so),
            )
        )
    return found


def taken_lines(connection: Connection, *, now: datetime) -> Mapping[str, int]:
    """Lines by location that take their part of today's capacity: not yet counted, or of a sheet made today (in UTC).
    Recounts are lines, too."""
    rows = connection.execute(
        text(
            "SELECT count_sheet.location, count(*) AS lines FROM count_line "
            "JOIN count_sheet ON count_sheet.id = count_line.sheet "
            "JOIN bin_count ON bin_count.id = count_line.bin_count "
            "WHERE (count_line.quantity IS NULL AND bin_count.status IN ('open', 'recount')) "
            "OR count_sheet.created_at >= :today GROUP BY count_sheet.location"
        ),
        {"today": _midnight(now)},
    )
    return {row.location: row.lines for row in rows}


def turns_taken(connection: Connection, *, now: datetime) -> Mapping[str, int]:
    """Bins by location that were put on a sheet today because it was their turn."""
    rows = connection.execute(
        text(
            "SELECT location, count(*) AS bins FROM bin_count WHERE opened_at >= :today AND NOT prompted "
            "GROUP BY location"
        ),
        {"today": _midnight(now)},
    )
    return {row.location: row.bins for row in rows}


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def overdue(connection: Connection, *, now: datetime) -> dict[str, int]:
    """{location: bins on a sheet that was not counted before their time was over}."""
    rows = connection.execute(
        text(
            "SELECT location, count(*) AS bins FROM bin_count WHERE status IN ('open', 'recount') AND due_at < :now "
            "GROUP BY location"
        ),
        {"now": now},
    )
    return {row.location: row.bins for row in rows}
