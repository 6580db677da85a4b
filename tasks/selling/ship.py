"""Shipments, told by a table: gated, then posted to the orders that hold the units. The rest is held and named."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from adapters.database import in_transaction, unit_of_work
from adapters.seller_csv import CsvRow, CsvTable, read_csv
from adapters.wakeups import PUBLISH, wake
from expectations.cells import instant
from expectations.seller_frames import quantity_of
from expectations.shipment_frame import ShipmentRow, shipments_frame
from expectations.shipments import NAME, Shipments
from expectations.verdict import Status, Verdict
from inventory.goods.shipment_posting import Posted, Shipped, Step, known_holders, post_shipments, told_before
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.naming import naming
from inventory.orders.orders import order_holder
from inventory.publishing.gate_log import HeldRow, hold_rows, release_rows
from inventory.words import IncidentKind, Severity
from tasks.goods.expect import CHUNK, NotUsable, location_codes, require
from tasks.goods.goods_words import word_fault
from tasks.judged_rows import held_reasons
from tasks.runtime import Runtime
from tasks.selling.apply import record

COLUMNS = ("channel", "order_id", "sku", "quantity")
OPTIONAL = ("location", "shipment", "shipped_at", "step")
LONGEST_ID = 255


@dataclass(slots=True)
class ShipmentReport:
    verdict: Verdict | None = None
    rows: int = 0
    units: int = 0
    moved: int = 0
    """Pieces that moved by it: the others had been told of before."""
    repeated: int = 0
    blocked: bool = False
    held: list[dict[str, Any]] = field(default_factory=list)


def ship(
    runtime: Runtime,
    source: str,
    *,
    folder: Path,
    actor: str,
    shipment: str = "",
    location: str = "",
    approved_by: str = "",
) -> ShipmentReport:
    """Post what was routed or sent. `shipment` and `location` are those of rows that name none; a row without a step
    was sent. A shipment says something of an order's SKU once: the same again changes nothing.

    A block of the gate is let through by `approved_by`, a missing verdict by nobody. Raises CsvError, NotUsable.
    """
    require(actor=actor)
    table = read_csv(source, required=COLUMNS, optional=OPTIONAL, folder=folder)
    if not table.rows and not table.bad:
        raise NotUsable("the table has no rows below its header: nothing was posted")
    report = ShipmentReport()
    rows, given = _rows(runtime, table, shipment.strip(), location.strip())
    frame = shipments_frame(rows)
    verdict = runtime.check(NAME, frame, Shipments(now=runtime.now()))
    report.verdict = verdict
    report.blocked = verdict.status is Status.ERROR or (verdict.status is Status.BLOCK and not approved_by)
    reasons = held_reasons(verdict, {one.number: one for one in table.bad}, frame)
    by = f"{actor}, approved by {approved_by}" if approved_by and approved_by != actor else actor
    sound = [(label, given[label]) for label in range(len(rows)) if label not in reasons and not report.blocked]
    for start in range(0, len(sound), CHUNK):
        part = sound[start : start + CHUNK]
        posted = in_transaction(runtime.engine, partial(_post, rows=part, actor=by, now=runtime.now()))
        report.rows += posted.rows
        report.units += posted.units
        report.moved += posted.moved
        report.repeated += posted.repeated
        why = {one.key: fault for one, fault in posted.refused}
        reasons |= {label: why[one.key] for label, one in part if one is not None and one.key in why}
    report.held = [_held(rows[label], reasons[label]) for label in sorted(reasons)]
    work = partial(_note, report=report, rows=rows, frame=frame, reasons=reasons, now=runtime.now())
    in_transaction(runtime.engine, work)
    wake(runtime.engine, PUBLISH)
    return report


def _post(connection: Connection, *, rows: Sequence[tuple[int, Shipped | None]], actor: str, now: datetime) -> Posted:
    return post_shipments(connection, [one for _, one in rows if one is not None], actor=actor, now=now)


def _rows(
    runtime: Runtime, table: CsvTable, shipment: str, location: str
) -> tuple[list[ShipmentRow], list[Shipped | None]]:
    """The rows as the gate takes them and as the ledger takes them (None where that cannot be), by line."""
    now = runtime.now()
    with unit_of_work(runtime.engine) as connection:
        names, places = naming(connection), location_codes(connection)
        channels = {row.code for row in connection.execute(text("SELECT code FROM channel"))}
        holders = known_holders(connection, [_holder(row) for row in table.rows if _plain(row)])
        called = {_name(row, shipment) for row in table.rows}
        told = told_before(connection, {name for name in called if not word_fault(name, LONGEST_ID)})
    made: list[tuple[ShipmentRow, Shipped | None]] = []
    for row in table.rows:
        cells = row.cells
        sku = names.resolve(cells["sku"]).sku
        name, place = _name(row, shipment), cells.get("location", "") or location
        step, at = cells.get("step", "").lower() or Step.SHIP.value, _moment(cells.get("shipped_at", ""), now)
        units = quantity_of(cells["quantity"])[0]
        known_step = step in set(Step) and bool(place or step == Step.SHIP)
        shipped = None
        if known_step and at is not None and math.isfinite(units):
            shipped = Shipped(Step(step), name, cells["channel"], cells["order_id"], sku or "", int(units), place, at)
        told_row = ShipmentRow(
            row=row.number,
            step=step,
            shipment="" if word_fault(name, LONGEST_ID) else name,
            channel=cells["channel"],
            order_id=cells["order_id"],
            sku=sku or cells["sku"],
            quantity=cells["quantity"],
            location=place,
            ahead=(at - now).total_seconds() if at else math.nan,
            channel_known=cells["channel"] in channels,
            order_known=_plain(row) and _holder(row) in holders,
            sku_known=sku is not None,
            step_known=known_step,
            location_known=not place or place in places,
            unchanged=shipped is None or told.get(shipped.key, units) == units,
        )
        made.append((told_row, shipped))
    unread = (False, False, False, True, True, True)
    made += [(ShipmentRow(one.number, "", "", "", "", "", None, "", math.nan, *unread), None) for one in table.bad]
    made.sort(key=lambda pair: pair[0].row)
    return [one for one, _ in made], [shipped for _, shipped in made]


def _plain(row: CsvRow) -> bool:
    """Its order can be asked for at all."""
    return not word_fault(row.cells["channel"]) and not word_fault(row.cells["order_id"], LONGEST_ID)


def _holder(row: CsvRow) -> str:
    return order_holder(row.cells["channel"], row.cells["order_id"])


def _name(row: CsvRow, shipment: str) -> str:
    return row.cells.get("shipment", "") or shipment


def _moment(written: str, now: datetime) -> datetime | None:
    """When it left: now, if that is not said. None: what stands there is no instant."""
    return instant(written) if written else now


def _note(
    connection: Connection,
    *,
    report: ShipmentReport,
    rows: Sequence[ShipmentRow],
    frame: pd.DataFrame,
    reasons: dict[int, str],
    now: datetime,
) -> None:
    """The verdict, each row that was held back and has a name, and those that came through after all."""
    assert report.verdict is not None
    record(connection, "", report.verdict, now)
    keys = [str(key) for key in frame["row_key"]]
    failed, by_channel = report.verdict.failed_rows, Counter[str]()
    for label, why in reasons.items():
        channel = rows[label].channel if rows[label].channel_known else ""
        by_channel[channel] += 1
        if not keys[label].startswith("row["):
            held = HeldRow(keys[label], ",".join(failed.get(label, ["LEDGER"])), why[:500])
            hold_rows(connection, NAME, channel, [held], now=now)
    if not report.blocked:
        release_rows(connection, NAME, [key for label, key in enumerate(keys) if label not in reasons], now=now)
    _tell_block(connection, report, now)
    example = {rows[label].channel if rows[label].channel_known else "": why for label, why in reasons.items()}
    incidents = [
        NewIncident(
            IncidentKind.SHIPMENT_HELD, Severity.WARNING, f"{NAME}/{channel}",
            f"{many} rows of shipments of {channel or 'no channel of ours'} were not posted, one because: "
            f"{example[channel]}"[:500],
        )
        for channel, many in sorted(by_channel.items())
    ]  # fmt: skip
    open_incidents(connection, incidents, now=now)
    clean = {one.channel for one in rows if one.channel_known} - set(by_channel)
    still = connection.execute(
        text("SELECT DISTINCT channel FROM quarantined_row WHERE suite = :suite AND status = 'open'"), {"suite": NAME}
    )
    clean -= {row.channel for row in still}
    if not report.blocked:
        resolve_incidents(connection, IncidentKind.SHIPMENT_HELD, sorted(f"{NAME}/{code}" for code in clean), now=now)


def _tell_block(connection: Connection, report: ShipmentReport, now: datetime) -> None:
    assert report.verdict is not None
    if not report.blocked:
        resolve_incidents(connection, IncidentKind.BATCH_BLOCKED, [NAME], now=now)
        return
    message = f"no shipment of the table was posted: {report.verdict.summary()}"
    open_incidents(connection, [NewIncident(IncidentKind.BATCH_BLOCKED, Severity.CRITICAL, NAME, message)], now=now)


def _held(one: ShipmentRow, why: str) -> dict[str, Any]:
    return {
        "row": one.row,
        "channel": one.channel[:32],
        "order": one.order_id[:64],
        "SKU": one.sku[:64],
        "shipment": one.shipment[:64],
        "quantity": ascii(one.quantity)[1:-1][:40] if one.quantity is not None else "",
        "why": why,
    }
