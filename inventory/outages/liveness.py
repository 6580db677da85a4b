"""Is everybody alive? Judged by what was done and by what lies undone, never by a promise to do it.

A part is silent when its own interval, with some patience, is over: a channel that was not read, changed stock that
nobody publishes, holds that nobody releases, a service that has stopped saying that it answers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.words import ChannelMode, IncidentKind, Severity

USUAL_INTERVAL = timedelta(minutes=5)
"""Between two pulls of a channel, where nothing says how often it is read."""
PATIENCE = timedelta(minutes=5)
"""A part may be late by so much more than twice its interval: one run ends and the next has to start."""
UNPUBLISHED = timedelta(minutes=3)
UNRELEASED = timedelta(minutes=10)
FORGOTTEN = timedelta(days=1)
"""The heartbeat of a process that is replaced by another one is kept for so long."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Of one part: when it was last heard of, and what to say if that is too long ago."""

    part: str
    is_alive: bool
    last_at: datetime | None
    story: str = ""
    severity: Severity = Severity.CRITICAL


def beat(connection: Connection, part: str, instance: str, *, now: datetime, again_within: timedelta) -> None:
    """This process says that the part is alive, and until when it means to say so again."""
    connection.execute(
        text(
            "INSERT INTO heartbeat (part, instance, at, due_at) VALUES (:part, :instance, :now, :due) "
            "ON CONFLICT (part, instance) DO UPDATE SET at = EXCLUDED.at, due_at = EXCLUDED.due_at"
        ),
        {"part": part, "instance": instance, "now": now, "due": now + again_within},
    )


def retire(connection: Connection, part: str, instance: str) -> None:
    """It ends as it should, so nobody waits for it."""
    connection.execute(
        text("DELETE FROM heartbeat WHERE part = :part AND instance = :instance"), {"part": part, "instance": instance}
    )


def read_signs(
    connection: Connection, channels: Collection[str] | None, intervals: Mapping[str, timedelta], *, now: datetime
) -> list[Sign]:
    """`channels`: those that are set up, None: all that the ledger has; `intervals`: as far as known."""
    return [
        *_pulls(connection, channels, intervals, now),
        _publisher(connection, now),
        _sweeper(connection, now),
        *_services(connection, now),
    ]


def _pulls(
    connection: Connection, channels: Collection[str] | None, intervals: Mapping[str, timedelta], now: datetime
) -> list[Sign]:
    rows = connection.execute(
        text(
            "SELECT code, mode, pulled_at FROM channel "
            "WHERE CAST(:codes AS text[]) IS NULL OR code = ANY(:codes) ORDER BY code"
        ),
        {"codes": None if channels is None else sorted(channels)},
    )
    signs = []
    for row in rows:
        part = f"pull/{row.code}"
        if row.pulled_at is None:
            if row.mode == ChannelMode.LIVE:
                signs.append(Sign(part, False, None, f"{row.code} is live and its orders were never read"))
            continue
        patience = 2 * intervals.get(row.code, USUAL_INTERVAL) + PATIENCE
        story = f"the orders of {row.code} were last read at {row.pulled_at:%Y-%m-%d %H:%M} UTC"
        signs.append(Sign(part, now - row.pulled_at <= patience, row.pulled_at, story))
    return signs


def _publisher(connection: Connection, now: datetime) -> Sign:
    row = connection.execute(
        text(
            "SELECT count(*) AS waiting, min(due_at) AS oldest FROM outbox "
            "WHERE due_at < :before AND (lease_until IS NULL OR lease_until < :before)"
        ),
        {"before": now - UNPUBLISHED},
    ).one()
    story = f"{row.waiting:,} SKUs changed and are not published" if row.waiting else ""
    return Sign("publish", not row.waiting, row.oldest, story)


def _sweeper(connection: Connection, now: datetime) -> Sign:
    row = connection.execute(
        text(
            "SELECT count(*) AS waiting, min(expires_at) AS oldest FROM reservation "
            "WHERE status = 'live' AND expires_at IS NOT NULL AND expires_at < :before"
        ),
        {"before": now - UNRELEASED},
    ).one()
    story = f"{row.waiting:,} holds are past their time and were not released" if row.waiting else ""
    # An expired hold counts as expired before it is swept: nothing is lost, only untidy.
    return Sign("sweep", not row.waiting, row.oldest, story, Severity.WARNING)


def _services(connection: Connection, now: datetime) -> list[Sign]:
    """A part of several processes is alive while one of them is."""
    connection.execute(
        text(
            "DELETE FROM heartbeat old USING heartbeat new WHERE new.part = old.part AND new.instance <> old.instance "
            "AND new.due_at >= :now AND old.due_at < :before"
        ),
        {"now": now, "before": now - FORGOTTEN},
    )
    rows = connection.execute(
        text("SELECT part, max(at) AS at, max(due_at) AS due_at FROM heartbeat GROUP BY part ORDER BY part")
    )
    return [
        Sign(row.part, row.due_at >= now, row.at, f"{row.part} was last heard of at {row.at:%Y-%m-%d %H:%M} UTC")
        for row in rows
    ]


def note_signs(connection: Connection, signs: Sequence[Sign], *, now: datetime, but: Collection[str] = ()) -> None:
    """Open an incident for each silent part and close those of all others, also of parts that are no more.

    `but`: parts, or `group/` of parts, that could not be looked at: theirs stay as they are.
    """
    silent = [one for one in signs if not one.is_alive]
    open_incidents(
        connection,
        [NewIncident(IncidentKind.NOT_RUNNING, one.severity, one.part, one.story) for one in silent],
        now=now,
    )
    rows = connection.execute(
        text("SELECT subject FROM incident WHERE status = 'open' AND kind = :kind"),
        {"kind": IncidentKind.NOT_RUNNING.value},
    )
    unseen = tuple(but)
    found = {one.part for one in silent}
    ended = [row.subject for row in rows if row.subject not in found and not row.subject.startswith(unseen)]
    resolve_incidents(connection, IncidentKind.NOT_RUNNING, ended, now=now)
