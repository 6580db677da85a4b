"""What audits of catalogues found: opened once, seen again, resolved when an audit no longer finds it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.onboarding.catalogue_audit import Finding
from inventory.words import FindingSeverity, IncidentKind, Severity

_OPEN = text(
    """
    INSERT INTO catalogue_finding (channel, kind, severity, listing_ref, sku, message, advice, suggestion, status,
                                   opened_at, last_seen_at, times)
    SELECT :channel, kind, severity, listing_ref, sku, message, advice, suggestion, 'open', :now, :now, 1
    FROM unnest(CAST(:kinds AS text[]), CAST(:severities AS text[]), CAST(:refs AS text[]), CAST(:skus AS text[]),
                CAST(:messages AS text[]), CAST(:advices AS text[]), CAST(:suggestions AS text[]))
         AS found (kind, severity, listing_ref, sku, message, advice, suggestion)
    ORDER BY kind, listing_ref
    ON CONFLICT (channel, kind, listing_ref) WHERE status = 'open'
    DO UPDATE SET times = catalogue_finding.times + 1, last_seen_at = EXCLUDED.last_seen_at,
                  severity = EXCLUDED.severity, sku = EXCLUDED.sku, message = EXCLUDED.message,
                  advice = EXCLUDED.advice, suggestion = EXCLUDED.suggestion
    """
)


@dataclass(frozen=True, slots=True)
class AuditCounts:
    channel: str
    entries: int
    blockers: int
    warnings: int
    infos: int
    resolved: int
    """Findings that were open and are no more."""


def note_audit(
    connection: Connection, channel: str, findings: Sequence[Finding], *, entries: int, started: datetime, now: datetime
) -> AuditCounts:
    """Store a complete audit of one channel, whose catalogue was read from `started` on."""
    once = {(one.kind, one.listing_ref): one for one in findings}
    ordered = [once[key] for key in sorted(once)]
    if ordered:
        connection.execute(
            _OPEN,
            {
                "channel": channel,
                "kinds": [one.kind.value for one in ordered],
                "severities": [one.severity.value for one in ordered],
                "refs": [one.listing_ref for one in ordered],
                "skus": [one.sku for one in ordered],
                "messages": [one.message for one in ordered],
                "advices": [one.advice for one in ordered],
                "suggestions": [one.suggestion for one in ordered],
                "now": now,
            },
        )
    resolved = connection.execute(
        text(
            "UPDATE catalogue_finding SET status = 'resolved', resolved_at = :now "
            "WHERE channel = :channel AND status = 'open' AND (kind, listing_ref) NOT IN "
            "(SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:refs AS text[])))"
        ),
        {
            "channel": channel,
            "now": now,
            "kinds": [one.kind.value for one in ordered],
            "refs": [one.listing_ref for one in ordered],
        },
    ).rowcount
    connection.execute(
        text("UPDATE channel SET audited_at = :started WHERE code = :channel"), {"channel": channel, "started": started}
    )
    _tell(connection, channel, [one for one in ordered if one.severity is FindingSeverity.BLOCKER], now)
    count = Counter(one.severity for one in ordered)
    return AuditCounts(
        channel,
        entries,
        count[FindingSeverity.BLOCKER],
        count[FindingSeverity.WARNING],
        count[FindingSeverity.INFO],
        resolved,
    )


def _tell(connection: Connection, channel: str, blockers: Sequence[Finding], now: datetime) -> None:
    if not blockers:
        resolve_incidents(connection, IncidentKind.CATALOGUE, [channel], now=now)
        return
    first = blockers[0]
    message = (
        f"{len(blockers)} listings of {channel} are set up so that their numbers mean nothing, as {first.listing_ref}: "
        f"{first.message}. {first.advice.capitalize()}"
    )
    detail = {"refs": [one.listing_ref for one in blockers[:20]]}
    open_incidents(
        connection, [NewIncident(IncidentKind.CATALOGUE, Severity.CRITICAL, channel, message, detail)], now=now
    )
