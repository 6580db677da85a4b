"""Numbers that nobody has confirmed for long lose weight with age: a growing part of a location's stock is not shown.

Only of locations that somebody used to confirm, by snapshots of the warehouse or the ERP. A whole percent at a time,
never more than the settings allow, and gone with the next snapshot that is believed.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import Connection, text

from inventory.outages.fallback_settings import Fallback
from inventory.publishing.outbox import mark_dirty

MISSED = 2.0
GRACE = timedelta(hours=1)
FIRST_INTERVAL = timedelta(days=1)
"""Supposed between two snapshots, at least, until there were more."""


def allowance(every: timedelta) -> timedelta:
    """How old the newest reading of a source may be before it counts as not heard of."""
    return MISSED * every + GRACE


def aged_percent(age: timedelta, every: timedelta, settings: Fallback) -> int:
    """So much of what is available is not shown, `age` after the newest snapshot."""
    beyond = (age - allowance(every)) / timedelta(days=1)
    if beyond <= 0:
        return 0
    return min(settings.age_percent_most, ceil(beyond * settings.age_percent_a_day))


def aged_units(available: int, percent: int) -> int:
    """Rounded up, and never more than there is."""
    return min(max(0, available), ceil(max(0, available) * percent / 100))


def note_location_read(connection: Connection, locations: Collection[str], *, taken_at: datetime) -> None:
    """A snapshot of these locations was believed. An older one than the newest changes nothing."""
    connection.execute(
        text(
            """
            INSERT INTO location_reading (location, taken_at)
            SELECT code, :taken_at FROM location WHERE code = ANY(:locations)
            ON CONFLICT (location) DO UPDATE
            SET taken_at = EXCLUDED.taken_at,
                -- As the interval of a channel's pulls: one long gap does not hide the next.
                every_seconds = (
                    SELECT CASE WHEN location_reading.every_seconds IS NULL THEN greatest(passed, :first)
                                WHEN passed > location_reading.every_seconds
                                    THEN least(passed, location_reading.every_seconds * 1.5)
                                ELSE greatest(passed, location_reading.every_seconds * 0.9) END
                    FROM (SELECT extract(epoch FROM EXCLUDED.taken_at - location_reading.taken_at)::float8 AS passed)
                        AS gap)
            WHERE location_reading.taken_at < EXCLUDED.taken_at
            """
        ),
        {"locations": sorted(locations), "taken_at": taken_at, "first": FIRST_INTERVAL.total_seconds()},
    )


def mark_location(connection: Connection, location: str, *, now: datetime) -> None:
    """What lies there is to be published again."""
    rows = connection.execute(
        text("SELECT sku FROM balance WHERE location = :location AND state = 'available' AND quantity > 0"),
        {"location": location},
    )
    mark_dirty(connection, {row.sku for row in rows}, now=now, eager=False)
