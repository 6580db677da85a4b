"""How often a channel's listings were written to within a time: what a vendor's daily limit is measured against."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

_COUNT = text(
    """
    SELECT listing.ref, count(*) AS times
    FROM publication JOIN listing ON listing.id = publication.listing_id
    WHERE listing.channel = :channel AND listing.ref = ANY(:refs)
      AND publication.sent_at >= :since AND publication.sent_at < :until
      -- The others were certainly not applied.
      AND publication.status IN ('sent', 'confirmed', 'unconfirmed')
    GROUP BY listing.ref
    """
)


def count_revisions(
    connection: Connection, channel: str, listing_refs: Sequence[str], *, since: datetime, until: datetime
) -> dict[str, int]:
    """{ref: publications sent from `since` until before `until` that may have been applied}, one that is on its
    way included. Refs without any are absent."""
    if not listing_refs:
        return {}
    values = {"channel": channel, "refs": list(listing_refs), "since": since, "until": until}
    return {row.ref: row.times for row in connection.execute(_COUNT, values)}
