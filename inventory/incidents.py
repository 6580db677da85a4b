"""Incidents: what a person must look at. One open incident a kind and subject; a repeat raises its count."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

from inventory.words import IncidentKind, Severity


@dataclass(frozen=True, slots=True)
class NewIncident:
    kind: IncidentKind
    severity: Severity
    subject: str
    message: str
    detail: dict[str, Any] = field(default_factory=dict)


_OPEN = text(
    """
    INSERT INTO incident (kind, severity, subject, message, detail, status, times, first_at, last_at)
    VALUES (:kind, :severity, :subject, :message, :detail, 'open', 1, :now, :now)
    ON CONFLICT (kind, subject) WHERE status = 'open'
    DO UPDATE SET times = incident.times + 1, last_at = EXCLUDED.last_at, message = EXCLUDED.message,
                  detail = EXCLUDED.detail
    """
).bindparams(bindparam("detail", type_=JSONB))


def open_incidents(connection: Connection, incidents: Sequence[NewIncident], *, now: datetime) -> None:
    """Open them, or count them up where they are open already."""
    for incident in sorted(incidents, key=lambda one: (one.kind, one.subject)):
        connection.execute(
            _OPEN,
            {
                "kind": incident.kind.value,
                "severity": incident.severity.value,
                "subject": incident.subject,
                "message": incident.message,
                "detail": incident.detail,
                "now": now,
            },
        )


def resolve_incidents(connection: Connection, kind: IncidentKind, subjects: Sequence[str], *, now: datetime) -> int:
    """Close the open incidents of one kind about these subjects; returns how many there were."""
    result = connection.execute(
        text(
            "UPDATE incident SET status = 'resolved', last_at = :now "
            "WHERE status = 'open' AND kind = :kind AND subject = ANY(:subjects)"
        ),
        {"kind": kind.value, "subjects": list(subjects), "now": now},
    )
    return result.rowcount
