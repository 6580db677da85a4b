"""Which listing sells which SKU: written set-wise, dropped with care. The gate `listing_map` comes before."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.orders.inbox import reopen
from inventory.publishing.outbox import mark_dirty
from inventory.words import FindingKind


@dataclass(frozen=True, slots=True)
class Mapped:
    ref: str
    sku: str
    units: int
    """Pieces (or bundles) in one listing unit."""


_WRITE = text(
    """
    INSERT INTO listing (channel, ref, sku, units_per_listing, tracked, mapped_at)
    SELECT :channel, ref, sku, units, true, :now
    FROM unnest(CAST(:refs AS text[]), CAST(:skus AS text[]), CAST(:units AS int[])) AS given (ref, sku, units)
    ORDER BY ref
    ON CONFLICT (channel, ref) DO UPDATE
    SET sku = EXCLUDED.sku, units_per_listing = EXCLUDED.units_per_listing, mapped_at = EXCLUDED.mapped_at
    WHERE listing.sku <> EXCLUDED.sku OR listing.units_per_listing <> EXCLUDED.units_per_listing
    RETURNING listing.ref
    """
)

_DROP = text(
    """
    DELETE FROM listing USING channel
    WHERE channel.code = listing.channel AND listing.channel = :channel AND listing.ref = ANY(:refs)
      AND listing.unconfirmed_until IS NULL
      AND EXISTS (
          SELECT FROM catalogue_finding AS found
          WHERE found.channel = listing.channel AND found.listing_ref = listing.ref AND found.status = 'open'
            AND found.kind = ANY(:kinds) AND found.opened_at <= channel.pulled_at
      )
    RETURNING listing.id, listing.ref, listing.sku
    """
)


def listings_of(connection: Connection, channel: str) -> dict[str, Mapped]:
    """{ref: what it sells}"""
    rows = connection.execute(
        text("SELECT ref, sku, units_per_listing FROM listing WHERE channel = :channel"), {"channel": channel}
    )
    return {row.ref: Mapped(row.ref, row.sku, row.units_per_listing) for row in rows}


def write_listings(connection: Connection, channel: str, rows: Sequence[Mapped], *, now: datetime) -> set[str]:
    """New listings, and changed ones; returns the refs of both. Sales that were held back for want of a mapping are
    looked at again by the next pull."""
    if not rows:
        return set()
    before = listings_of(connection, channel)
    written = connection.execute(
        _WRITE,
        {
            "channel": channel,
            "refs": [row.ref for row in rows],
            "skus": [row.sku for row in rows],
            "units": [row.units for row in rows],
            "now": now,
        },
    )
    changed = {row.ref for row in written}
    skus = {row.sku for row in rows if row.ref in changed}
    skus |= {before[ref].sku for ref in changed & set(before)}
    mark_dirty(connection, skus, now=now)
    held = connection.execute(
        text(
            "SELECT inbox_id FROM quarantined_row WHERE suite = 'orders_pulled' AND channel = :channel "
            "AND status = 'open' AND inbox_id IS NOT NULL AND listing_ref = ANY(:refs)"
        ),
        {"channel": channel, "refs": sorted(changed)},
    )
    reopen(connection, {row.inbox_id for row in held})
    return changed


def drop_listings(connection: Connection, channel: str, refs: Collection[str], *, now: datetime) -> set[str]:
    """Forget listings that the channel no longer has, or sends itself; returns the refs that were dropped.

    Only those of which the orders have been read since an audit first found it, and with no write in doubt: until
    then units may be sold that the ledger has not seen. What was sold stays as it was booked.
    """
    kinds = [FindingKind.GONE.value, FindingKind.FULFILLED_BY_CHANNEL.value]
    dropped = connection.execute(_DROP, {"channel": channel, "refs": sorted(refs), "kinds": kinds}).all()
    connection.execute(
        text(
            "UPDATE discrepancy SET status = 'resolved', resolution = 'listing dropped', resolved_at = :now "
            "WHERE status = 'open' AND listing_id = ANY(:ids)"
        ),
        {"ids": [row.id for row in dropped], "now": now},
    )
    mark_dirty(connection, {row.sku for row in dropped}, now=now)
    return {row.ref for row in dropped}
