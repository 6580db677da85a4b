"""Measure the health of the business, note it as today's, and write the page. Runs without Prefect as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine

from adapters.channels.ebay.ebay_budget import REVISIONS_PER_DAY, day_bounds, vendor_day
from adapters.database import in_transaction
from inventory.health.health_figures import Health, measure
from inventory.health.health_limits import TARGETS, CancellationLimit, Targets
from inventory.health.health_samples import Trend, note_samples, trends
from inventory.health.health_sync import RevisionLimit
from inventory.publishing.exposure_view import sample
from tasks.health.health_alarms import missed_targets, tell_targets
from tasks.health.health_page import health_page
from tasks.health.health_section import Section
from tasks.health.health_sections import samples, sections

FOLDER = "reports"
NEWEST = "health.html"
KEPT_PAGES = 60
"""Days of which the page is kept."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    at: datetime
    sections: list[Section]
    trends: dict[str, list[Trend]]
    """By name of the samples."""
    page: Path


def revision_limits(now: datetime) -> list[RevisionLimit]:
    """What vendors say of how often a listing may be revised: eBay's 250 a day."""
    return [RevisionLimit("ebay", REVISIONS_PER_DAY, *day_bounds(vendor_day(now)))]


def look(
    connection: Connection,
    *,
    now: datetime,
    limits: Mapping[str, CancellationLimit],
    targets: Targets = TARGETS,
    whole: bool = True,
) -> Health:
    return measure(connection, now=now, limits=limits, revisions=revision_limits(now), targets=targets, whole=whole)


def report_health_of(
    engine: Engine,
    *,
    now: datetime,
    limits: Mapping[str, CancellationLimit],
    folder: Path,
    days: int,
    targets: Targets = TARGETS,
) -> HealthReport:
    """Running it again on the same day replaces what was noted and written of that day."""

    def read(connection: Connection) -> Health:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return look(connection, now=now, limits=limits, targets=targets)

    def note(connection: Connection) -> list[Trend]:
        sample(connection, now=now)
        tell_targets(connection, missed_targets(health, found), now=now)
        note_samples(connection, noted, now=now)
        return trends(connection, {name for name, _ in noted}, days=days, now=now)

    health = in_transaction(engine, read)
    found, noted = sections(health), samples(health)
    by_name: dict[str, list[Trend]] = {}
    for one in in_transaction(engine, note):
        by_name.setdefault(one.name, []).append(one)
    return HealthReport(now, found, by_name, write_page(folder / FOLDER, found, by_name, at=now))


def write_page(folder: Path, found: Sequence[Section], by_name: Mapping[str, Sequence[Trend]], *, at: datetime) -> Path:
    """The newest page, and a copy of it under its day; each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    content = health_page(found, by_name, at=at)
    newest, of_day = folder / NEWEST, folder / f"health-{at.astimezone(UTC):%Y-%m-%d}.html"
    for path in (of_day, newest):
        beside = path.with_suffix(".part")
        beside.write_text(content, encoding="utf-8")
        beside.replace(path)
    oldest = f"health-{at.astimezone(UTC) - timedelta(days=KEPT_PAGES):%Y-%m-%d}.html"
    for path in folder.glob("health-????-??-??.html"):
        if path.name < oldest:
            path.unlink()
    return newest
