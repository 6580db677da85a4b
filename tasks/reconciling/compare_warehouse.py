"""A warehouse's snapshot from a table: gated, then reconciled with what the ledger had at its moment."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from adapters.database import in_transaction, unit_of_work
from adapters.seller_csv import BadRow, CsvRow, CsvTable, read_csv
from expectations.parameters import StockBalances
from expectations.seller_frames import BalanceRow, Form, balances_frame, quantity_of
from expectations.verdict import Status, Verdict
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.naming import Naming, naming
from inventory.outages.ageing import note_location_read
from inventory.reconciling.discrepancies import Found, close_discrepancies, open_discrepancies
from inventory.reconciling.warehouse_reconciliation import (
    NOTHING,
    WHOLE,
    Shelf,
    Then,
    differences,
    ledger_then,
    subject_of,
    swapped,
)
from inventory.words import ON_HAND, Comparison, DiscrepancyClass, IncidentKind, Severity
from tasks.judged_rows import held_reasons
from tasks.runtime import Runtime
from tasks.selling.apply import record

SUITE = "stock_balances"
COLUMNS = ("sku", "location", "quantity")
OPTIONAL = ("state",)
_STATES = {state.value for state in ON_HAND}
_UNBOUNDED = 10**15
_SUBJECT = "warehouse_snapshot"


class NotCompared(ValueError):
    """The snapshot as a whole cannot be used; the message says why."""


@dataclass(slots=True)
class WarehouseCompared:
    taken_at: datetime
    rows: int = 0
    compared: int = 0
    """Shelves: a SKU at a location, in a state where the table has states."""
    found: list[Found] = field(default_factory=list)
    swaps: list[tuple[str, str, str, int]] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)
    """Rows that the gate holds back, and why."""
    closed: int = 0
    stale: bool = False
    blocked: str = ""


def compare_warehouse(
    runtime: Runtime,
    source: str,
    *,
    folder: Path,
    taken_at: datetime,
    complete: bool = False,
    sold_may_have_left: bool = False,
    stale_after: timedelta = timedelta(hours=36),
    approved_by: str = "",
) -> WarehouseCompared:
    """Compare the table with the ledger as it was at `taken_at`. Nothing is adjusted by it: a difference is opened, and
    counting decides.

    `complete`: the table lists all that lies at the locations it names, so what is not in it counts as none.
    `sold_may_have_left`: nobody tells the ledger what was sent, so fewer units by no more than are sold are no
    difference.
    Raises CsvError, NotCompared.
    """
    now = runtime.now()
    if taken_at > now + timedelta(minutes=5):
        raise NotCompared(f"the snapshot is said to be of {taken_at:%Y-%m-%d %H:%M %Z}, which is in the future")
    table = read_csv(source, required=COLUMNS, optional=OPTIONAL, folder=folder)
    if not table.rows and not table.bad:
        raise NotCompared("the table has no rows below its header")
    report = WarehouseCompared(taken_at, len(table.rows) + len(table.bad), stale=now - taken_at > stale_after)
    by_state = bool(table.rows) and "state" in table.rows[0].cells
    bad = {one.number: one for one in table.bad} | _unknown_states(table)
    with unit_of_work(runtime.engine) as connection:
        names, places, parcels = naming(connection), _places(connection), _bundles(connection)
        named = {row.cells["location"] for row in table.rows} & places
        then = ledger_then(connection, named, taken_at=taken_at, by_state=by_state)
    shelves = _shelves(table, names, bad, by_state)
    if complete and not bad:
        # A SKU that the table does not list lies nowhere there; the row number tells that it is ours.
        listed = {shelf for _, shelf, _ in shelves}
        shelves += [(0, shelf, "0") for shelf, known in sorted(then.items()) if known.units and shelf not in listed]
    rows = [
        _row(
            number,
            shelf,
            written,
            _prior(then.get(shelf, NOTHING), written, sold_may_have_left),
            names,
            places,
            parcels,
        )
        for number, shelf, written in shelves
    ]
    rows += [BalanceRow(one.number, "", "", None, True, True, True, True, math.nan, 0) for one in bad.values()]
    frame = balances_frame(rows)
    verdict = runtime.check(SUITE, frame, StockBalances(now=now))
    reasons = held_reasons(verdict, bad, frame)
    report.held = [_held(rows[label], why) for label, why in reasons.items()]
    if verdict.status is Status.ERROR or (verdict.status is Status.BLOCK and not approved_by):
        report.blocked = verdict.summary()
    else:
        counted = {
            shelf: int(frame["quantity"].iloc[label])
            for label, (_, shelf, _) in enumerate(shelves)
            if label not in reasons
        }
        report.compared = len(counted)
        report.found = differences(counted, then, stale=report.stale, sold_may_have_left=sold_may_have_left)
        report.swaps = swapped(report.found)
    in_transaction(runtime.engine, lambda connection: _note(connection, runtime, report, verdict, frame, reasons))
    return report


def _unknown_states(table: CsvTable) -> dict[int, BadRow]:
    return {
        row.number: BadRow(
            row.number,
            f"its state is none of {', '.join(sorted(_STATES))}",
            ascii(row.cells["state"])[1:-1][:60],
        )
        for row in table.rows
        if "state" in row.cells and row.cells["state"] not in _STATES
    }


def _places(connection: Connection) -> set[str]:
    return {row.code for row in connection.execute(text("SELECT code FROM location"))}


def _bundles(connection: Connection) -> set[str]:
    return {row.sku for row in connection.execute(text("SELECT DISTINCT bundle_sku AS sku FROM bundle_component"))}


def _shelves(table: CsvTable, names: Naming, bad: dict[int, BadRow], by_state: bool) -> list[tuple[int, Shelf, str]]:
    """(row number, shelf, quantity as written) of each row that could be read."""

    def shelf(row: CsvRow) -> Shelf:
        sku = names.resolve(row.cells["sku"]).sku or row.cells["sku"]
        return sku, row.cells["location"], row.cells["state"] if by_state else WHOLE

    return [(row.number, shelf(row), row.cells["quantity"]) for row in table.rows if row.number not in bad]


def _row(
    number: int,
    shelf: Shelf,
    written: str,
    prior: int,
    names: Naming,
    places: set[str],
    parcels: set[str],
) -> BalanceRow:
    sku, location, state = shelf
    return BalanceRow(
        row=number,
        sku=sku,
        # With its state, so that two states of one SKU are not taken for one row that comes twice.
        location=f"{location}/{state}" if state else location,
        quantity=written,
        sku_known=sku in names,
        stocked=sku not in parcels,
        location_known=location in places,
        first=True,
        prior=float(prior),
        available=_UNBOUNDED,
    )


def _prior(known: Then, written: str, sold_may_have_left: bool) -> int:
    """What the gate compares the row with."""
    quantity, form = quantity_of(written)
    return known.nearest(int(quantity)) if sold_may_have_left and form is Form.WHOLE else known.units


def _held(one: BalanceRow, why: str) -> dict[str, Any]:
    return {"row": one.row, "SKU": one.sku[:80], "location": one.location[:80], "why": why}


def _note(
    connection: Connection,
    runtime: Runtime,
    report: WarehouseCompared,
    verdict: Verdict,
    frame: pd.DataFrame,
    reasons: dict[int, str],
) -> None:
    now = runtime.now()
    record(connection, "", verdict, now)
    if report.blocked:
        message = f"a warehouse's snapshot is not believed, nothing is compared with it: {verdict.summary()}"
        incident = NewIncident(IncidentKind.BATCH_BLOCKED, Severity.CRITICAL, _SUBJECT, message)
        open_incidents(connection, [incident], now=now)
        return
    resolve_incidents(connection, IncidentKind.BATCH_BLOCKED, [_SUBJECT], now=now)
    open_discrepancies(connection, report.found, now=now)
    if report.stale:
        return
    places = {str(place) for label, place in enumerate(frame["location"]) if label not in reasons}
    note_location_read(connection, places, taken_at=report.taken_at)
    off = {one.subject for one in report.found}
    keys = [str(key) for label, key in enumerate(frame["row_key"]) if label not in reasons]
    report.closed = close_discrepancies(connection, Comparison.WAREHOUSE, set(keys) - off, now=now)


def as_rows(report: WarehouseCompared, limit: int = 200) -> list[dict[str, object]]:
    """For people: the largest differences first."""
    partners = {(place, sku): other for place, short, over, _ in report.swaps for sku, other in
                ((short, over), (over, short))}  # fmt: skip
    ordered = sorted(report.found, key=lambda one: -abs(one.observed - one.expected))
    return [
        {
            "location": one.location,
            "SKU": one.sku,
            "class": one.kind.value,
            "ledger": one.expected,
            "warehouse": one.observed,
            "what": one.message,
            "taken for": partners.get((one.location, one.sku), "") if one.kind is DiscrepancyClass.BAD_COUNT else "",
        }
        for one in ordered[:limit]
    ]


__all__ = ["COLUMNS", "OPTIONAL", "NotCompared", "WarehouseCompared", "as_rows", "compare_warehouse", "subject_of"]
