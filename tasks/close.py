"""Close an incident by hand: who did it and why stays with it."""

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.database import in_transaction
from inventory.words import IncidentKind
from tasks.runtime import Runtime


class NoSuchIncident(ValueError):
    """Nothing of that kind and subject is open; the message says what is."""


_CLOSE = text(
    """
    UPDATE incident SET status = 'resolved', last_at = :now, detail = detail || :closing
    WHERE status = 'open' AND kind = :kind AND subject = :subject
    RETURNING kind, subject, severity, message, times, first_at
    """
).bindparams(bindparam("closing", type_=JSONB))


def close(runtime: Runtime, kind: IncidentKind, subject: str, *, actor: str, reason: str) -> list[dict[str, object]]:
    """The incident as one row. Raises NoSuchIncident."""

    def work(connection: Connection) -> list[dict[str, object]]:
        closing = {"closed_by": actor.strip(), "closed_because": reason.strip()}
        values = {"kind": kind.value, "subject": subject.strip(), "now": runtime.now(), "closing": closing}
        row = connection.execute(_CLOSE, values).one_or_none()
        if row is None:
            raise NoSuchIncident(f"no open {kind.value} about {subject.strip()!r}; open are: {_open(connection, kind)}")
        opened = row.first_at.isoformat(timespec="seconds")
        facts = {"kind": row.kind, "subject": row.subject, "severity": row.severity, "what": row.message}
        return [{**facts, "times": row.times, "opened": opened, "closed by": actor.strip(), "reason": reason.strip()}]

    return in_transaction(runtime.engine, work)


def _open(connection: Connection, kind: IncidentKind) -> str:
    rows = connection.execute(
        text("SELECT subject FROM incident WHERE status = 'open' AND kind = :kind ORDER BY last_at DESC LIMIT 10"),
        {"kind": kind.value},
    )
    return ", ".join(row.subject for row in rows) or "none"
