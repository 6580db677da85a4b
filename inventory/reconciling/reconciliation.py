"""Ledger against channel quantities: what differs is classed, opened, healed where that is safe, and closed.

Classes, of a listing that shows `observed` where `expected` was known of (the readings:
`inventory.reconciling.readings`):

- *stale*: the channel's orders were read too long ago, so the difference may be sales. Nothing is done.
- *bad count*: it shows less than nothing: the channel sold units that are not there.
- *foreign write*: it shows more than it was ever given, and exposure bounds that from above. Somebody else wrote, or
  put units back that no cancellation tells of.
- *delayed*: it shows less, and a write is on its way, or its orders are not yet certain to be all in.
- *mismatch*: it shows less, and nothing that is known explains it.

When the numbers agree again, what was read since tells what a mismatch was: *delayed*, if an order of that time came
late or the number came back by itself; still a *mismatch*, if just our last raise was missing, which was confirmed and
never applied; else somebody lowered it: a *foreign write*.

Healing is publishing the SKU anew, from the ledger. A number that somebody changes back after we have set it is a
conflict: the listing is disputed until a person decides, and nothing heals it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.publishing.outbox import mark_dirty
from inventory.reconciling.closing import close_agreeing, dispute
from inventory.words import DiscrepancyClass, IncidentKind, Severity

FLIP_WINDOW = timedelta(hours=24)
"""A number that is changed twice within this time, with ours set in between, is in dispute."""
MOST_TOLD = 200
_MOST_INCIDENTS = 500


@dataclass(frozen=True, slots=True)
class Compared:
    """One listing whose numbers differ."""

    listing_id: int
    channel: str
    ref: str
    sku: str
    kind: DiscrepancyClass
    expected: int
    observed: int


@dataclass(slots=True)
class Reconciliation:
    """What became of one channel's numbers. Counts of listings."""

    channel: str
    asked: int = 0
    compared: int = 0
    differing: int = 0
    missing: int = 0
    """The channel was asked for them and does not know them."""
    missing_refs: tuple[str, ...] = ()
    """The first of those."""
    unusable: int = 0
    """Numbers that no shelf can hold; set aside."""
    by_class: dict[DiscrepancyClass, int] = field(default_factory=dict)
    worst: tuple[Compared, ...] = ()
    """The largest differences."""
    healing: int = 0
    """Published anew now."""
    closed: int = 0
    """Discrepancies that were open and are no more."""
    disputed: tuple[str, ...] = ()
    """Subjects that have become a conflict."""
    stale: bool = False
    blocked: str = ""
    """Why the gate does not believe the answer; nothing was opened, closed or healed."""

    @property
    def equal(self) -> int:
        return self.compared - self.differing


_CLASS = text(
    """
    UPDATE reading
    SET kind = CASE
        WHEN :stale THEN 'stale'
        WHEN reading.quantity < 0 THEN 'bad_count'
        WHEN reading.quantity > reading.expected THEN 'foreign_write'
        WHEN listing.unconfirmed_until IS NOT NULL OR listing.settling IS NOT NULL OR outbox.sku IS NOT NULL
             THEN 'delayed'
        ELSE 'mismatch' END
    FROM listing LEFT JOIN outbox ON outbox.sku = listing.sku AND outbox.eager
    WHERE listing.id = reading.listing_id AND reading.differs
    """
)

_SET_BACK = text(
    """
    SELECT reading.listing_id FROM reading
    JOIN listing ON listing.id = reading.listing_id
    JOIN discrepancy ON discrepancy.listing_id = reading.listing_id AND discrepancy.status = 'open'
    WHERE reading.kind = 'foreign_write' AND discrepancy.kind = 'foreign_write'
      AND listing.confirmed_at > discrepancy.last_seen_at AND listing.disputed_since IS NULL
    """
)

_OPEN = text(
    """
    INSERT INTO discrepancy (listing_id, comparison, drift, subject, channel, sku, kind, severity, expected, observed,
                             message, status, opened_at, last_seen_at, times)
    SELECT listing.id, 'quantities', 'quantity', listing.channel || '/' || listing.ref, listing.channel, listing.sku,
           reading.kind, CASE WHEN reading.kind IN ('stale', 'delayed') THEN 'info' ELSE 'warning' END,
           coalesce(reading.expected, 0), reading.quantity, '', 'open', :now, :now, 1
    FROM reading JOIN listing ON listing.id = reading.listing_id
    WHERE reading.differs ORDER BY listing.id
    ON CONFLICT (listing_id) WHERE status = 'open'
    DO UPDATE SET times = discrepancy.times + 1, last_seen_at = EXCLUDED.last_seen_at,
                  subject = EXCLUDED.subject, expected = EXCLUDED.expected, observed = EXCLUDED.observed,
                  -- What was understood once is not forgotten because a later look could not tell.
                  kind = CASE WHEN EXCLUDED.kind IN ('stale', 'delayed')
                                OR (discrepancy.kind = 'foreign_write' AND EXCLUDED.kind = 'mismatch')
                              THEN discrepancy.kind ELSE EXCLUDED.kind END
    """
)

# Looked up in a set that is made once (IS TRUE keeps it from becoming a join). Of rows that this transaction opened the
# planner knows nothing, and reads the table once for each of them.
_AGAIN = text(
    """
    SELECT fresh.listing_id FROM discrepancy AS fresh JOIN listing ON listing.id = fresh.listing_id
    WHERE fresh.status = 'open' AND fresh.kind = 'foreign_write' AND fresh.opened_at = :now
      AND fresh.channel = :channel AND listing.disputed_since IS NULL
      AND (fresh.subject IN (SELECT before.subject FROM discrepancy AS before
                             WHERE before.comparison = 'quantities' AND before.kind = 'foreign_write'
                               AND before.resolution = 'healed'
                               AND before.opened_at > CAST(:now AS timestamptz) - :window)) IS TRUE
    """
)


