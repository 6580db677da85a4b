"""Opening stock from a seller's table: gated, then posted. Rows that fail are held back and named."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from adapters.database import in_transaction, unit_of_work
from adapters.seller_csv import BadRow, CsvTable, read_csv
from expectations.parameters import StockBalances
from expectations.seller_frames import BalanceRow, balances_frame
from expectations.verdict import Status, Verdict
from inventory.naming import naming
from inventory.onboarding.opening import OPENING, KnownStock, Opened, PostedStock, known_stock, post_stock
from tasks.judged_rows import held_reasons, note_rows
from tasks.runtime import Runtime

SUITE = "stock_balances"
COLUMNS = ("sku", "location", "quantity")
CHUNK = 1000
"""Rows a transaction, so that live orders never wait long behind an import."""


@dataclass(slots=True)
class OpeningReport:
    reference: str
    verdict: Verdict | None = None
    new: int = 0
    repeated: int = 0
    units: int = 0
    blocked: bool = False
    held: list[dict[str, Any]] = field(default_factory=list)


class EmptyFile(ValueError):
    """The file has a header and nothing below it."""


def open_stock(
    runtime: Runtime,
    source: str,
    *,
    folder: Path,
    actor: str,
    reason: str = "",
    correction: bool = False,
    reference: str = "",
    approved_by: str = "",
) -> OpeningReport:
    """Open the ledger with what the table says, or with `correction` set what is on hand to it.

    `reference` names a correction; without one its content does, so that the same table corrects once. A block of
    the gate is let through by `approved_by`, a missing verdict by nobody. Raises CsvError, EmptyFile.
    """
    table = read_csv(source, required=COLUMNS, folder=folder)
    if not table.rows and not table.bad:
        raise EmptyFile("the table has no rows below its header: nothing was opened")
    name = (reference or f"correction-{_digest(table)}") if correction else OPENING
    report = OpeningReport(name)
    rows, known = _rows(runtime, table, name, correction)
    frame = balances_frame(rows)
    verdict = runtime.check(SUITE, frame, StockBalances(now=runtime.now()))
    report.verdict = verdict
    report.blocked = verdict.status is Status.ERROR or (verdict.status is Status.BLOCK and not approved_by)
    reasons = held_reasons(verdict, {one.number: one for one in table.bad}, frame)
    report.held = [_held(one, reasons[label]) for label, one in enumerate(rows) if label in reasons]
    in_transaction(
        runtime.engine, lambda connection: note_rows(connection, SUITE, frame, verdict, reasons, now=runtime.now())
    )
    if report.blocked:
        return report
    sound = [
        Opened(one.sku, one.location, int(one.quantity))
        for label, one in enumerate(rows)
        if label not in reasons and one.quantity is not None
    ]
    fresh = [one for one in sound if (one.sku, one.location) not in known.posted]
    report.repeated = len(sound) - len(fresh)
    by = f"{actor}, approved by {approved_by}" if approved_by and approved_by != actor else actor
    for start in range(0, len(fresh), CHUNK):
        _add(report, _post(runtime, fresh[start : start + CHUNK], name, by, reason))
    return report


def _post(runtime: Runtime, rows: Sequence[Opened], name: str, actor: str, reason: str) -> PostedStock:
    return in_transaction(
        runtime.engine,
        lambda connection: post_stock(connection, rows, reference=name, actor=actor, reason=reason, now=runtime.now()),
    )


def _digest(table: CsvTable) -> str:
    rows = sorted((row.cells["sku"], row.cells["location"], row.cells["quantity"]) for row in table.rows)
    return hashlib.sha256(repr(rows).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _rows(runtime: Runtime, table: CsvTable, reference: str, correction: bool) -> tuple[list[BalanceRow], KnownStock]:
    with unit_of_work(runtime.engine) as connection:
        names = naming(connection)
        places = {row.code for row in connection.execute(text("SELECT code FROM location"))}
        resolved = {row.number: names.resolve(row.cells["sku"]).sku for row in table.rows}
        known = known_stock(connection, {sku for sku in resolved.values() if sku}, reference)
    rows = [_row(row.number, resolved[row.number], row.cells, places, known, correction) for row in table.rows] + [
        _unread(one) for one in table.bad
    ]
    return sorted(rows, key=lambda one: one.row), known


def _row(
    number: int, sku: str | None, cells: dict[str, str], places: set[str], known: KnownStock, correction: bool
) -> BalanceRow:
    place = (sku or "", cells["location"])
    posted = known.posted.get(place)
    repeated = posted is not None and str(posted) == (cells["quantity"].lstrip("0") or "0")
    on_hand = float(known.on_hand.get(place, 0)) if correction else math.nan
    prior = float(posted) if posted is not None else on_hand
    return BalanceRow(
        row=number,
        sku=sku or cells["sku"],
        location=cells["location"],
        quantity=cells["quantity"],
        sku_known=sku is not None,
        stocked=sku not in known.bundles,
        location_known=cells["location"] in places,
        first=repeated or (posted is None and (correction or sku not in known.moved)),
        prior=prior,
        available=known.available.get(place, 0) if correction and posted is None else 10**15,
    )


def _unread(one: BadRow) -> BalanceRow:
    return BalanceRow(one.number, "", "", None, True, True, True, True, math.nan, 0)


def _held(one: BalanceRow, why: str) -> dict[str, Any]:
    return {
        "row": one.row,
        "SKU": one.sku[:80],
        "location": one.location[:80],
        "quantity": ascii(one.quantity)[1:-1][:40] if one.quantity is not None else "",
        "why": why,
    }


def _add(report: OpeningReport, posted: PostedStock) -> None:
    report.new += posted.new
    report.repeated += posted.repeated
    report.units += posted.units
    report.held += [
        {
            "row": "",
            "SKU": one.sku,
            "location": one.location,
            "quantity": one.quantity,
            "why": "units of it were promised to a buyer meanwhile: once more",
        }
        for one in posted.short
    ]
