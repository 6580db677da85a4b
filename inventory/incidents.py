"""Incidents: what a person must look at. One open incident a kind and subject; a repeat raises its count."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

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
    SELECT kind, severity, subject, message, detail, 'open', 1, :now, :now
    FROM unnest(CAST(:kinds AS text[]), CAST(:severities AS text[]), CAST(:subjects AS text[]),
                CAST(:messages AS text[]), CAST(:details AS jsonb[]))
         AS given (kind, severity, subject, message, detail)
    ORDER BY kind, subject
    ON CONFLICT (kind, subject) WHERE status = 'open'
    DO UPDATE SET times = incident.times + 1, last_at = EXCLUDED.last_at, message = EXCLUDED.message,
                  detail = EXCLUDED.detail
    """
)


def open_incidents(connection: Connection, incidents: Sequence[NewIncident], *, now: datetime) -> None:
    """Open them, or count them up where they are open already. Of several alike the last is told."""
    once = {(incident.kind, incident.subject): incident for incident in incidents}
    if not once:
        return
    ordered = [once[key] for key in sorted(once)]
    connection.execute(
        _OPEN,
        {
            "kinds": [incident.kind.value for incident in ordered],
            "severities": [incident.severity.value for incident in ordered],
            "subjects": [incident.subject for incident in ordered],
            "messages": [incident.message for incident in ordered],
            "details": [json.dumps(incident.detail) for incident in ordered],
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
