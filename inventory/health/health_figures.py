"""How the business is: every figure of the health report and of `onhand status`, read in one snapshot.

Each figure is one set-based statement. Those that look at every listing (`whole`: exposure, stock that is not shown,
low stock) take seconds of a million listings; without them the rest answers at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.counting.counting_accuracy import Accuracy, accuracy
from inventory.health.health_cancellations import ChannelCancellations, Pattern, by_channel, patterns
from inventory.health.health_limits import CANCELLATION_LIMITS, TARGETS, CancellationLimit, Targets
from inventory.health.health_stock import MONTH, Low, Shown, low_stock, shown_stock
from inventory.health.health_sync import (
    LOOK_BACK,
    BudgetUse,
    ChannelHealth,
    RevisionLimit,
    SyncGap,
    budget_use,
    channel_health,
    sync_gaps,
)
from inventory.publishing.exposure_view import SkuExposure, Total, by_sku, total
from inventory.reconciling.drift_report import (
    BUCKETS,
    Aged,
    Drifting,
    Offender,
    drifting_places,
    open_by_age,
    repeat_offenders,
)
from inventory.words import IncidentKind, Severity

COUNTED_WITHIN = timedelta(days=91)
"""Every item is counted within so many days, so this is an accuracy of the whole record."""
COST_WITHOUT = 20.0
"""What a unit is taken to cost of an item whose cost nobody gave. Only shares by value hang on it."""
MOST_INCIDENTS = 200
MOST_DISCREPANCIES = 100
SMALL = 100_000
"""Listings of which a whole look takes less than about a second."""


@dataclass(frozen=True, slots=True)
class OpenIncident:
    kind: str
    severity: str
    subject: str
    message: str
    times: int
    first_at: datetime


@dataclass(frozen=True, slots=True)
class KindCount:
    """Incidents of one kind."""

    kind: str
    open: int
    critical: int
    """Of the open ones."""
    oldest: datetime | None
    """Of the open ones."""
    month: int
    """That were opened within 28 days, closed since or not."""


@dataclass(frozen=True, slots=True)
class AgeCount:
    """Open discrepancies of one SKU, channel or warehouse."""

    by: str
    subject: str
    many: int
    buckets: tuple[int, ...]
    """By age, as `drift_report.BUCKETS`."""
    units: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Health:
    at: datetime
    targets: Targets
    accuracy: list[Accuracy]
    channels: list[ChannelHealth]
    gaps: list[SyncGap]
    budgets: list[BudgetUse]
    cancellations: list[ChannelCancellations]
    patterns: list[Pattern]
    incidents: list[OpenIncident]
    incidents_open: dict[str, int]
    """By severity."""
    incident_kinds: list[KindCount]
    discrepancies: list[Aged]
    """The most severe, then the oldest."""
    discrepancies_open: dict[str, int]
    ages: list[AgeCount]
    offenders: list[Offender]
    drifting: list[Drifting]
    exposure: Total | None = None
    """None, as the next three: not looked at."""
    tightest: list[SkuExposure] | None = None
    shown: Shown | None = None
    low: Low | None = None


_INCIDENTS = text(
    """
    SELECT kind, severity, subject, message, times, first_at FROM incident
    WHERE status = 'open' AND kind <> :told
    ORDER BY array_position(ARRAY['critical', 'warning', 'info']::varchar[], severity), first_at, id LIMIT :most
    """
)
_KINDS = text(
    """
    SELECT kind, count(*) FILTER (WHERE status = 'open') AS open,
           count(*) FILTER (WHERE status = 'open' AND severity = 'critical') AS critical,
           min(first_at) FILTER (WHERE status = 'open') AS oldest, count(*) FILTER (WHERE first_at > :since) AS month
    FROM incident WHERE (status = 'open' OR first_at > :since) AND kind <> :told
    GROUP BY kind ORDER BY critical DESC, open DESC, month DESC, kind
    """
)
_BY_BUCKET = ", ".join(f"count(*) FILTER (WHERE bucket = {place})" for place in range(len(BUCKETS)))
_AGES = text(
    f"""
    WITH aged AS (
        SELECT thing, about.subject, abs(observed - expected) AS units, opened_at,
               width_bucket(extract(epoch FROM CAST(:now AS timestamptz) - opened_at)::float,
                            CAST(:edges AS float[])) AS bucket
        FROM discrepancy CROSS JOIN LATERAL
             (VALUES ('channel', channel), ('warehouse', location), ('SKU', sku)) AS about (thing, subject)
        WHERE status = 'open' AND about.subject <> ''
    ), counted AS (
        SELECT thing, subject, count(*) AS many, ARRAY[{_BY_BUCKET}] AS buckets, sum(units)::bigint AS units,
               min(opened_at) AS oldest,
               row_number() OVER (PARTITION BY thing ORDER BY min(opened_at), count(*) DESC, subject) AS place
        FROM aged GROUP BY thing, subject
    )
    SELECT thing, subject, many, buckets, units, oldest FROM counted WHERE place <= 50
    ORDER BY array_position(ARRAY['channel', 'warehouse', 'SKU'], thing), place
    """  # noqa: S608
)


def measure(
    connection: Connection,
    *,
    now: datetime,
    limits: Mapping[str, CancellationLimit] = CANCELLATION_LIMITS,
    revisions: Sequence[RevisionLimit] = (),
    targets: Targets = TARGETS,
    whole: bool = True,
) -> Health:
    """Rates are of the last 24 hours, cancellations of the marketplaces' own days, accuracy of 91."""
    since = now - LOOK_BACK
    channels = channel_health(connection, since=since, now=now)
    vendors = {one.channel: one.vendor for one in channels}
    return Health(
        at=now,
        targets=targets,
        accuracy=accuracy(connection, since=now - COUNTED_WITHIN, until=now, assumed_cost=COST_WITHOUT),
        channels=channels,
        gaps=sync_gaps(connection, since=since, now=now),
        budgets=budget_use(connection, channels, revisions, since=since, now=now),
        cancellations=by_channel(connection, vendors, limits, now=now),
        patterns=patterns(connection, now=now),
        incidents=_incidents(connection),
        incidents_open=_by_severity(connection, "incident"),
        incident_kinds=_kinds(connection, since=now - MONTH),
        discrepancies=open_by_age(connection, now=now, limit=MOST_DISCREPANCIES),
        discrepancies_open=_by_severity(connection, "discrepancy"),
        ages=_ages(connection, now=now),
        offenders=repeat_offenders(connection, now=now),
        drifting=drifting_places(connection, now=now),
        exposure=total(connection) if whole else None,
        tightest=by_sku(connection) if whole else None,
        shown=shown_stock(connection) if whole else None,
        low=low_stock(connection, within_days=targets.low_days, now=now) if whole else None,
    )