def settle_readings(connection: Connection, result: Reconciliation, *, stale: bool, heal: bool, now: datetime) -> None:
    """Class what differs in the session's readings, open and close discrepancies, and have published anew what policy
    says is safe. Call it once `readings.recheck` has been called and the gate believes the answer."""
    result.stale = stale
    connection.execute(_CLASS, {"stale": stale})
    disputed = {row.listing_id for row in connection.execute(_SET_BACK)}
    connection.execute(_OPEN, {"now": now})
    window = {"now": now, "channel": result.channel, "window": FLIP_WINDOW}
    disputed |= {row.listing_id for row in connection.execute(_AGAIN, window)}
    result.closed, again = close_agreeing(connection, result.channel, window=FLIP_WINDOW, now=now)
    result.disputed = tuple(dispute(connection, sorted(disputed | again), now=now))
    counted = connection.execute(text("SELECT kind, count(*) AS n FROM reading WHERE differs GROUP BY kind"))
    result.by_class = {DiscrepancyClass(row.kind): row.n for row in counted}
    result.worst = tuple(_worst(connection, MOST_TOLD))
    if heal and not stale:
        result.healing = _heal(connection, now=now)
    _tell(connection, result, now)


def _heal(connection: Connection, *, now: datetime) -> int:
    """Have them published anew; returns how many. What is in dispute is not healed, but where it shows more than it was
    given, the planner looks whether units are on sale that do not exist, and lowers it if so."""
    rows = connection.execute(
        text(
            "SELECT listing.id, listing.sku, listing.disputed_since, reading.quantity > reading.expected AS above "
            "FROM reading JOIN listing ON listing.id = reading.listing_id "
            "WHERE reading.differs AND reading.kind IN ('mismatch', 'foreign_write', 'bad_count')"
        )
    ).all()
    healing = [row for row in rows if row.disputed_since is None]
    skus = {row.sku for row in healing} | {row.sku for row in rows if row.above}
    mark_dirty(connection, skus, now=now)
    connection.execute(
        text(
            "UPDATE discrepancy SET healing_since = coalesce(healing_since, :now) "
            "WHERE status = 'open' AND listing_id = ANY(:ids)"
        ),
        {"ids": [row.id for row in healing], "now": now},
    )
    return len(healing)


def _worst(connection: Connection, limit: int, condition: str = "") -> list[Compared]:
    """The largest differences first; `condition` is our own SQL."""
    query = f"""
        SELECT listing.id, listing.channel, listing.ref, listing.sku, reading.kind, reading.expected, reading.quantity
        FROM reading JOIN listing ON listing.id = reading.listing_id WHERE reading.differs {condition}
        ORDER BY abs(reading.quantity - reading.expected) DESC, listing.id LIMIT :limit
    """  # noqa: S608
    rows = connection.execute(text(query), {"limit": limit})
    return [
        Compared(row.id, row.channel, row.ref, row.sku, DiscrepancyClass(row.kind), row.expected or 0, row.quantity)
        for row in rows
    ]


def _tell(connection: Connection, result: Reconciliation, now: datetime) -> None:
    foreign = _worst(connection, _MOST_INCIDENTS, "AND reading.kind = 'foreign_write'")
    negative = _worst(connection, _MOST_INCIDENTS, "AND reading.quantity < 0")
    incidents = [
        NewIncident(
            IncidentKind.FOREIGN_WRITE,
            Severity.WARNING,
            f"{one.channel}/{one.ref}",
            f"{one.channel} shows {one.observed} of {one.sku}, but {one.expected} is all it was given: somebody else "
            "writes to it, or units were put back that no cancellation tells of",
            {"listing_id": one.listing_id, "expected": one.expected, "observed": one.observed},
        )
        for one in foreign
    ]
    incidents += [
        NewIncident(
            IncidentKind.NEGATIVE_STOCK,
            Severity.CRITICAL,
            f"{one.channel}/{one.ref}",
            f"{one.channel} shows {one.observed} of {one.sku}: it has sold below zero",
            {"listing_id": one.listing_id},
        )
        for one in negative
    ]
    drift = [one for one in result.worst if one.kind is DiscrepancyClass.MISMATCH]
    if drift:
        many = result.by_class[DiscrepancyClass.MISMATCH]
        incidents.append(
            NewIncident(
                IncidentKind.DRIFT,
                Severity.WARNING,
                result.channel,
                f"{many} listings of {result.channel} show less than the ledger says, the worst {drift[0].sku}: "
                f"{drift[0].observed} instead of {drift[0].expected}",
                {"skus": sorted({one.sku for one in drift})[:50]},
            )
        )
    elif not _has_open(connection, result.channel, DiscrepancyClass.MISMATCH):
        resolve_incidents(connection, IncidentKind.DRIFT, [result.channel], now=now)
    open_incidents(connection, incidents, now=now)


def _has_open(connection: Connection, channel: str, kind: DiscrepancyClass) -> bool:
    return bool(
        connection.execute(
            text(
                "SELECT EXISTS (SELECT FROM discrepancy WHERE status = 'open' AND comparison = 'quantities' "
                "AND channel = :channel AND kind = :kind)"
            ),
            {"channel": channel, "kind": kind.value},
        ).scalar_one()
    )
