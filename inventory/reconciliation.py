"""Ledger against channel quantities: what a channel shows, against what it should show by all we know.

The number to expect of a listing is its exposure: once nothing is in doubt and every order has been read,
exposure and live number are the same. A difference is classed, opened as a discrepancy, and healed by
taking the observation as evidence (`exposure.observe`) and publishing the SKU anew. Nothing is healed on a
stale read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.exposure import Observation
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.outbox import mark_dirty
from inventory.words import DiscrepancyClass, IncidentKind, Severity


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


@dataclass(frozen=True, slots=True)
class Reconciliation:
    channel: str
    compared: int
    equal: int
    differing: tuple[Compared, ...]
    missing: tuple[str, ...]
    """Refs that the channel was asked for and does not know."""
    healed: int
    """Discrepancies that were open and are no more."""


_COMPARE = text(
    """
    SELECT listing.id, listing.channel, listing.ref, listing.sku, known.expected,
           seen.quantity AS observed,
           listing.unconfirmed_until IS NOT NULL AS in_doubt,
           listing.settling IS NOT NULL AS settling,
           EXISTS (SELECT FROM outbox WHERE outbox.sku = listing.sku) AS dirty
    FROM unnest(CAST(:ids AS bigint[]), CAST(:quantities AS int[])) AS seen (id, quantity)
    JOIN listing ON listing.id = seen.id JOIN channel ON channel.code = listing.channel,
    -- What a channel that asks first shows is no exposure: there the last number it confirmed is expected.
    LATERAL (SELECT CASE WHEN channel.asks_first THEN listing.confirmed ELSE listing.exposure END) AS known (expected)
    WHERE known.expected IS DISTINCT FROM greatest(seen.quantity, 0)
    ORDER BY listing.id
    """
)

_OPEN = text(
    """
    INSERT INTO discrepancy (listing_id, channel, sku, kind, expected, observed, status, resolution, opened_at,
                             last_seen_at, times)
    SELECT id, :channel, sku, kind, expected, observed, 'open', '', :now, :now, 1
    FROM unnest(CAST(:ids AS bigint[]), CAST(:skus AS text[]), CAST(:kinds AS text[]), CAST(:expected AS int[]),
                CAST(:observed AS int[])) AS found (id, sku, kind, expected, observed)
    ORDER BY id
    ON CONFLICT (listing_id) WHERE status = 'open'
    DO UPDATE SET times = discrepancy.times + 1, last_seen_at = EXCLUDED.last_seen_at, kind = EXCLUDED.kind,
                  expected = EXCLUDED.expected, observed = EXCLUDED.observed
    """
)

_CLOSE = text(
    """
    UPDATE discrepancy SET status = 'resolved', resolution = 'healed', resolved_at = :now
    WHERE status = 'open' AND listing_id = ANY(:ids)
    """
)


def compare(
    connection: Connection,
    channel: str,
    observations: Sequence[Observation],
    *,
    missing: Sequence[str] = (),
    pulled_at: datetime | None,
    stale_after: timedelta,
    heal: bool,
    now: datetime,
) -> Reconciliation:
    """Compare one channel's readings with the ledger, open and close discrepancies.

    Call it before the readings are noted as observed, with `pulled_at`, the start of the channel's last
    complete pull: when that is older than `stale_after`, every difference is classed stale and none healed.
    """
    stale = pulled_at is None or now - pulled_at > stale_after
    rows = connection.execute(
        _COMPARE,
        {"ids": [one.listing_id for one in observations], "quantities": [one.quantity for one in observations]},
    ).all()
    differing = tuple(
        Compared(row.id, row.channel, row.ref, row.sku, _class(row, stale), row.expected or 0, row.observed)
        for row in rows
    )
    if differing:
        connection.execute(
            _OPEN,
            {
                "channel": channel,
                "ids": [one.listing_id for one in differing],
                "skus": [one.sku for one in differing],
                "kinds": [one.kind.value for one in differing],
                "expected": [one.expected for one in differing],
                "observed": [one.observed for one in differing],
                "now": now,
            },
        )
    different = {one.listing_id for one in differing}
    equal = [one.listing_id for one in observations if one.listing_id not in different]
    healed = connection.execute(_CLOSE, {"ids": equal, "now": now}).rowcount
    if heal and not stale:
        mark_dirty(connection, {one.sku for one in differing}, now=now)
    _tell(connection, channel, differing, now)
    return Reconciliation(channel, len(observations), len(equal), differing, tuple(sorted(missing)), healed)


def _class(row: object, stale: bool) -> DiscrepancyClass:
    """Delayed: it is known and on its way. Foreign write: more is live than we ever allowed."""
    if stale:
        return DiscrepancyClass.STALE
    if row.in_doubt or row.settling or row.dirty:  # type: ignore[attr-defined]
        return DiscrepancyClass.DELAYED
    if row.observed > (row.expected or 0):  # type: ignore[attr-defined]
        return DiscrepancyClass.FOREIGN_WRITE
    return DiscrepancyClass.MISMATCH


def _tell(connection: Connection, channel: str, differing: Sequence[Compared], now: datetime) -> None:
    foreign = [one for one in differing if one.kind is DiscrepancyClass.FOREIGN_WRITE]
    open_incidents(
        connection,
        [
            NewIncident(
                IncidentKind.FOREIGN_WRITE,
                Severity.WARNING,
                f"{channel}/{one.ref}",
                f"{channel} shows {one.observed} of {one.sku}, but {one.expected} is all it was given: somebody else "
                "writes to it, or units were put back that no cancellation tells of",
                {"listing_id": one.listing_id, "expected": one.expected, "observed": one.observed},
            )
            for one in foreign
        ],
        now=now,
    )
    negative = [one for one in differing if one.observed < 0]
    open_incidents(
        connection,
        [
            NewIncident(
                IncidentKind.NEGATIVE_STOCK,
                Severity.CRITICAL,
                f"{channel}/{one.ref}",
                f"{channel} shows {one.observed} of {one.sku}: it has sold below zero",
                {"listing_id": one.listing_id},
            )
            for one in negative
        ],
        now=now,
    )
    drift = [one for one in differing if one.kind is DiscrepancyClass.MISMATCH]
    if drift:
        incident = NewIncident(
            IncidentKind.DRIFT,
            Severity.WARNING,
            channel,
            f"{len(drift)} listings of {channel} show less than the ledger says, the first {drift[0].sku}",
            {"skus": sorted({one.sku for one in drift})[:50]},
        )
        open_incidents(connection, [incident], now=now)
    else:
        resolve_incidents(connection, IncidentKind.DRIFT, [channel], now=now)
