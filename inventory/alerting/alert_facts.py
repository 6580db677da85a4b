"""What is known of incidents when a message about them is made: their rows, and the units that are at risk."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from inventory.alerting.alert_text import Fact
from inventory.words import Severity

_INCIDENTS = text(
    "SELECT id, kind, subject, severity, message, detail, status, times, first_at, last_at FROM incident "
    "WHERE id = ANY(:ids) ORDER BY id"
)

_AT_RISK = text(
    """
    SELECT given.id,
           (SELECT coalesce(sum(line.oversold), 0)
            FROM reservation_line line JOIN reservation USING (holder)
            WHERE line.sku = given.subject AND line.oversold > 0 AND reservation.status = 'live') AS oversold,
           coalesce(
               (SELECT sum(l.exposure * l.units_per_listing) FROM listing l WHERE l.sku = given.subject),
               (SELECT sum(l.exposure * l.units_per_listing) FROM listing l
                WHERE l.channel = given.head AND l.ref = given.rest),
               (SELECT sum(l.exposure * l.units_per_listing) FROM listing l
                WHERE l.channel = coalesce(nullif(given.rest, ''), given.head))
           ) AS exposed
    FROM (SELECT id, subject, split_part(subject, '/', 1) AS head,
                 substr(subject, length(split_part(subject, '/', 1)) + 2) AS rest
          FROM incident WHERE id = ANY(:ids)) AS given
    """
)
"""A subject is a SKU, `channel/listing`, a channel, or `suite/channel` and `part/channel`."""


def read_facts(connection: Connection, ids: Sequence[int]) -> list[Fact]:
    """The incidents, with what is at risk now: units oversold, and units that channels may still sell or have sold
    unseen (exposure)."""
    risks = {row.id: (int(row.oversold), row.exposed) for row in connection.execute(_AT_RISK, {"ids": list(ids)})}
    return [
        Fact(
            id=row.id,
            kind=row.kind,
            subject=row.subject,
            severity=Severity(row.severity),
            message=row.message,
            opened_at=row.first_at,
            last_at=row.last_at,
            times=row.times,
            is_open=row.status == "open",
            at_risk=_words(*risks[row.id]),
            units=risks[row.id][0] + int(risks[row.id][1] or 0),
            detail=row.detail if isinstance(row.detail, dict) else {},
        )
        for row in connection.execute(_INCIDENTS, {"ids": list(ids)})
    ]


def _words(oversold: int, exposed: int | None) -> str:
    parts = [f"{_units(oversold)} sold that do not exist"] if oversold else []
    if exposed is not None:
        parts.append(f"{_units(int(exposed))} on show or sold unseen" if exposed else "nothing on show any more")
    return "; ".join(parts)


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count:,} units"
