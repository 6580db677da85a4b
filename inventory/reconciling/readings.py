"""The numbers that one channel shows, held against what it should show by all the ledger knows.

What a listing should show is its exposure: once nothing is in doubt and every order has been read, exposure and live
number are the same. A channel that asks first is promised nothing, so there it is the last number that it confirmed, or
what was seen there last where none was ever sent.

Each page of numbers is compared at once, by one statement, with the ledger as it is then. Only what differs, what has
an open discrepancy and what is worth noting as observed is kept, in a temporary table: a million listings that agree
cost no memory and no writes. When all pages are in, `recheck` sets aside what sales and writes explain that came
between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.publishing.exposure import Observation, observe

LARGEST = 10**9
"""No shelf holds more of a listing. A larger number is a fault of the answer, and does not fit the ledger's columns."""

_FORGET = text("DROP TABLE IF EXISTS pg_temp.reading")
_KEEP = text(
    """
    CREATE TEMPORARY TABLE reading (
        listing_id bigint PRIMARY KEY, quantity bigint NOT NULL, tracked boolean NOT NULL, expected integer,
        differs boolean NOT NULL, kind text, read_started timestamptz NOT NULL, read_ended timestamptz NOT NULL
    ) ON COMMIT PRESERVE ROWS
    """
)

_NOTE = text(
    """
    WITH seen AS (
        SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:quantities AS bigint[]), CAST(:tracked AS boolean[]))
                      AS seen (id, quantity, tracked)
    ), held AS (
        SELECT seen.id, seen.quantity, seen.tracked,
               CASE WHEN :asks_first THEN coalesce(listing.confirmed, listing.observed)
                    ELSE listing.exposure END AS expected,
               listing.observed IS DISTINCT FROM seen.quantity OR listing.tracked <> seen.tracked
               OR listing.unconfirmed_until IS NOT NULL OR listing.observed_at IS NULL
               OR (listing.observed_at < :looked_before AND (listing.id + :day) % 7 = 0)
               OR opened.listing_id IS NOT NULL AS worth_noting
        -- Pages are read by key, so a range of the key holds them: without it a large table is read whole for each.
        FROM seen JOIN listing ON listing.id = seen.id AND listing.id BETWEEN :first AND :last
        LEFT JOIN discrepancy AS opened ON opened.listing_id = seen.id AND opened.status = 'open'
    ), compared AS MATERIALIZED (
        SELECT held.*, coalesce(expected <> greatest(quantity, 0) OR quantity < 0, false)
                       -- That it shows nothing is what the pause did.
                       AND NOT (:off_sale AND quantity = 0) AS differs FROM held
    ), kept AS (
        INSERT INTO reading (listing_id, quantity, tracked, expected, differs, read_started, read_ended)
        SELECT id, quantity, tracked, expected, differs, :started, :ended FROM compared WHERE worth_noting OR differs
    )
    SELECT count(*) AS answered, count(expected) AS compared, count(*) FILTER (WHERE expected > 0) AS selling
    FROM compared
    """
)

# Sales that were made, and read, while we were reading: the number lies between what was known before and what is now.
# A write that was sent after the read had started may be in it or not. Neither tells of a difference.
_RECHECK = text(
    """
    UPDATE reading SET differs = false,
           kind = CASE WHEN listing.published_at > reading.read_started THEN 'overtaken' END
    FROM listing
    WHERE listing.id = reading.listing_id AND reading.differs
      AND (listing.published_at > reading.read_started
           OR (NOT :asks_first AND reading.quantity BETWEEN listing.exposure AND reading.expected)
           -- Units that a cancellation put back; not what somebody else observed meanwhile.
           OR (NOT :asks_first AND reading.quantity BETWEEN reading.expected AND listing.exposure
               AND coalesce(listing.observed_at < reading.read_started, true)))
    """
)

_RECHECK_POOL = text(
    """
    WITH wanted AS MATERIALIZED (
        SELECT reading.listing_id,
               coalesce(listing.published_at, listing.observed_at)
               - make_interval(secs => channel.settle_seconds) AS since
        FROM reading JOIN listing ON listing.id = reading.listing_id JOIN channel ON channel.code = listing.channel
        WHERE reading.differs
    ), sold AS (
        SELECT wanted.listing_id, sum(line.quantity) AS units
        FROM reservation JOIN order_line AS line USING (holder) JOIN wanted ON wanted.listing_id = line.listing_id
        WHERE reservation.kind = 'order' AND reservation.channel = :channel
          AND reservation.placed_at >= (SELECT min(since) FROM wanted) AND reservation.placed_at >= wanted.since
        GROUP BY wanted.listing_id
    ), came_back AS (
        SELECT wanted.listing_id, sum(reversal.applied) AS units
        FROM reversal JOIN order_line AS line USING (holder, line_id)
        JOIN wanted ON wanted.listing_id = line.listing_id
        WHERE reversal.channel = :channel AND reversal.occurred_at >= wanted.since GROUP BY wanted.listing_id
    )
    UPDATE reading SET differs = false FROM wanted
    LEFT JOIN sold USING (listing_id) LEFT JOIN came_back USING (listing_id)
    WHERE reading.listing_id = wanted.listing_id AND reading.quantity >= 0
      AND reading.quantity BETWEEN reading.expected - coalesce(sold.units, 0)
                               AND reading.expected + coalesce(came_back.units, 0)
    """
)

