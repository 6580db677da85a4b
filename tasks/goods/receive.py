"""Goods from suppliers that have arrived: gated, then booked. Rows that fail are held back and named."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from adapters.database import in_transaction, unit_of_work
from adapters.seller_csv import CsvTable, read_csv
from adapters.wakeups import PUBLISH, wake
from expectations.goods_frames import ReceiptRow, Receipts, receipts_frame
from expectations.seller_frames import quantity_of
from expectations.verdict import Status, Verdict
from inventory.goods import receipts
from inventory.goods.receipts import Ordered, Received
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.naming import naming
from inventory.publishing.gate_log import HeldRow, hold_rows, release_rows
from inventory.words import IncidentKind, Severity
from tasks.goods.expect import CHUNK, NotUsable, bundle_skus, location_codes, require
from tasks.goods.goods_words import word_fault
from tasks.judged_rows import held_reasons
from tasks.runtime import Runtime
from tasks.selling.apply import record

SUITE = "receipts"
RECEIPT_COLUMNS = ("sku", "quantity")
RECEIPT_OPTIONAL = ("purchase", "damaged", "quarantined", "location")


@dataclass(slots=True)
class ReceiptReport:
    receipt: str
    verdict: Verdict | None = None
    rows: int = 0
    units: int = 0
    repeated: int = 0
    blocked: bool = False
    held: list[dict[str, Any]] = field(default_factory=list)


def receive(
    runtime: Runtime, source: str, *, receipt: str, folder: Path, actor: str, location: str = "", approved_by: str = ""
) -> ReceiptReport:
    """Book what arrived. `receipt` names the delivery: the same one again books nothing twice. Rows without a location
    lie at that of their purchase, or at `location`.

    A block of the gate, and more than was ordered, are let through by `approved_by`, a missing verdict by nobody.
    Raises CsvError, NotUsable.
    """
    require(receipt=receipt, actor=actor)
    table = read_csv(source, required=RECEIPT_COLUMNS, optional=RECEIPT_OPTIONAL, folder=folder)
    if not table.rows and not table.bad:
        raise NotUsable("the table has no rows below its header: nothing was received")
    report = ReceiptReport(receipt)
    rows, booked = _rows(runtime, table, receipt, location, bool(approved_by))
    frame = receipts_frame(rows)
    verdict = runtime.check(SUITE, frame, Receipts(now=runtime.now()))
    report.verdict = verdict
    report.blocked = verdict.status is Status.ERROR or (verdict.status is Status.BLOCK and not approved_by)
    reasons = held_reasons(verdict, {one.number: one for one in table.bad}, frame)
    report.held = [_held(one, reasons[label]) for label, one in enumerate(rows) if label in reasons]
    keys = [f"{receipt}/{key}" for key in frame["row_key"]]
    in_transaction(runtime.engine, lambda connection: _note(connection, runtime, report, keys, reasons))
    if report.blocked:
        return report
    sound = [_received(one) for label, one in enumerate(rows) if label not in reasons]
    fresh = [one for one in sound if one.key not in booked]
    report.repeated = len(sound) - len(fresh)
    by = f"{actor}, approved by {approved_by}" if approved_by and approved_by != actor else actor
    for start in range(0, len(fresh), CHUNK):
        part = fresh[start : start + CHUNK]
        work = partial(_book, runtime=runtime, receipt=receipt, part=part, actor=by, over=bool(approved_by))
        booked_now = in_transaction(runtime.engine, work)
        report.rows += booked_now.rows
        report.units += booked_now.units
        report.held += [_late(one) for one in booked_now.late]
    wake(runtime.engine, PUBLISH)
    return report


def _book(
    connection: Connection, runtime: Runtime, receipt: str, part: Sequence[Received], actor: str, over: bool
) -> receipts.BookedReceipt:
    booked = receipts.book(connection, receipt, part, actor=actor, now=runtime.now(), over=over)
    lines = receipts.ordered_lines(connection, {row.purchase for row in part if row.purchase})
    whole = {purchase for purchase, _ in lines} - {one.purchase for one in lines.values() if one.missing}
    resolve_incidents(connection, IncidentKind.INBOUND_LATE, sorted(whole), now=runtime.now())
    return booked


def _rows(
    runtime: Runtime, table: CsvTable, receipt: str, location: str, approved: bool
) -> tuple[list[ReceiptRow], Mapping[receipts.ReceiptKey, Received]]:
    with unit_of_work(runtime.engine) as connection:
        names, places, bundles = naming(connection), location_codes(connection), bundle_skus(connection)
        booked = receipts.receipt_lines(connection, receipt)
        purchases = {row.cells.get("purchase", "") for row in table.rows}
        lines = receipts.ordered_lines(connection, {one for one in purchases if one and not word_fault(one)})
    rows = []
    for row in table.rows:
        cells = row.cells
        sku = names.resolve(cells["sku"]).sku
        purchase = cells.get("purchase", "")
        line = lines.get((purchase, sku or ""))
        place = cells.get("location", "") or (line.location if line else "") or location
        before = booked.get((purchase, sku or "", place))
        made = ReceiptRow(
            row=row.number,
            purchase=purchase,
            sku=sku or cells["sku"],
            location=place,
            sound=cells["quantity"],
            damaged=cells.get("damaged", ""),
            quarantined=cells.get("quarantined", ""),
            sku_known=sku is not None,
            stocked=sku not in bundles,
            location_known=place in places,
            ordered=not purchase or line is not None,
            left=math.inf if before or approved or line is None else float(line.missing),
            unchanged=before is None or _same(before, cells),
        )
        rows.append(made)
    rows += [
        ReceiptRow(one.number, "", "", "", None, "", "", True, True, True, True, math.inf, True) for one in table.bad
    ]
    return _shared_out(sorted(rows, key=lambda one: one.row), lines, booked), booked


def _shared_out(
    rows: list[ReceiptRow],
    lines: Mapping[receipts.PurchaseKey, Ordered],
    booked: Mapping[receipts.ReceiptKey, Received],
) -> list[ReceiptRow]:
    """One line of a purchase that arrives at several locations: each row has what the ones above have left."""
    left = {key: line.missing for key, line in lines.items()}
    shared = []
    for row in rows:
        key = (row.purchase, row.sku)
        if math.isfinite(row.left) and key in left:
            shared.append(ReceiptRow(**{**_fields(row), "left": float(left[key])}))
            units = [quantity_of(part)[0] for part in (row.sound or "0", row.damaged or "0", row.quarantined or "0")]
            left[key] -= int(sum(units)) if all(math.isfinite(one) and one >= 0 for one in units) else 0
        else:
            shared.append(row)
    return shared


def _fields(row: ReceiptRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


def _same(before: Received, cells: Mapping[str, str]) -> bool:
    parts = (cells["quantity"], cells.get("damaged", "") or "0", cells.get("quarantined", "") or "0")
    return [quantity_of(part)[0] for part in parts] == [before.sound, before.damaged, before.quarantined]


def _received(row: ReceiptRow) -> Received:
    parts = (row.sound or "0", row.damaged or "0", row.quarantined or "0")
    return Received(row.purchase, row.sku, row.location, *(int(part) for part in parts))


def _note(
    connection: Connection, runtime: Runtime, report: ReceiptReport, keys: Sequence[str], reasons: Mapping[int, str]
) -> None:
    """The verdict, the rows that were held back and have a name, and those that came through after all."""
    now, verdict = runtime.now(), report.verdict
    assert verdict is not None
    record(connection, "", verdict, now)
    held = [
        HeldRow(keys[label], ",".join(verdict.failed_rows[label]), why[:500])
        for label, why in reasons.items()
        if "/row[" not in keys[label]
    ]
    hold_rows(connection, SUITE, "", held, now=now)
    release_rows(connection, SUITE, [key for label, key in enumerate(keys) if label not in reasons], now=now)
    subject = f"{SUITE}/{report.receipt}"
    if report.blocked:
        message = f"nothing of receipt {report.receipt} was booked: {verdict.summary()}"
        incident = NewIncident(IncidentKind.BATCH_BLOCKED, Severity.CRITICAL, subject, message)
    elif reasons:
        message = f"{len(reasons)} rows of receipt {report.receipt} lie at the dock, not booked: {verdict.summary()}"
        incident = NewIncident(
            IncidentKind.QUARANTINED_ROWS,
            Severity.WARNING,
            subject,
            message,
            {"keys": [one.row_key for one in held[:20]]},
        )
    kinds = {IncidentKind.BATCH_BLOCKED, IncidentKind.QUARANTINED_ROWS}
    if report.blocked or reasons:
        open_incidents(connection, [incident], now=now)
        kinds.discard(incident.kind)
    for kind in sorted(kinds):
        resolve_incidents(connection, kind, [subject], now=now)


def _held(one: ReceiptRow, why: str) -> dict[str, Any]:
    return {
        "row": one.row,
        "SKU": one.sku[:64],
        "purchase": one.purchase[:64],
        "location": one.location[:64],
        "quantity": ascii(one.sound)[1:-1][:40] if one.sound is not None else "",
        "why": why,
    }


def _late(one: Received) -> dict[str, Any]:
    why = "another receipt of this purchase was booked meanwhile: once more"
    return {"row": "", "SKU": one.sku, "purchase": one.purchase, "location": one.location, "quantity": one.units,
            "why": why}  # fmt: skip
