"""When a channel is dark, since when, for how long it is likely to be, and when it counts as read again.

A channel is dark when no complete pull has started for longer than its own interval allows. All that it sold up to the
start of the last one is known; what it has sold since is not. It ends with a complete pull whose orders are applied:
only then may the channel be written to.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.incidents import resolve_incidents
from inventory.policies.foreseen import GRACE as GRACE_AFTER
from inventory.policies.foreseen import LEAD
from inventory.publishing.outbox import mark_dirty
from inventory.replaying.outage_pattern import FIRST_EXPECTED, REMEMBERED
from inventory.words import IncidentKind

MISSED = 2.0
"""Intervals without a pull,"""
GRACE = 30.0
"""and so many seconds: then the channel is dark."""

SUPPOSED_LAG = 60.0
"""Seconds, of a channel of which nothing is known."""

STALE = {"missed": MISSED, "grace": GRACE}
"""Values of the condition in SQL. A channel that was pulled only once has no interval yet, and is never stale."""

_NOTICE = text(
    """
    INSERT INTO channel_outage (channel, began_at, noticed_at, planned_seconds, mark_at)
    SELECT code, pulled_at, :now, planned, :now
    FROM channel, LATERAL (
        SELECT coalesce(max(lasted), :first) AS planned
        FROM (SELECT extract(epoch FROM ended_at - began_at) AS lasted FROM channel_outage AS earlier
              WHERE earlier.channel = channel.code AND ended_at IS NOT NULL
              ORDER BY id DESC LIMIT :remembered) AS last
    ) AS expected
    WHERE pulled_at + make_interval(secs => pulls_every * :missed + :grace) < :now
      AND (CAST(:channel AS text) IS NULL OR code = :channel)
    ON CONFLICT (channel) WHERE ended_at IS NULL DO NOTHING
    """
)

_STEPS = text(
    """
    WITH due AS MATERIALIZED (
        SELECT id, mark_at = noticed_at AS first FROM channel_outage
        WHERE ended_at IS NULL AND mark_at <= :now FOR UPDATE SKIP LOCKED
    )
    -- Beyond what was expected it is expected to last as long again as it has: the next step is when it has doubled.
    UPDATE channel_outage AS outage
    SET mark_at = greatest(began_at + make_interval(secs => planned_seconds),
                           :now + CASE WHEN :now - began_at < make_interval(secs => planned_seconds)
                                       THEN interval '0' ELSE greatest(:now - began_at, interval '1 minute') END)
    FROM due WHERE outage.id = due.id RETURNING outage.channel, due.first
    """
)

_LIFT = text(
    """
    UPDATE channel_outage AS outage
    SET ended_at = :pull_started,
        mark_at = began_at + interval '7 days' - make_interval(secs => :lead + 2 * coalesce(
            (SELECT seconds FROM channel_lag WHERE channel_lag.channel = outage.channel), :supposed))
    WHERE channel = :channel AND ended_at IS NULL AND began_at < :pull_started RETURNING id
    """
)


_WEEK_LATER = text(
    """
    -- A week after an outage began: once shortly before that hour, and once when it is past.
    WITH due AS MATERIALIZED (
        SELECT id FROM channel_outage WHERE ended_at IS NOT NULL AND mark_at <= :now
          AND began_at > :now - interval '8 days' FOR UPDATE SKIP LOCKED
    )
    UPDATE channel_outage AS outage
    SET mark_at = CASE WHEN :now < began_at + interval '7 days' + make_interval(secs => :grace)
                       THEN began_at + interval '7 days' + make_interval(secs => :grace)
                       ELSE began_at + interval '100 years' END
    FROM due WHERE outage.id = due.id RETURNING outage.channel
    """
)


@dataclass(frozen=True, slots=True)
class Outage:
    channel: str
    began_at: datetime
    planned: timedelta


def notice(connection: Connection, *, now: datetime, channel: str | None = None) -> None:
    """Note which channels (or whether this one) are dark. What that means for the others, `steps` says."""
    values = {"now": now, "channel": channel, "first": FIRST_EXPECTED / 1000, "remembered": REMEMBERED, **STALE}
    connection.execute(_NOTICE, values)


def steps(connection: Connection, *, now: datetime) -> tuple[list[str], list[str]]:
    """Channels whose darkness is new, and those where it has lasted longer than was expected: in both cases the others
    are to give up what these may sell. Each is named once."""
    rows = connection.execute(_STEPS, {"now": now}).all()
    return sorted(row.channel for row in rows if row.first), sorted(row.channel for row in rows if not row.first)


def week_later(connection: Connection, *, now: datetime) -> list[str]:
    """Channels of which an outage that comes every week may begin now, or is not waited for any longer: what they list
    is marked to be computed anew. Whether one is foreseen, `inventory.policies.foreseen` judges then."""
    found = sorted(set(connection.execute(_WEEK_LATER, {"now": now, "grace": GRACE_AFTER / 1000}).scalars()))
    if found:
        mark_channels(connection, found, now=now)
    return found


def lift(connection: Connection, channel: str, *, pull_started: datetime, now: datetime) -> bool:
    """A complete pull that started then is applied: if the channel was dark, it may be written to again, and all that
    it lists is computed anew."""
    values = {"channel": channel, "pull_started": pull_started, "lead": LEAD / 1000, "supposed": SUPPOSED_LAG}
    if not connection.execute(_LIFT, values).all():
        return False
    mark_channels(connection, [channel], now=now)
    resolve_incidents(connection, IncidentKind.CHANNEL_DARK, [channel], now=now)
    return True


def mark_channels(connection: Connection, channels: list[str], *, now: datetime, eager: bool = False) -> None:
    """All SKUs that these channels list are to be published again."""
    rows = connection.execute(text("SELECT DISTINCT sku FROM listing WHERE channel = ANY(:codes)"), {"codes": channels})
    mark_dirty(connection, {row.sku for row in rows}, now=now, eager=eager)