_COUNT = text(
    "SELECT count(*) FILTER (WHERE differs) AS differing, "
    "count(*) FILTER (WHERE differs AND expected > 0 AND quantity <= 0) AS zeroed FROM reading"
)

_TO_OBSERVE = text(
    """
    SELECT reading.listing_id, reading.quantity, reading.tracked, reading.read_started, reading.read_ended
    FROM reading JOIN listing ON listing.id = reading.listing_id
    -- Of both: a join by merging would read the listings from the first one on for every page.
    WHERE reading.listing_id > :after AND listing.id > :after
      AND (NOT :raises_only OR reading.quantity > reading.expected)
      -- What moved meanwhile has been looked at by who moved it.
      AND (:asks_first OR reading.differs OR listing.exposure IS NOT DISTINCT FROM reading.expected)
    ORDER BY reading.listing_id LIMIT :limit
    """
)


@dataclass(slots=True)
class Counts:
    """Listings of one channel, as far as they were read."""

    answered: int = 0
    compared: int = 0
    selling: int = 0
    differing: int = 0
    zeroed: int = 0


def begin_readings(connection: Connection) -> None:
    """An empty table of this session alone."""
    connection.execute(_FORGET)
    connection.execute(_KEEP)


def end_readings(connection: Connection) -> None:
    connection.execute(_FORGET)


def note_readings(
    connection: Connection,
    observations: Sequence[Observation],
    counts: Counts,
    *,
    asks_first: bool,
    off_sale: bool = False,
    read_started: datetime,
    read_ended: datetime,
    looked_before: datetime,
) -> None:
    """Compare one page, and add it to the counts. A listing that agrees is noted as observed anew once a week, a
    seventh of them each day, and only where that was not done since `looked_before`: a million rows are not written to
    for nothing but a time. Quantities are at most `LARGEST`, and each listing comes once."""
    if not observations:
        return
    row = connection.execute(
        _NOTE,
        {
            "ids": [one.listing_id for one in observations],
            "first": min(one.listing_id for one in observations),
            "last": max(one.listing_id for one in observations),
            "quantities": [one.quantity for one in observations],
            "tracked": [one.tracked for one in observations],
            "asks_first": asks_first,
            "off_sale": off_sale,
            "started": read_started,
            "ended": read_ended,
            "looked_before": looked_before,
            "day": read_started.toordinal(),
        },
    ).one()
    counts.answered += row.answered
    counts.compared += row.compared
    counts.selling += row.selling


def recheck(connection: Connection, channel: str, counts: Counts, *, asks_first: bool) -> None:
    """Set aside what is explained by what was read and sent since; then the counts say how many really differ."""
    connection.execute(text("ANALYZE pg_temp.reading"))
    connection.execute(_RECHECK, {"asks_first": asks_first})
    if asks_first:
        connection.execute(_RECHECK_POOL, {"channel": channel})
    row = connection.execute(_COUNT).one()
    counts.differing, counts.zeroed = row.differing, row.zeroed


def observe_page(
    connection: Connection, after: int, *, asks_first: bool, raises_only: bool, limit: int = 5000
) -> int | None:
    """Note the next page of readings as observed, from the listing after `after` on; returns the last, or None at the
    end. `raises_only`: the answer is not believed, so only what is more than was known counts, as the worst case."""
    rows = connection.execute(
        _TO_OBSERVE, {"after": after, "raises_only": raises_only, "asks_first": asks_first, "limit": limit}
    ).all()
    for started, ended, observations in _by_read(rows):
        observe(connection, observations, read_started=started, read_ended=ended)
    return rows[-1].listing_id if rows else None


def _by_read(rows: Sequence[object]) -> Iterator[tuple[datetime, datetime, list[Observation]]]:
    pages: dict[tuple[datetime, datetime], list[Observation]] = {}
    for row in rows:
        key = (row.read_started, row.read_ended)  # type: ignore[attr-defined]
        one = Observation(row.listing_id, row.quantity, row.tracked)  # type: ignore[attr-defined]
        pages.setdefault(key, []).append(one)
    for (started, ended), observations in pages.items():
        yield started, ended, observations
