"""Where drift comes from, and how old it is: SKUs that differ again and again, channels that drift, what is open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

OFTEN = 3
"""So many discrepancies of one SKU at one place within the window make it a repeat offender."""
WINDOW = timedelta(days=30)
BUCKETS = (("under 4 h", 4.0), ("4 to 24 h", 24.0), ("1 to 7 days", 168.0), ("over 7 days", float("inf")))
"""(name, hours at most)"""


@dataclass(frozen=True, slots=True)
class Offender:
    sku: str
    place: str
    """Channel or location."""
    times: int
    units: int
    kinds: tuple[str, ...]
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Drifting:
    """How one channel (or location) drifted within the window. *Delayed* and *stale* are no drift."""

    comparison: str
    place: str
    times: int
    skus: int
    units: int
    share: float
    """Of all drift of this comparison."""


@dataclass(frozen=True, slots=True)
class Aged:
    id: int
    comparison: str
    place: str
    sku: str
    subject: str
    drift: str
    kind: str
    severity: str
    expected: int
    observed: int
    age: timedelta
    message: str

    @property
    def bucket(self) -> str:
        hours = self.age.total_seconds() / 3600
        return next(name for name, most in BUCKETS if hours < most or most == float("inf"))


_REAL = "kind NOT IN ('delayed', 'stale')"


def repeat_offenders(connection: Connection, *, now: datetime, limit: int = 50) -> list[Offender]:
    """SKUs that differed at one place `OFTEN` times or more within the window, the worst first."""
    rows = connection.execute(
        text(
            f"""
            SELECT sku, coalesce(nullif(channel, ''), location) AS place, count(*) AS times,
                   sum(abs(observed - expected))::bigint AS units, array_agg(DISTINCT kind) AS kinds,
                   max(last_seen_at) AS last_at
            FROM discrepancy WHERE opened_at > :since AND sku <> '' AND {_REAL}
            GROUP BY 1, 2 HAVING count(*) >= :often ORDER BY times DESC, units DESC, sku LIMIT :limit
            """  # noqa: S608
        ),
        {"since": now - WINDOW, "often": OFTEN, "limit": limit},
    )
    return [Offender(row.sku, row.place, row.times, row.units, tuple(sorted(row.kinds)), row.last_at) for row in rows]


def drifting_places(connection: Connection, *, now: datetime) -> list[Drifting]:
    """Each channel (and location) by how often it drifted within the window, the worst first."""
    rows = connection.execute(
        text(
            f"""
            SELECT comparison, coalesce(nullif(channel, ''), location) AS place, count(*) AS times,
                   count(DISTINCT sku) AS skus, sum(abs(observed - expected))::bigint AS units,
                   (count(*) / sum(count(*)) OVER (PARTITION BY comparison))::float AS share
            FROM discrepancy WHERE opened_at > :since AND {_REAL}
            GROUP BY 1, 2 ORDER BY times DESC, comparison, place
            """  # noqa: S608
        ),
        {"since": now - WINDOW},
    )
    return [Drifting(*row) for row in rows]


def open_by_age(connection: Connection, *, now: datetime, limit: int = 500) -> list[Aged]:
    """What is open: the most severe first, then the oldest."""
    rows = connection.execute(
        text(
            """
            SELECT id, comparison, coalesce(nullif(channel, ''), location) AS place, sku, subject, drift, kind,
                   severity, expected, observed, CAST(:now AS timestamptz) - opened_at AS age, message
            FROM discrepancy WHERE status = 'open'
            ORDER BY array_position(ARRAY['critical', 'warning', 'info']::varchar[], severity), opened_at, id
            LIMIT :limit
            """
        ),
        {"now": now, "limit": limit},
    )
    return [Aged(*row) for row in rows]


def ages(open_now: Sequence[Aged]) -> list[dict[str, object]]:
    """How many are open a comparison, place and age: the table behind an exception dashboard."""
    counted: dict[tuple[str, str], dict[str, int]] = {}
    for one in open_now:
        row = counted.setdefault((one.comparison, one.place), dict.fromkeys((name for name, _ in BUCKETS), 0))
        row[one.bucket] += 1
    return [{"comparison": what, "where": place, **row} for (what, place), row in sorted(counted.items())]
