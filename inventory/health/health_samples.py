"""A figure a day of what the health report shows, so that it shows where things are going."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text

KEPT = timedelta(days=800)
"""Two years side by side, and some."""


@dataclass(frozen=True, slots=True)
class Trend:
    name: str
    subject: str
    points: tuple[tuple[date, float], ...]
    """By day; days on which nobody looked are absent."""


def note_samples(connection: Connection, values: Mapping[tuple[str, str], float | None], *, now: datetime) -> None:
    """{(name, subject): value} of today (UTC), in place of what was noted of today before. None is not noted."""
    known = {key: float(value) for key, value in sorted(values.items()) if value is not None}
    if not known:
        return
    today = now.astimezone(UTC).date()
    connection.execute(
        text(
            """
            INSERT INTO health_sample (name, subject, day, value)
            SELECT name, subject, :today, value
            FROM unnest(CAST(:names AS text[]), CAST(:subjects AS text[]), CAST(:values AS float8[]))
                 AS given (name, subject, value)
            ON CONFLICT (name, subject, day) DO UPDATE SET value = EXCLUDED.value
            """
        ),
        {
            "today": today,
            "names": [name for name, _ in known],
            "subjects": [subject for _, subject in known],
            "values": list(known.values()),
        },
    )
    connection.execute(text("DELETE FROM health_sample WHERE day < :oldest"), {"oldest": today - KEPT})


def trends(connection: Connection, names: Collection[str], *, days: int, now: datetime) -> list[Trend]:
    """What was noted under these names within so many days, by name and subject."""
    rows = connection.execute(
        text(
            "SELECT name, subject, array_agg(day ORDER BY day) AS days, array_agg(value ORDER BY day) AS values "
            "FROM health_sample WHERE name = ANY(:names) AND day > :since AND day <= :today "
            "GROUP BY name, subject ORDER BY name, subject"
        ),
        {
            "names": sorted(names),
            "since": now.astimezone(UTC).date() - timedelta(days=days),
            "today": now.astimezone(UTC).date(),
        },
    )
    return [Trend(row.name, row.subject, tuple(zip(row.days, row.values, strict=True))) for row in rows]
