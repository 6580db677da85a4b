"""How well numbers reach the channels: failed syncs, sync gaps, what of the vendors' budgets is used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

ALL = "all"


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """One channel now, and what was sent to it within the window."""

    channel: str
    vendor: str
    mode: str
    asks_first: bool
    pulled_at: datetime | None
    """Start of the last complete pull."""
    dark_since: datetime | None
    paused_by: str
    """Owners of open pauses, separated by commas."""
    sent: int
    """Numbers sent whose outcome is known."""
    confirmed: int
    rejected: int
    unconfirmed: int
    overtaken: int
    """Refused by compare-and-set because a sale came first: computed anew, and no failure."""
    confirmed_at: datetime | None
    """Last one within the window."""

    @property
    def failed(self) -> int:
        return self.rejected + self.unconfirmed


_CHANNELS = text(
    """
    WITH sent AS (
        SELECT channel, count(*) AS sent, count(*) FILTER (WHERE status = 'confirmed') AS confirmed,
               count(*) FILTER (WHERE status = 'rejected') AS rejected,
               count(*) FILTER (WHERE status = 'unconfirmed') AS unconfirmed,
               count(*) FILTER (WHERE status = 'stale') AS overtaken, max(confirmed_at) AS confirmed_at
        FROM publication WHERE sent_at > :since AND sent_at <= :now AND status <> 'sent' GROUP BY channel
    ), dark AS (
        SELECT channel, min(began_at) AS since FROM channel_outage WHERE ended_at IS NULL GROUP BY channel
    ), paused AS (
        SELECT channel, string_agg(owner, ', ' ORDER BY owner) AS owners
        FROM channel_pause WHERE status <> 'lifted' GROUP BY channel
    )
    SELECT channel.code, channel.vendor, channel.mode, channel.asks_first, channel.pulled_at, dark.since,
           coalesce(paused.owners, ''), coalesce(sent.sent, 0), coalesce(sent.confirmed, 0),
           coalesce(sent.rejected, 0), coalesce(sent.unconfirmed, 0), coalesce(sent.overtaken, 0), sent.confirmed_at
    FROM channel LEFT JOIN sent ON sent.channel = channel.code LEFT JOIN dark ON dark.channel = channel.code
    LEFT JOIN paused ON paused.channel = channel.code
    ORDER BY channel.code
    """
)


def channel_health(connection: Connection, *, since: datetime, now: datetime) -> list[ChannelHealth]:
    """Every channel, by code."""
    return [ChannelHealth(*row) for row in connection.execute(_CHANNELS, {"since": since, "now": now})]


def failed_rate(channels: Sequence[ChannelHealth]) -> float | None:
    """Share of the numbers sent that were refused or whose answer never came. None: nothing was sent."""
    sent = sum(one.sent for one in channels)
    return sum(one.failed for one in channels) / sent if sent else None


@dataclass(frozen=True, slots=True)
class SyncGap:
    """From an order to a confirmed number on every other channel, of the orders of a window. Seconds."""

    channel: str
    """Where the order was placed, or `all`."""
    orders: int
    """Of them all others know."""
    p50: float | None
    p95: float | None
    p99: float | None
    longest: float | None
    waiting: int
    """Orders of which some other channel does not know yet."""
    waiting_for: float | None
    """The oldest of these."""


_GAPS = text(
    """
    WITH gaps AS (
        SELECT channel, CASE WHEN synced_at IS NOT NULL
                             THEN greatest(0, extract(epoch FROM synced_at - placed_at)) END AS gap,
               CASE WHEN synced_at IS NULL
                    THEN greatest(0, extract(epoch FROM CAST(:now AS timestamptz) - placed_at)) END AS waiting
        FROM reservation
        WHERE kind = 'order' AND channel IN (SELECT code FROM channel) AND placed_at > :since AND placed_at <= :now
    )
    SELECT channel, count(gap) AS orders, percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY gap) AS points,
           max(gap) AS longest, count(waiting) AS waiting, max(waiting) AS waiting_for
    FROM gaps GROUP BY GROUPING SETS ((channel), ()) ORDER BY channel NULLS FIRST
    """
)


def sync_gaps(connection: Connection, *, since: datetime, now: datetime) -> list[SyncGap]:
    """All channels together first, then each that took orders."""
    return [_gap(row) for row in connection.execute(_GAPS, {"since": since, "now": now})]


def _gap(row: Row[Any]) -> SyncGap:
    p50, p95, p99 = (None if one is None else float(one) for one in row.points or (None, None, None))
    longest, waiting_for = (None if one is None else float(one) for one in (row.longest, row.waiting_for))
    return SyncGap(row.channel or ALL, row.orders, p50, p95, p99, longest, row.waiting, waiting_for)


@dataclass(frozen=True, slots=True)
class RevisionLimit:
    """A vendor lets one listing be written to so often between two instants: its day."""

    vendor: str
    per_listing: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """What one channel's vendor was asked for."""

    channel: str
    published: int
    """Numbers sent within the window."""
    busiest_hour: int
    """Most of them within one hour."""
    limit: int | None
    """Revisions of one listing on the vendor's day; None: the vendor sets none."""
    most: int | None
    """Revisions today of the listing with the most."""
    most_ref: str
    near: int
    """Listings with four fifths of the limit or more behind them today."""


_HOURS = text(
    """
    SELECT channel, sum(sent)::bigint AS published, max(sent) AS busiest FROM (
        SELECT channel, date_trunc('hour', sent_at) AS hour, count(*) AS sent FROM publication
        WHERE sent_at > :since AND sent_at <= :now GROUP BY 1, 2) AS hours
    GROUP BY channel
    """
)
_REVISIONS = text(
    """
    WITH counted AS (
        SELECT listing.ref, count(*) AS times FROM publication JOIN listing ON listing.id = publication.listing_id
        WHERE publication.channel = :channel AND publication.sent_at >= :since AND publication.sent_at < :until
          AND publication.status IN ('sent', 'confirmed', 'unconfirmed')
        GROUP BY listing.ref
    )
    SELECT (SELECT count(*) FROM counted WHERE times >= :near) AS near, ref, times
    FROM counted ORDER BY times DESC, ref LIMIT 1
    """
)
NEAR = 0.8


def budget_use(
    connection: Connection,
    channels: Sequence[ChannelHealth],
    limits: Sequence[RevisionLimit],
    *,
    since: datetime,
    now: datetime,
) -> list[BudgetUse]:
    """Each channel, the nearest to its limit first."""
    sent = {row.channel: row for row in connection.execute(_HOURS, {"since": since, "now": now})}
    by_vendor = {one.vendor: one for one in limits}
    found = []
    for channel in channels:
        hours, limit, most = sent.get(channel.channel), by_vendor.get(channel.vendor), None
        if limit is not None:
            most = connection.execute(
                _REVISIONS,
                {"channel": channel.channel, "since": limit.since, "until": limit.until,
                 "near": NEAR * limit.per_listing},
            ).one_or_none()  # fmt: skip
        found.append(
            BudgetUse(
                channel.channel,
                hours.published if hours else 0,
                hours.busiest if hours else 0,
                limit.per_listing if limit else None,
                (most.times if most else 0) if limit else None,
                most.ref if most else "",
                most.near if most else 0,
            )
        )
    return sorted(found, key=lambda one: (-(one.most or 0) / (one.limit or 1), -one.published, one.channel))


LOOK_BACK = timedelta(hours=24)
"""The window of rates."""
