"""What of the goods waits for too long: transfers on the road, deliveries, returns without an inspection."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from adapters.database import in_transaction
from inventory.goods.expected_stock import overdue
from inventory.goods.inspections import waiting_parcels
from inventory.goods.transit_watch import note_stuck
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.words import IncidentKind, Severity
from tasks.runtime import Runtime


@dataclass(slots=True)
class GoodsReport:
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The longest waiting first of each kind."""
    stuck: int = 0
    late: int = 0
    uninspected: int = 0
    """Units that wait for an inspection for too long."""


def watch_goods(runtime: Runtime, *, inspect_within: timedelta = timedelta(days=2)) -> GoodsReport:
    """Open an incident for what waits for too long, and close those of what no longer does."""
    return in_transaction(runtime.engine, lambda connection: _watch(connection, runtime.now(), inspect_within))


def _watch(connection: Connection, now: datetime, inspect_within: timedelta) -> GoodsReport:
    report = GoodsReport()
    for stuck in note_stuck(connection, now=now):
        report.stuck += 1
        report.rows.append(
            _row("transfer", stuck.reference, stuck.to_location, sum(stuck.units.values()), now - stuck.expected_by)
        )
    _watch_deliveries(connection, report, now)
    _watch_returns(connection, report, now, now - inspect_within)
    return report


def _watch_deliveries(connection: Connection, report: GoodsReport, now: datetime) -> None:
    late: dict[str, list[Any]] = defaultdict(list)
    for one in overdue(connection, before=now):
        late[one.purchase].append(one)
    incidents = []
    for purchase, lines in late.items():
        first, units = lines[0], sum(one.units for one in lines)
        report.late += 1
        report.rows.append(_row("delivery", purchase, first.location, units, now - first.promised_at))
        message = (
            f"{units} units of purchase {purchase} were promised by {first.supplier} for "
            f"{first.promised_at:%Y-%m-%d} and have not been received"
        )
        detail = {"units": {one.sku: one.units for one in lines[:50]}}
        incidents.append(NewIncident(IncidentKind.INBOUND_LATE, Severity.WARNING, purchase, message, detail))
    _settle(connection, IncidentKind.INBOUND_LATE, incidents, now)


def _watch_returns(connection: Connection, report: GoodsReport, now: datetime, before: datetime) -> None:
    waiting: dict[str, list[Any]] = defaultdict(list)
    for one in waiting_parcels(connection, before=before):
        waiting[one.location].append(one)
        report.uninspected += one.units
        report.rows.append(_row("return", f"{one.parcel}/{one.sku}", one.location, one.units, now - one.since))
    incidents = []
    for location, parcels in waiting.items():
        units = sum(one.units for one in parcels)
        message = (
            f"{units} returned units at {location} wait for an inspection, the oldest since {parcels[0].since:%Y-%m-%d}"
        )
        detail = {"parcels": [one.parcel for one in parcels[:50]]}
        incidents.append(NewIncident(IncidentKind.RETURNS_WAITING, Severity.WARNING, location, message, detail))
    _settle(connection, IncidentKind.RETURNS_WAITING, incidents, now)


def _settle(connection: Connection, kind: IncidentKind, incidents: list[NewIncident], now: datetime) -> None:
    """These are open, and no others of their kind."""
    open_incidents(connection, incidents, now=now)
    rows = connection.execute(
        text("SELECT subject FROM incident WHERE kind = :kind AND status = 'open'"), {"kind": kind.value}
    )
    resolve_incidents(
        connection, kind, sorted({row.subject for row in rows} - {one.subject for one in incidents}), now=now
    )


def _row(what: str, name: str, location: str, units: int, since: timedelta) -> dict[str, Any]:
    return {
        "what": what,
        "name": name,
        "location": location,
        "units": units,
        "overdue (hours)": round(since.total_seconds() / 3600, 1),
    }
