"""Discrepancies: what differs, what became of it, how old it is, and who settled it.

One open discrepancy a comparison and subject; seeing it again raises its count. Severity grows with age, by class:
what is *delayed* or *stale* may well be true in an hour, a *bad count* waits for somebody to walk to the shelf.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.words import (
    Comparison,
    DiscrepancyClass,
    Drift,
    IncidentKind,
    Resolution,
    Severity,
)

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a class may stay open until it is a warning, and until it is critical."""

    warning: timedelta
    critical: timedelta


PATIENCE: dict[DiscrepancyClass, Patience] = {
    DiscrepancyClass.STALE: Patience(2 * HOUR, 24 * HOUR),
    DiscrepancyClass.DELAYED: Patience(2 * HOUR, 24 * HOUR),
    DiscrepancyClass.MISMATCH: Patience(4 * HOUR, 24 * HOUR),
    DiscrepancyClass.FOREIGN_WRITE: Patience(4 * HOUR, 24 * HOUR),
    DiscrepancyClass.BAD_COUNT: Patience(24 * HOUR, 7 * 24 * HOUR),
}

FIRST: dict[DiscrepancyClass, Severity] = {
    DiscrepancyClass.STALE: Severity.INFO,
    DiscrepancyClass.DELAYED: Severity.INFO,
    DiscrepancyClass.MISMATCH: Severity.WARNING,
    DiscrepancyClass.FOREIGN_WRITE: Severity.WARNING,
    DiscrepancyClass.BAD_COUNT: Severity.WARNING,
}
"""Severity when it is opened."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something that differs. `expected` is the ledger's word, `observed` the other side's; units, or orders."""

    comparison: Comparison
    drift: Drift
    kind: DiscrepancyClass
    subject: str
    expected: int
    observed: int
    message: str
    sku: str = ""
    channel: str = ""
    location: str = ""
    severity: Severity | None = None
    """None: as its class begins."""


_OPEN = text(
    """
    INSERT INTO discrepancy (comparison, drift, kind, subject, channel, location, sku, severity, expected, observed,
                             message, status, opened_at, last_seen_at, times)
    SELECT comparison, drift, kind, subject, channel, location, sku, severity, expected, observed,
           message, 'open', :now, :now, 1
    FROM unnest(CAST(:comparisons AS text[]), CAST(:drifts AS text[]), CAST(:kinds AS text[]),
                CAST(:subjects AS text[]), CAST(:channels AS text[]), CAST(:locations AS text[]),
                CAST(:skus AS text[]), CAST(:severities AS text[]), CAST(:expected AS bigint[]),
                CAST(:observed AS bigint[]), CAST(:messages AS text[]))
         AS given (comparison, drift, kind, subject, channel, location, sku, severity, expected, observed, message)
    ORDER BY comparison, subject
    ON CONFLICT (comparison, subject) WHERE status = 'open' AND subject <> ''
    DO UPDATE SET times = discrepancy.times + 1, last_seen_at = EXCLUDED.last_seen_at, message = EXCLUDED.message,
                  expected = EXCLUDED.expected, observed = EXCLUDED.observed, drift = EXCLUDED.drift,
                  -- What was understood once is not forgotten because a later look could not tell.
                  kind = CASE WHEN EXCLUDED.kind IN ('stale', 'delayed') THEN discrepancy.kind ELSE EXCLUDED.kind END
    """
)


def open_discrepancies(connection: Connection, found: Sequence[Found], *, now: datetime) -> None:
    """Open them, or count them up where they are open already. Of several with one subject the last is told."""
    once = {(one.comparison, one.subject): one for one in found}
    if not once:
        return
    ordered = [once[key] for key in sorted(once)]
    connection.execute(
        _OPEN,
        {
            "comparisons": [one.comparison.value for one in ordered],
            "drifts": [one.drift.value for one in ordered],
            "kinds": [one.kind.value for one in ordered],
            "subjects": [one.subject for one in ordered],
            "channels": [one.channel for one in ordered],
            "locations": [one.location for one in ordered],
            "skus": [one.sku for one in ordered],
            "severities": [(one.severity or FIRST[one.kind]).value for one in ordered],
            "expected": [one.expected for one in ordered],
            "observed": [one.observed for one in ordered],
            "messages": [one.message[:500] for one in ordered],
            "now": now,
        },
    )


def note_healing(connection: Connection, comparison: Comparison, subjects: Collection[str], *, now: datetime) -> None:
    """What policy does about them was begun."""
    if subjects:
        connection.execute(
            text(
                "UPDATE discrepancy SET healing_since = coalesce(healing_since, :now) "
                "WHERE status = 'open' AND comparison = :comparison AND subject = ANY(:subjects)"
            ),
            {"comparison": comparison.value, "subjects": sorted(subjects), "now": now},
        )