def is_small(connection: Connection) -> bool:
    """Whether a whole look is quick: by the planner's estimate, which costs nothing."""
    rows = connection.execute(text("SELECT reltuples FROM pg_class WHERE oid = 'listing'::regclass")).scalar_one()
    return float(rows) < SMALL


def _incidents(connection: Connection) -> list[OpenIncident]:
    """Without those of the report's own figures, which their sections tell of."""
    rows = connection.execute(_INCIDENTS, {"most": MOST_INCIDENTS, "told": IncidentKind.TARGET_MISSED.value})
    return [OpenIncident(*row) for row in rows]


def _kinds(connection: Connection, *, since: datetime) -> list[KindCount]:
    rows = connection.execute(_KINDS, {"since": since, "told": IncidentKind.TARGET_MISSED.value})
    return [KindCount(*row) for row in rows]


def _by_severity(connection: Connection, table: str) -> dict[str, int]:
    rows = connection.execute(
        text(
            f"SELECT severity, count(*) AS many FROM {table} WHERE status = 'open' AND kind <> :told "  # noqa: S608
            "GROUP BY severity"
        ),
        {"told": IncidentKind.TARGET_MISSED.value},
    )
    counted = {row.severity: row.many for row in rows}
    return {severity.value: counted.get(severity.value, 0) for severity in Severity}


def _ages(connection: Connection, *, now: datetime) -> list[AgeCount]:
    edges = [hours * 3600 for _, hours in BUCKETS[:-1]]
    rows = connection.execute(_AGES, {"now": now, "edges": edges})
    return [AgeCount(row.thing, row.subject, row.many, tuple(row.buckets), row.units, row.oldest) for row in rows]
