"""Approvals: what somebody wants to do above their limit, who decided, when. Nothing is done without a decision.

The request is named by its run (`request_key`), so that a run which begins again finds its own. Who may decide
is `inventory.people.raci`'s business; the database itself refuses an approval by the actor.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.people.raci import Action, Raci, why_not_approver
from inventory.words import ApprovalStatus, IncidentKind, Severity


class NotApproved(Exception):
    """Refused, or nobody decided in time. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`message` says what would be done and why it needs somebody else. No secrets: people read it in alerts."""

    request_key: str
    action: Action
    subject: str
    message: str
    actor: str
    reason: str
    expires_at: datetime
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Approval:
    request_key: str
    action: Action
    subject: str
    message: str
    actor: str
    status: ApprovalStatus
    tries: int
    expires_at: datetime
    decided_by: str
    note: str
    detail: dict[str, Any]

    @property
    def incident(self) -> str:
        return f"{self.action}/{self.request_key}"


_ASK = text(
    """
    INSERT INTO approval (request_key, action, subject, message, detail, actor, reason, status, tries,
                          asked_at, expires_at, decided_by, note)
    VALUES (:request_key, :action, :subject, :message, :detail, :actor, :reason, 'asked', 0, :now, :expires_at, '', '')
    ON CONFLICT (request_key) DO NOTHING RETURNING id
    """
).bindparams(bindparam("detail", type_=JSONB))


def ask(connection: Connection, wanted: Wanted, *, now: datetime) -> Approval:
    """Ask for it, once: a request that is known is returned as it stands, with what became of it."""
    row = connection.execute(
        _ASK,
        {
            "request_key": wanted.request_key,
            "action": wanted.action.value,
            "subject": wanted.subject,
            "message": wanted.message,
            "detail": wanted.detail,
            "actor": wanted.actor,
            "reason": wanted.reason,
            "now": now,
            "expires_at": wanted.expires_at,
        },
    ).first()
    found = find(connection, wanted.request_key, now=now)
    assert found is not None
    if row is not None:
        incident = NewIncident(
            IncidentKind.APPROVAL_WANTED,
            Severity.WARNING,
            found.incident,
            f"{wanted.message}. {wanted.actor}: {wanted.reason}. Decide until "
            f"{wanted.expires_at:%Y-%m-%d %H:%M} UTC; without a decision nothing happens",
            {**wanted.detail, "subject": wanted.subject, "actor": wanted.actor},
        )
        open_incidents(connection, [incident], now=now)
    return found


_FIND = text("SELECT * FROM approval WHERE request_key = :key")
_FIND_LOCKED = text("SELECT * FROM approval WHERE request_key = :key FOR UPDATE")


def find(connection: Connection, request_key: str, *, now: datetime, lock: bool = False) -> Approval | None:
    """As it stands at `now`: past its time it counts as expired, whether that was noted or not."""
    row = connection.execute(_FIND_LOCKED if lock else _FIND, {"key": request_key}).one_or_none()
    return None if row is None else _approval(row, now)


def _approval(row: Row[Any], now: datetime) -> Approval:
    status = ApprovalStatus(row.status)
    if status is ApprovalStatus.ASKED and row.expires_at <= now:
        status = ApprovalStatus.EXPIRED
    return Approval(
        row.request_key,
        Action(row.action),
        row.subject,
        row.message,
        row.actor,
        status,
        row.tries,
        row.expires_at,
        row.decided_by,
        row.note,
        row.detail,
    )


def decide(
    connection: Connection, raci: Raci, request_key: str, *, approve: bool, by: str, note: str, now: datetime
) -> tuple[Approval, str]:
    """Take a person's answer. Returns the request as it then stands, and why the answer did not count (empty: it did).

    A refusal counts from anybody who gives a name but the request's actor may take it back as well; an approval from
    those alone who may approve. What was decided, or has expired, stays as it is.
    """
    found = find(connection, request_key, now=now, lock=True)
    assert found is not None, request_key
    if found.status is not ApprovalStatus.ASKED:
        if found.status is ApprovalStatus.EXPIRED:
            _end(connection, found, ApprovalStatus.EXPIRED, "", "", now)
        return found, f"it is {found.status} already"
    why_not = (
        why_not_approver(raci, found.action, by, found.actor) if approve else ("" if by.strip() else "give your name")
    )
    if why_not:
        connection.execute(
            text("UPDATE approval SET tries = tries + 1, note = :why WHERE request_key = :key"),
            {"why": why_not, "key": request_key},
        )
    else:
        _end(connection, found, ApprovalStatus.APPROVED if approve else ApprovalStatus.REFUSED, by, note, now)
    after = find(connection, request_key, now=now)
    assert after is not None
    return after, why_not


def _end(connection: Connection, found: Approval, status: ApprovalStatus, by: str, note: str, now: datetime) -> None:
    connection.execute(
        text(
            "UPDATE approval SET status = :status, decided_at = :now, decided_by = :by, note = :note "
            "WHERE request_key = :key AND status = 'asked'"
        ),
        {"status": status.value, "now": now, "by": " ".join(by.split()), "note": note, "key": found.request_key},
    )
    resolve_incidents(connection, IncidentKind.APPROVAL_WANTED, [found.incident], now=now)


def expire_approvals(connection: Connection, *, now: datetime) -> int:
    """End the requests whose time is over, and their incidents; returns how many there were."""
    rows = connection.execute(
        text(
            "UPDATE approval SET status = 'expired', decided_at = :now WHERE status = 'asked' AND expires_at <= :now "
            "RETURNING request_key, action"
        ),
        {"now": now},
    ).all()
    subjects = [f"{row.action}/{row.request_key}" for row in rows]
    if subjects:
        resolve_incidents(connection, IncidentKind.APPROVAL_WANTED, subjects, now=now)
    return len(rows)