def close_discrepancies(
    connection: Connection, comparison: Comparison, subjects: Collection[str], *, now: datetime
) -> int:
    """Both sides agree about these again; healed, where something had been done for it. Returns how many."""
    if not subjects:
        return 0
    result = connection.execute(
        text(
            """
            UPDATE discrepancy SET status = 'resolved', resolved_at = :now,
                   resolution = CASE WHEN healing_since IS NULL THEN :agrees ELSE :healed END
            WHERE status = 'open' AND comparison = :comparison AND subject = ANY(:subjects)
            """
        ),
        {
            "comparison": comparison.value,
            "subjects": sorted(subjects),
            "now": now,
            "agrees": Resolution.AGREES.value,
            "healed": Resolution.HEALED.value,
        },
    )
    return result.rowcount


def open_subjects(
    connection: Connection, comparison: Comparison, *, channel: str = "", location: str = "", drift: str = ""
) -> set[str]:
    """Subjects of what is open now; of one channel, location or kind of drift where one is named."""
    rows = connection.execute(
        text(
            "SELECT subject FROM discrepancy WHERE status = 'open' AND comparison = :comparison "
            "AND (:channel = '' OR channel = :channel) AND (:location = '' OR location = :location) "
            "AND (:drift = '' OR drift = :drift)"
        ),
        {"comparison": comparison.value, "channel": channel, "location": location, "drift": drift},
    )
    return {row.subject for row in rows}


_GROW = text(
    """
    WITH patience AS (
        SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:warnings AS float[]), CAST(:criticals AS float[]))
                      AS patience (kind, warning, critical)
    ), due AS (
        SELECT discrepancy.id,
               CASE WHEN :now - opened_at >= make_interval(secs => critical) THEN 'critical' ELSE 'warning' END AS grown
        FROM discrepancy JOIN patience USING (kind)
        WHERE status = 'open' AND :now - opened_at >= make_interval(secs => warning)
    )
    UPDATE discrepancy SET severity = due.grown FROM due
    WHERE discrepancy.id = due.id AND severity <> due.grown AND severity <> 'critical'
    """
)

_AGED = text(
    """
    SELECT comparison, coalesce(nullif(channel, ''), location) AS place, count(*) AS many, min(opened_at) AS oldest,
           bool_or(severity = 'critical') AS critical,
           (array_agg(DISTINCT sku) FILTER (WHERE sku <> ''))[1:5] AS skus,
           sum(abs(observed - expected))::bigint AS units
    FROM discrepancy JOIN unnest(CAST(:kinds AS text[]), CAST(:warnings AS float[])) AS patience (kind, warning)
         USING (kind)
    WHERE status = 'open' AND :now - opened_at >= make_interval(secs => warning)
    GROUP BY 1, 2 ORDER BY 1, 2
    """
)


def escalate(connection: Connection, *, now: datetime) -> int:
    """Let severities grow with age, and tell of what has been open for too long: one incident a comparison and channel
    (or location). Returns how many discrepancies grew more severe."""
    ages = {
        "kinds": [kind.value for kind in PATIENCE],
        "warnings": [one.warning.total_seconds() for one in PATIENCE.values()],
        "now": now,
    }
    criticals = [one.critical.total_seconds() for one in PATIENCE.values()]
    grown = connection.execute(_GROW, {**ages, "criticals": criticals}).rowcount
    aged = connection.execute(_AGED, ages).all()
    incidents = [
        NewIncident(
            IncidentKind.DISCREPANCY,
            Severity.CRITICAL if row.critical else Severity.WARNING,
            f"{row.comparison}/{row.place or 'ledger'}",
            f"{row.many} discrepancies of {row.comparison} at {row.place or 'the ledger'} are open for too long, the "
            f"oldest since {row.oldest:%Y-%m-%d %H:%M} UTC, {row.units} units in all"
            + (f": {', '.join(row.skus)}" if row.skus else ""),
            {"discrepancies": row.many, "skus": list(row.skus or []), "units": row.units},
        )
        for row in aged
    ]
    open_incidents(connection, incidents, now=now)
    _grow_incidents(connection, incidents)
    _resolve_others(connection, IncidentKind.DISCREPANCY, {one.subject for one in incidents}, now=now)
    return grown


def _grow_incidents(connection: Connection, incidents: Sequence[NewIncident]) -> None:
    """A repeat of an incident keeps its severity; these grow."""
    connection.execute(
        text(
            "UPDATE incident SET severity = given.severity "
            "FROM unnest(CAST(:subjects AS text[]), CAST(:severities AS text[])) AS given (subject, severity) "
            "WHERE incident.status = 'open' AND incident.kind = :kind AND incident.subject = given.subject "
            "AND incident.severity <> given.severity"
        ),
        {
            "kind": IncidentKind.DISCREPANCY.value,
            "subjects": [one.subject for one in incidents],
            "severities": [one.severity.value for one in incidents],
        },
    )


def _resolve_others(connection: Connection, kind: IncidentKind, still: Collection[str], *, now: datetime) -> None:
    rows = connection.execute(
        text("SELECT subject FROM incident WHERE status = 'open' AND kind = :kind"), {"kind": kind.value}
    )
    over = [row.subject for row in rows if row.subject not in still]
    if over:
        resolve_incidents(connection, kind, over, now=now)
