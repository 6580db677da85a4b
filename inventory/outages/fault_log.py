"""Calls to a channel that failed, counted while they fail in a row. While all is well nothing is written."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

RECENT = timedelta(minutes=10)
"""A fault that is older says nothing about now."""

_NOTE = text(
    """
    INSERT INTO channel_fault (channel, call, resolution, times, first_at, last_at)
    SELECT code, :call, :resolution, 1, :now, :now FROM channel WHERE code = :channel
    ON CONFLICT (channel, call, resolution) DO UPDATE
    -- Cleared, or so long ago that it says nothing about now: it begins anew.
    SET (times, first_at) = (
            SELECT CASE WHEN anew THEN 1 ELSE channel_fault.times + 1 END,
                   CASE WHEN anew THEN EXCLUDED.first_at ELSE channel_fault.first_at END
            FROM (SELECT channel_fault.cleared_at IS NOT NULL OR channel_fault.last_at < :before AS anew) AS judged),
        last_at = greatest(channel_fault.last_at, EXCLUDED.last_at), cleared_at = NULL
    """
)


def note_fault(connection: Connection, channel: str, call: str, resolution: str, *, now: datetime) -> None:
    """One more call failed so. `call`: pull, read or write. A channel that the ledger does not have is left out."""
    values = {"channel": channel, "call": call, "resolution": resolution, "now": now, "before": now - RECENT}
    connection.execute(_NOTE, values)


def clear_faults(connection: Connection, channel: str, call: str, *, now: datetime) -> None:
    """A call of this kind succeeded."""
    connection.execute(
        text(
            "UPDATE channel_fault SET cleared_at = :now "
            "WHERE channel = :channel AND call = :call AND cleared_at IS NULL AND last_at <= :now"
        ),
        {"channel": channel, "call": call, "now": now},
    )


Faults = dict[str, dict[str, int]]
"""{call: {resolution: times in a row}}"""


def recent_faults(connection: Connection, channels: Collection[str], *, now: datetime) -> dict[str, Faults]:
    """{channel: faults} of what fails now."""
    rows = connection.execute(
        text(
            "SELECT channel, call, resolution, times FROM channel_fault AS fault JOIN channel ON code = fault.channel "
            "WHERE channel = ANY(:channels) AND cleared_at IS NULL AND last_at >= :since "
            # One process fails and another succeeds: a complete pull is there for all to see.
            "AND (call <> 'pull' OR pulled_at IS NULL OR pulled_at < last_at) ORDER BY channel, call"
        ),
        {"channels": sorted(channels), "since": now - RECENT},
    )
    found: dict[str, Faults] = {}
    for row in rows:
        found.setdefault(row.channel, {}).setdefault(row.call, {})[row.resolution] = row.times
    return found
