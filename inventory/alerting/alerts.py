"""Alerts as an outbox: decide what is to be told, write it down, claim it, and note what became of it.

The decision and its messages are one transaction, so a killed process loses none and writes none twice. Sending is at
least once: a message is claimed with a lease and marked when the target has taken it. A process that dies between the
two leaves a message that is sent again and says so; its key is the same, for targets that know keys.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from inventory.alerting.alert_policy import (
    BURST_TIME,
    FLAP_TIME,
    LADDERS,
    Draft,
    Known,
    Occasion,
    Target,
    Told,
    decide,
    draft,
)
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.words import IncidentKind, Severity

_LOCK = 0x616C657274
"""Advisory lock: one decides at a time."""

NO_ANSWER = "no answer came"
"""What is noted of a message that was sent into silence: it may have arrived."""
KEPT = timedelta(days=90)
"""A message is kept for so long, and what was told of an incident so long after its end."""
UNTOLD_AFTER = timedelta(minutes=15)
"""A target that has taken no message for so long is an incident itself."""

_KNOWN = text(
    """
    WITH gone AS (
        SELECT past.kind, past.subject, count(DISTINCT past.id) AS times
        FROM alert JOIN incident past ON past.id = alert.incident_id
        WHERE alert.planned_at > :flaps_since AND past.status <> 'open' GROUP BY past.kind, past.subject
    )
    SELECT i.id, i.kind, i.subject, i.severity, i.status, i.first_at, coalesce(gone.times, 0) AS flaps
    FROM incident i LEFT JOIN gone ON gone.kind = i.kind AND gone.subject = i.subject
    WHERE i.status = 'open'
       OR i.id IN (SELECT incident_id FROM alert WHERE closed_at IS NULL)
    ORDER BY i.id
    """
)

_TOLD = text(
    "SELECT incident_id, target, level, planned_at, delivered_at, closed_at IS NOT NULL AS is_closed FROM alert "
    "WHERE target = ANY(:targets) "
    "AND (closed_at IS NULL OR incident_id IN (SELECT id FROM incident WHERE status = 'open'))"
)

_RECENT = text(
    "SELECT target, kind, count(*) AS messages FROM alert_message "
    "WHERE occasion = 'opened' AND created_at > :since AND target = ANY(:targets) GROUP BY target, kind"
)

_WRITE = text(
    """
    INSERT INTO alert_message (target, occasion, kind, incident_ids, dedupe_key, status, created_at, due_at, tries,
                               error)
    VALUES (:target, :occasion, :kind, :ids, :key, 'waiting', :now, :now, 0, '')
    ON CONFLICT ON CONSTRAINT alert_message_once DO NOTHING
    """
).bindparams(bindparam("ids", type_=JSONB))

_NOTE = text(
    """
    INSERT INTO alert (incident_id, target, level, planned_at)
    SELECT id, :target, level, :now
    FROM unnest(CAST(:ids AS bigint[]), CAST(:levels AS int[])) AS given (id, level) ORDER BY id
    ON CONFLICT (incident_id, target) DO UPDATE SET level = EXCLUDED.level, planned_at = EXCLUDED.planned_at
    """
)

_CLOSE = text(
    "UPDATE alert SET closed_at = :now WHERE target = :target AND incident_id = ANY(:ids) AND closed_at IS NULL"
)

_CLAIM = text(
    """
    UPDATE alert_message SET lease_until = :until, lease_owner = :owner, tries = tries + 1
    FROM (
        SELECT id, lease_until IS NOT NULL AS was_left FROM alert_message
        WHERE status = 'waiting' AND target = :target AND due_at <= :now
          AND (lease_until IS NULL OR lease_until <= :now)
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS next
    WHERE alert_message.id = next.id
    RETURNING alert_message.id, target, occasion, kind, incident_ids, dedupe_key, tries, error, created_at,
              next.was_left
    """
)


@dataclass(frozen=True, slots=True)
class Message:
    """A claimed message."""

    id: int
    target: str
    occasion: Occasion
    kind: str
    incident_ids: tuple[int, ...]
    dedupe_key: str
    tries: int
    in_doubt: bool
    """It was taken up before, and nobody knows what became of it: it may have arrived."""
    created_at: datetime


def plan(connection: Connection, targets: Sequence[Target], *, now: datetime) -> int:
    """Write down what is to be told now; returns how many messages. 0 also while another process is deciding."""
    if not connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}).scalar_one():
        return 0
    names = [target.name for target in targets]
    incidents = [
        Known(row.id, row.kind, row.subject, Severity(row.severity), row.status == "open", row.first_at, row.flaps)
        for row in connection.execute(_KNOWN, {"flaps_since": now - FLAP_TIME})
    ]
    told: dict[tuple[int, str], Told] = {
        (row.incident_id, row.target): Told(row.level, row.planned_at, row.delivered_at, row.is_closed)
        for row in connection.execute(_TOLD, {"targets": names})
    }
    recent: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(_RECENT, {"since": now - BURST_TIME, "targets": names}):
        recent[row.target][row.kind] = row.messages
    written = 0
    for target in targets:
        decided = []
        for incident in incidents:
            known = told.get((incident.id, target.name))
            occasion = decide(incident, known, target, now)
            if occasion is not None:
                decided.append((incident, occasion, known))
        drafts = draft(target, decided, recent[target.name], now)
        written += sum(_write(connection, one, now) for one in drafts)
        _forget_closed(connection, target, incidents, told, now)
    return written


def _write(connection: Connection, one: Draft, now: datetime) -> int:
    ids = sorted(one.levels)
    values = {"target": one.target, "occasion": one.occasion.value, "kind": one.kind, "ids": ids}
    written = connection.execute(_WRITE, {**values, "key": one.dedupe_key, "now": now}).rowcount
    noted = {"target": one.target, "ids": ids, "levels": [one.levels[key] for key in ids], "now": now}
    connection.execute(_NOTE, noted)
    if one.occasion is Occasion.RESOLVED:
        connection.execute(_CLOSE, {"target": one.target, "ids": ids, "now": now})
    return written


def _forget_closed(
    connection: Connection,
    target: Target,
    incidents: Sequence[Known],
    told: Mapping[tuple[int, str], Told],
    now: datetime,
) -> None:
    """An info that ended is not told of again."""
    ended = [
        one.id
        for one in incidents
        if not one.is_open
        and one.severity is Severity.INFO
        and (known := told.get((one.id, target.name))) is not None
        and not known.is_waiting
    ]
    if ended:
        connection.execute(_CLOSE, {"target": target.name, "ids": ended, "now": now})


def level_of(severity: Severity, opened_at: datetime, now: datetime) -> int:
    return LADDERS[severity].level(now - opened_at)


def claim(connection: Connection, target: str, *, owner: str, lease: timedelta, now: datetime) -> Message | None:
    """The oldest message of a target that is due; nobody else gets it until the lease ends."""
    values = {"target": target, "owner": owner, "until": now + lease, "now": now}
    row = connection.execute(_CLAIM, values).one_or_none()
    if row is None:
        return None
    in_doubt = row.was_left or row.error == NO_ANSWER
    ids = tuple(int(one) for one in row.incident_ids)
    return Message(
        row.id, row.target, Occasion(row.occasion), row.kind, ids, row.dedupe_key, row.tries, in_doubt, row.created_at
    )


def delivered(connection: Connection, message: Message, levels: Mapping[int, int], *, now: datetime) -> None:
    """The target has taken it. `levels`: of the incidents that it told of, as they were then."""
    _end(connection, message, "sent", now)
    connection.execute(
        text(
            "UPDATE alert SET delivered_at = :now, level = greatest(alert.level, given.level) "
            "FROM unnest(CAST(:ids AS bigint[]), CAST(:levels AS int[])) AS given (id, level) "
            "WHERE alert.incident_id = given.id AND alert.target = :target"
        ),
        {"ids": list(levels), "levels": list(levels.values()), "target": message.target, "now": now},
    )
    _forget(connection, message, [one for one in message.incident_ids if one not in levels], now)
    resolve_incidents(connection, IncidentKind.NOT_TOLD, [message.target], now=now)


def overtaken(connection: Connection, message: Message, *, now: datetime) -> None:
    """Nothing of it is true any more, so it is not sent."""
    _end(connection, message, "overtaken", now)
    _forget(connection, message, message.incident_ids, now)


def _forget(connection: Connection, message: Message, ids: Sequence[int], now: datetime) -> None:
    """Ended before this target heard of it: it hears nothing. Had it heard before, it is told of the end."""
    connection.execute(
        text(
            "UPDATE alert SET closed_at = CASE WHEN delivered_at IS NULL THEN CAST(:now AS timestamptz) END, "
            "planned_at = coalesce(delivered_at, planned_at) "
            "WHERE target = :target AND incident_id = ANY(:ids) AND closed_at IS NULL"
        ),
        {"target": message.target, "ids": list(ids), "now": now},
    )


def _end(connection: Connection, message: Message, status: str, now: datetime) -> None:
    connection.execute(
        text(
            "UPDATE alert_message SET status = :status, sent_at = :now, lease_until = NULL, lease_owner = NULL, "
            "error = '' WHERE id = :id"
        ),
        {"status": status, "id": message.id, "now": now},
    )


def put_off(connection: Connection, message: Message, *, error: str, until: datetime) -> None:
    """It was not taken. It waits until then, and so does all else that waits for this target.

    With NO_ANSWER as its error nobody knows whether it arrived.
    """
    connection.execute(
        text(
            "UPDATE alert_message SET lease_until = NULL, lease_owner = NULL, error = :error, due_at = :until "
            "WHERE id = :id"
        ),
        {"id": message.id, "error": error[:200], "until": until},
    )
    connection.execute(
        text(
            "UPDATE alert_message SET due_at = :until WHERE status = 'waiting' AND target = :target AND due_at < :until"
        ),
        {"target": message.target, "until": until},
    )


def note_untold(
    connection: Connection, message: Message, error: str, *, for_good: bool, refused: bool, now: datetime
) -> None:
    """Open an incident about a target that refuses, or that has taken nothing for UNTOLD_AFTER.

    `refused`: this message is given up, because the target will never take it.
    """
    if refused:
        _end(connection, message, "refused", now)
        connection.execute(_CLOSE, {"target": message.target, "ids": list(message.incident_ids), "now": now})
    if not (for_good or refused or now - message.created_at >= UNTOLD_AFTER):
        return
    what = "refuses a message" if refused else "refuses every message" if for_good else "takes no messages"
    story = f"{message.target} {what}: {error}"
    incident = NewIncident(IncidentKind.NOT_TOLD, Severity.CRITICAL, message.target, story)
    open_incidents(connection, [incident], now=now)


def forget_old(connection: Connection, *, now: datetime) -> None:
    """Messages, and what was told of incidents that ended, long ago; also to targets that are no more."""
    before = {"before": now - KEPT}
    connection.execute(text("DELETE FROM alert_message WHERE created_at < :before"), before)
    connection.execute(
        text(
            "DELETE FROM alert USING incident WHERE incident.id = alert.incident_id "
            "AND incident.status <> 'open' AND incident.last_at < :before"
        ),
        before,
    )
