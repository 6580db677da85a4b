"""What is known against each source now, and how it was found to be; the history of its states."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.outages.ageing import FIRST_INTERVAL, allowance
from inventory.outages.darkness import GRACE, MISSED
from inventory.outages.fault_log import recent_faults
from inventory.outages.outage_words import HealthState, SourceKind
from inventory.outages.source_health import REFUSED, Evidence, Health
from inventory.words import IncidentKind

FEEDS_LOOKED_AT = 6
"""By so many of its last feeds the interval of a supplier is told."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A source as it was found. `last_at`: up to when it is known."""

    evidence: Evidence
    last_at: datetime | None
    every: timedelta | None = None
    faults: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of a channel: {call: {resolution: times in a row}}"""


def see_channels(connection: Connection, channels: Collection[str], *, now: datetime) -> dict[str, Seen]:
    """Of these channels (none named: of all)."""
    rows = connection.execute(
        text(
            """
            SELECT code, pulled_at, pulls_every, outage.began_at,
                   EXISTS (SELECT FROM channel_pause AS pause
                           WHERE pause.channel = code AND pause.status IN ('paused', 'lifting')) AS paused,
                   EXISTS (SELECT FROM incident WHERE subject = code AND status = 'open' AND kind = :gap) AS untold
            FROM channel LEFT JOIN channel_outage AS outage ON outage.channel = code AND outage.ended_at IS NULL
            WHERE :all OR code = ANY(:codes) ORDER BY code
            """
        ),
        {"gap": IncidentKind.WEBHOOK_GAP.value, "all": not channels, "codes": sorted(channels)},
    ).all()
    faults = recent_faults(connection, [row.code for row in rows], now=now)
    found = {}
    for row in rows:
        mine = faults.get(row.code, {})
        every = None if row.pulls_every is None else timedelta(seconds=row.pulls_every)
        allowed = None if every is None else MISSED * every + timedelta(seconds=GRACE)
        evidence = Evidence(
            0.0 if row.pulled_at is None or allowed is None else max(0.0, (now - row.pulled_at) / allowed),
            row.began_at is not None,
            {call: sum(times.values()) for call, times in mine.items()},
            any(REFUSED in times for times in mine.values()),
            row.untold,
            row.paused,
        )
        found[row.code] = Seen(evidence, row.pulled_at, every, mine)
    return found


def see_locations(connection: Connection, *, now: datetime) -> dict[str, Seen]:
    """Those that a warehouse or ERP used to confirm."""
    rows = connection.execute(text("SELECT location, taken_at, every_seconds FROM location_reading ORDER BY location"))
    return {
        row.location: _by_interval(row.taken_at, timedelta(seconds=row.every_seconds or 0) or FIRST_INTERVAL, now)
        for row in rows
    }


def see_suppliers(connection: Connection, *, now: datetime) -> dict[str, Seen]:
    """Those with more than one feed that the gate let through."""
    rows = connection.execute(
        text(
            """
            SELECT supplier, max(at) AS last_at, extract(epoch FROM max(gap))::float8 AS every
            FROM (SELECT supplier, at, at - lag(at) OVER (PARTITION BY supplier ORDER BY id) AS gap
                  FROM (SELECT supplier, id, coalesce(as_of, pulled_at) AS at,
                               row_number() OVER (PARTITION BY supplier ORDER BY id DESC) AS back
                        FROM supplier_feed WHERE status = 'applied') AS feeds
                  WHERE back <= :most) AS gaps
            GROUP BY supplier HAVING max(gap) > interval '0' ORDER BY supplier
            """
        ),
        {"most": FEEDS_LOOKED_AT},
    )
    return {row.supplier: _by_interval(row.last_at, timedelta(seconds=row.every), now) for row in rows}


def _by_interval(last_at: datetime, every: timedelta, now: datetime) -> Seen:
    return Seen(Evidence(max(0.0, (now - last_at) / allowance(every))), last_at, every)


def healths(connection: Connection, kind: SourceKind) -> dict[str, Health]:
    """As they were found the last time."""
    rows = connection.execute(text("SELECT * FROM source_health WHERE kind = :kind"), {"kind": kind.value})
    return {
        row.subject: Health(HealthState(row.state), row.since, row.cause, row.good_since, row.stage, row.stage_at)
        for row in rows
    }


def percents(connection: Connection) -> dict[str, int]:
    """{location: percent of its stock that is not shown for its age}"""
    rows = connection.execute(text("SELECT subject, percent FROM source_health WHERE kind = 'location'"))
    return {row.subject: row.percent for row in rows}


def keep(
    connection: Connection,
    kind: SourceKind,
    subject: str,
    before: Health,
    after: Health,
    evidence: Evidence,
    *,
    now: datetime,
    percent: int = 0,
) -> None:
    """Note how it is now, and in the history if that is another state."""
    values = {
        "kind": kind.value, "subject": subject, "state": after.state.value, "since": after.since, "cause": after.cause,
        "good_since": after.good_since, "stage": after.stage, "stage_at": after.stage_at, "percent": percent,
        "before": before.state.value, "evidence": json.dumps(evidence.as_plain()), "now": now,
    }  # fmt: skip
    connection.execute(
        text(
            """
            INSERT INTO source_health (kind, subject, state, since, cause, good_since, stage, stage_at, percent,
                                       looked_at)
            VALUES (:kind, :subject, :state, :since, :cause, :good_since, :stage, :stage_at, :percent, :now)
            ON CONFLICT (kind, subject) DO UPDATE
            SET state = EXCLUDED.state, since = EXCLUDED.since, cause = EXCLUDED.cause,
                good_since = EXCLUDED.good_since, stage = EXCLUDED.stage, stage_at = EXCLUDED.stage_at,
                percent = EXCLUDED.percent, looked_at = EXCLUDED.looked_at
            """
        ),
        values,
    )
    if after.state is not before.state:
        connection.execute(
            text(
                "INSERT INTO health_change (kind, subject, before, after, cause, evidence, at) "
                "VALUES (:kind, :subject, :before, :state, :cause, CAST(:evidence AS jsonb), :now)"
            ),
            values,
        )
