"""What of the health report a person is told of at once: figures beyond their limits become incidents, and end."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.health.health_figures import Health
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.words import IncidentKind, Severity
from tasks.health.health_channels import ENOUGH_ORDERS
from tasks.health.health_section import Section
from tasks.health.health_words import State, percent

WATCHED = {"accuracy": Severity.WARNING, "failed-syncs": Severity.CRITICAL, "sync-gap": Severity.WARNING}
"""Sections of which an incident is opened when they are critical, with its severity."""


def missed_targets(health: Health, found: Sequence[Section]) -> list[NewIncident]:
    """Of the watched sections, and of each channel that comes near its marketplace's limit of cancellations."""
    missed = [
        NewIncident(IncidentKind.TARGET_MISSED, WATCHED[one.key], one.key, f"{one.title}: {one.says}"[:500])
        for one in found
        if one.key in WATCHED and one.state is State.CRITICAL
    ]
    for one in health.cancellations:
        if one.used is None or one.orders < ENOUGH_ORDERS or one.used < health.targets.cancelled_warning:
            continue
        missed.append(
            NewIncident(
                IncidentKind.TARGET_MISSED,
                Severity.CRITICAL if one.used >= 1 else Severity.WARNING,
                f"cancellations/{one.channel}",
                f"{one.channel}: the seller cancelled {percent(one.share, 2)} of {one.orders:,} orders in "
                f"{one.days} days, {one.out_of_stock:,} of them for want of stock; {percent(one.limit)} is the limit",
                {"orders": one.cancelled},
            )
        )
    return missed


def tell_targets(connection: Connection, missed: Sequence[NewIncident], *, now: datetime) -> None:
    """Open what is beyond its limit, let severities follow, and close what is within again."""
    open_incidents(connection, missed, now=now)
    rows = connection.execute(
        text("SELECT subject, severity FROM incident WHERE status = 'open' AND kind = :kind"),
        {"kind": IncidentKind.TARGET_MISSED.value},
    )
    now_missed = {one.subject: one for one in missed}
    opened = {row.subject: row.severity for row in rows}
    over = [subject for subject in opened if subject not in now_missed]
    # A repeat keeps its severity; near the limit and over it are two things.
    changed = [one for one in missed if opened[one.subject] != one.severity.value]
    resolve_incidents(connection, IncidentKind.TARGET_MISSED, [*over, *(one.subject for one in changed)], now=now)
    open_incidents(connection, changed, now=now)
