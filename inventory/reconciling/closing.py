"""Quantities that agree again, or that somebody sets back: what a difference had been is decided here, when it is over.

Works on the readings of one channel that the session holds (`inventory.reconciling.readings`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.words import DiscrepancyClass, IncidentKind, Severity

_MOST_INCIDENTS = 500

# Agrees again. In a table of its own that is analysed: the planner would take what a first look after many differences
# finds for a single row, and compare each with each.
_ENDED = text(
    """
    CREATE TEMPORARY TABLE ended ON COMMIT DROP AS
    SELECT discrepancy.id, discrepancy.listing_id, discrepancy.kind, discrepancy.expected, discrepancy.observed,
           discrepancy.opened_at, discrepancy.last_seen_at, discrepancy.subject, reading.expected AS known,
           coalesce(listing.confirmed_at > discrepancy.opened_at, false) AS published
    FROM reading JOIN listing ON listing.id = reading.listing_id
    JOIN discrepancy ON discrepancy.listing_id = reading.listing_id AND discrepancy.status = 'open'
    WHERE NOT reading.differs AND reading.kind IS NULL AND reading.expected IS NOT NULL
      AND listing.disputed_since IS NULL
      -- Our number is still on its way there.
      AND (discrepancy.healing_since IS NULL OR coalesce(listing.confirmed_at > discrepancy.opened_at, false)
           OR NOT EXISTS (SELECT FROM outbox WHERE outbox.sku = listing.sku))
    """
)

# What was read since the difference was seen says what it had been.
_SETTLED = text(
    """
    WITH sold AS (
        SELECT ended.id, sum(line.quantity) AS units
        FROM reservation JOIN order_line AS line USING (holder) JOIN ended ON ended.listing_id = line.listing_id
        WHERE reservation.kind = 'order' AND reservation.channel = :channel
          AND reservation.placed_at >= (SELECT min(opened_at) FROM ended) - interval '2 days'
          AND reservation.recorded_at > ended.opened_at
          AND reservation.placed_at <= ended.last_seen_at + interval '5 min'
        GROUP BY ended.id
    ), came_back AS (
        SELECT ended.id, sum(reversal.applied) AS units
        FROM ended JOIN order_line AS line ON line.listing_id = ended.listing_id
        JOIN reversal USING (holder, line_id)
        WHERE ended.kind = 'foreign_write' AND reversal.recorded_at > ended.opened_at
        GROUP BY ended.id
    ), lost AS (
        -- The raise that the channel confirmed last is just what was missing, and it never showed.
        SELECT ended.id FROM ended, LATERAL (
            SELECT quantity - CAST(inputs ->> 'live' AS int) AS raised,
                   read_back <= CAST(inputs ->> 'live' AS int) AS unseen FROM publication
            WHERE publication.listing_id = ended.listing_id AND publication.status = 'confirmed'
              AND publication.sent_at < ended.opened_at ORDER BY publication.id DESC LIMIT 1
        ) AS last
        WHERE last.raised = ended.expected - ended.observed AND last.unseen
    )
    SELECT ended.id, ended.listing_id, ended.subject,
           CASE WHEN ended.kind = 'delayed' AND ended.published AND lost.id IS NOT NULL THEN 'mismatch'
                WHEN ended.kind IN ('stale', 'delayed', 'bad_count') THEN ended.kind
                WHEN ended.kind = 'foreign_write' AND came_back.units >= ended.observed - ended.expected THEN 'delayed'
                WHEN ended.kind = 'foreign_write' THEN ended.kind
                WHEN sold.units >= ended.expected - ended.observed THEN 'delayed'
                WHEN NOT ended.published AND ended.known = ended.expected THEN 'delayed'
                WHEN lost.id IS NOT NULL THEN 'mismatch'
                ELSE 'foreign_write' END AS kind,
           CASE WHEN sold.units >= ended.expected - ended.observed AND ended.kind <> 'foreign_write'
                  OR came_back.units >= ended.observed - ended.expected THEN 'explained'
                WHEN ended.published THEN 'healed' ELSE 'agrees' END AS resolution,
           ended.subject IN (SELECT before.subject FROM discrepancy AS before
                             WHERE before.comparison = 'quantities' AND before.kind = 'foreign_write'
                               AND before.resolution = 'healed'
                               AND before.opened_at > CAST(:now AS timestamptz) - :window) AS again
    FROM ended LEFT JOIN sold USING (id) LEFT JOIN came_back USING (id) LEFT JOIN lost USING (id)
    ORDER BY ended.id
    """
)


def close_agreeing(connection: Connection, channel: str, *, window: timedelta, now: datetime) -> tuple[int, set[int]]:
    """Close what agrees again; returns how many, and the listings that were lowered again, within the window, after we
    had set them: those stay open."""
    if connection.execute(_ENDED).rowcount == 0:
        return 0, set()
    connection.execute(text("ANALYZE pg_temp.ended"))
    ended = connection.execute(_SETTLED, {"now": now, "channel": channel, "window": window}).all()
    again = {row.listing_id for row in ended if row.again and row.kind == DiscrepancyClass.FOREIGN_WRITE}
    closing = [row for row in ended if row.listing_id not in again]
    if again:
        connection.execute(
            text("UPDATE discrepancy SET kind = 'foreign_write' WHERE status = 'open' AND listing_id = ANY(:ids)"),
            {"ids": sorted(again)},
        )
    if closing:
        connection.execute(
            text(
                "UPDATE discrepancy SET status = 'resolved', resolved_at = :now, kind = given.kind, "
                "resolution = given.resolution "
                "FROM unnest(CAST(:ids AS bigint[]), CAST(:kinds AS text[]), CAST(:resolutions AS text[])) "
                "     AS given (id, kind, resolution) WHERE discrepancy.id = given.id"
            ),
            {
                "ids": [row.id for row in closing],
                "kinds": [row.kind for row in closing],
                "resolutions": [row.resolution for row in closing],
                "now": now,
            },
        )
        for kind in (IncidentKind.FOREIGN_WRITE, IncidentKind.NEGATIVE_STOCK):
            resolve_incidents(connection, kind, [row.subject for row in closing], now=now)
    return len(closing), again


def dispute(connection: Connection, listing_ids: Sequence[int], *, now: datetime) -> list[str]:
    """Somebody sets these back as often as we set them: stop, and let a person decide."""
    if not listing_ids:
        return []
    rows = connection.execute(
        text(
            "UPDATE listing SET disputed_since = :now WHERE id = ANY(:ids) AND disputed_since IS NULL "
            "RETURNING channel || '/' || ref AS subject, sku, observed"
        ),
        {"ids": list(listing_ids), "now": now},
    ).all()
    connection.execute(
        text(
            "UPDATE discrepancy SET severity = 'critical', message = 'two writers: nothing is written until a person "
            "decides' WHERE status = 'open' AND listing_id = ANY(:ids)"
        ),
        {"ids": list(listing_ids)},
    )
    open_incidents(
        connection,
        [
            NewIncident(
                IncidentKind.WRITE_CONFLICT,
                Severity.CRITICAL,
                row.subject,
                f"the number of {row.sku} at {row.subject} was changed by somebody else again after we had set it: "
                "nothing is written to it until resolve_discrepancy is run for it",
            )
            for row in rows[:_MOST_INCIDENTS]
        ],
        now=now,
    )
    return sorted(row.subject for row in rows)
