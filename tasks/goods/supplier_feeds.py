"""Read a supplier's feed, hold it against the one before, keep what it says. What is blocked changes nothing."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from pydantic import SecretStr
from sqlalchemy import Connection

from adapters.database import in_transaction, unit_of_work
from adapters.http import ChannelFault
from adapters.suppliers.feed_content import FeedContent, FeedError, FeedRow
from adapters.suppliers.feed_source import Fetched, fetch, instant_of, quantity_text, read_feed
from adapters.suppliers.supplier_config import Supplier
from expectations.goods_frames import NEVER, FeedStockRow, SupplierFeeds, feed_frame
from expectations.verdict import Status, Verdict
from inventory.goods import supplier_records as records
from inventory.goods.supplier_records import FeedReading, Said
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.naming import Naming, naming
from inventory.publishing.gate_log import HeldRow, hold_rows, release_rows_under
from inventory.publishing.outbox import mark_dirty
from inventory.words import IncidentKind, Severity
from tasks.runtime import Runtime
from tasks.selling.apply import record

SUITE = "supplier_feed"
MOST_HELD = 1000
"""Rows of one feed that are kept by name; more are a fault of the feed, not of the rows."""


@dataclass(slots=True)
class FeedReport:
    supplier: str
    status: str = ""
    """applied, unchanged, blocked, or failed."""
    why: str = ""
    as_of: datetime | None = None
    rows: int = 0
    known: int = 0
    """Rows of SKUs that are ours."""
    changed: int = 0
    """SKUs whose number or date changed."""
    units: int = 0
    held: list[dict[str, Any]] = field(default_factory=list)
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A feed in our words: its rows that are ours or unreadable, in the order of the frame."""

    fetched: Fetched
    content: FeedContent
    rows: list[FeedStockRow]
    codes: dict[int, FeedRow]
    """By row number."""
    as_of: datetime | None
    last: FeedReading | None
    before: Mapping[str, int]


def pull_feed(
    runtime: Runtime,
    supplier: Supplier,
    *,
    folder: Path,
    secret: Callable[[str], SecretStr],
    approved_by: str = "",
    transport: httpx.BaseTransport | None = None,
) -> FeedReport:
    """Read the feed of one supplier and keep what it says. A feed that is blocked, or cannot be read, changes nothing
    and opens an incident; `approved_by` lets a block through, a missing verdict nobody. Raises ChannelFault."""
    report = FeedReport(supplier.code)
    try:
        fetched = fetch(supplier, folder=folder, secret=secret, transport=transport)
        content = read_feed(fetched.content, supplier.feed)
    except FeedError as error:
        report.status, report.why = "failed", str(error)
        _missing(runtime, supplier, report.why)
        return report
    except ChannelFault as fault:
        _missing(runtime, supplier, str(fault))
        raise
    prepared = _prepared(runtime, supplier, fetched, content)
    report.rows = len(content.rows) + len(content.unread)
    report.known = len(prepared.codes)
    report.as_of = prepared.as_of
    last = prepared.last
    if last is not None and last.digest == fetched.digest and last.as_of == prepared.as_of:
        _unchanged(runtime, supplier, report)
        return report
    frame = feed_frame(prepared.rows)
    verdict = runtime.check(SUITE, frame, _parameters(runtime, supplier, prepared, report))
    report.verdict = verdict
    # Nobody can approve numbers of which nobody knows when they were true.
    blocked = verdict.status is Status.ERROR or prepared.as_of is None
    blocked = blocked or (verdict.status is Status.BLOCK and not approved_by)
    report.status, report.why = ("blocked", verdict.summary()) if blocked else ("applied", "")
    unread = {one.number: one.reason for one in content.unread}
    report.held = [
        _held(prepared.rows[label], prepared.codes, rules, verdict, unread)
        for label, rules in verdict.failed_rows.items()
    ]
    in_transaction(
        runtime.engine, lambda connection: _apply(connection, runtime, supplier, prepared, frame, report, approved_by)
    )
    return report


def _prepared(runtime: Runtime, supplier: Supplier, fetched: Fetched, content: FeedContent) -> _Prepared:
    with unit_of_work(runtime.engine) as connection:
        names = naming(connection)
        last = records.last_applied(connection, supplier.code)
        before = records.said_before(connection, supplier.code)
    rows, codes = _ours(supplier, content, names, before)
    return _Prepared(fetched, content, rows, codes, _as_of(runtime, supplier, fetched, content, last), last, before)


def _ours(
    supplier: Supplier, content: FeedContent, names: Naming, before: Mapping[str, int]
) -> tuple[list[FeedStockRow], dict[int, FeedRow]]:
    """The rows of our SKUs and the unreadable; suppliers have many things that we do not sell."""
    rows = [FeedStockRow(one.number, "", None, float("nan")) for one in content.unread]
    codes = {}
    for row in content.rows:
        sku = names.resolve(supplier.prefix + row.code).sku
        if sku is not None:
            codes[row.number] = row
            dated = not row.promised or instant_of(row.promised, supplier) is not None
            quantity = quantity_text(row.quantity, supplier)
            rows.append(FeedStockRow(row.number, sku, quantity, float(before.get(sku, float("nan"))), dated))
    return sorted(rows, key=lambda one: one.row), codes


def _as_of(
    runtime: Runtime, supplier: Supplier, fetched: Fetched, content: FeedContent, last: FeedReading | None
) -> datetime | None:
    """When the numbers were true: as the feed says, else when its file was written, else when this content was first
    read: the same bytes again are no news."""
    if supplier.feed.as_of:
        return instant_of(content.as_of, supplier, end_of_day=False)
    if fetched.written_at is not None:
        return fetched.written_at
    return last.as_of if last is not None and last.digest == fetched.digest else runtime.now()


def _parameters(runtime: Runtime, supplier: Supplier, prepared: _Prepared, report: FeedReport) -> SupplierFeeds:
    stocked = {sku for sku, units in prepared.before.items() if units > 0}
    present = {row.sku for row in prepared.rows}
    last = prepared.last if supplier.whole else None
    return SupplierFeeds(
        now=runtime.now(),
        as_of=prepared.as_of or NEVER,
        previous_as_of=(prepared.last.as_of if prepared.last else None) or NEVER,
        max_age=timedelta(hours=supplier.max_age_hours),
        rows=report.rows,
        previous_rows=last.rows if last else 0,
        known=report.known,
        previous_known=last.known if last else 0,
        stocked=len(stocked),
        gone=len(stocked - present) if supplier.whole else 0,
        lost_share=supplier.lost_share,
        zero_share=supplier.zero_share,
        changed_share=supplier.changed_share,
    )


def _apply(
    connection: Connection,
    runtime: Runtime,
    supplier: Supplier,
    prepared: _Prepared,
    frame: pd.DataFrame,
    report: FeedReport,
    approved_by: str,
) -> None:
    now, verdict = runtime.now(), report.verdict
    assert verdict is not None
    records.lock_supplier(connection, supplier.code)
    record(connection, "", verdict, now)
    lines, kept = _said(supplier, prepared, frame, verdict)
    applied = report.status == "applied"
    if applied:
        assert prepared.as_of is not None
        changed = records.store(
            connection, supplier.code, lines, as_of=prepared.as_of, whole=supplier.whole, kept=kept, now=now
        )
        report.changed, report.units = len(changed), sum(line.quantity for line in lines)
        if supplier.sells_ahead:
            mark_dirty(connection, changed, now=now, eager=False)
    records.note_reading(
        connection,
        supplier.code,
        FeedReading(
            records.APPLIED if applied else records.BLOCKED,
            prepared.fetched.digest,
            prepared.as_of,
            report.rows,
            report.known,
            len(report.held),
            sum(line.quantity > 0 for line in lines),
            sum(line.quantity for line in lines),
            approved_by if applied else "",
        ),
        now=now,
    )
    _tell(connection, supplier, report, frame, now)


def _said(
    supplier: Supplier, prepared: _Prepared, frame: pd.DataFrame, verdict: Verdict
) -> tuple[list[Said], set[str]]:
    """What the sound rows say, and the SKUs of the others."""
    lines: dict[str, Said] = {}
    kept: dict[str, bool] = defaultdict(bool)
    for label, row in enumerate(prepared.rows):
        if label in verdict.failed_rows:
            kept[row.sku] = True
            continue
        written = prepared.codes[row.row]
        promised = instant_of(written.promised, supplier) if written.promised else None
        lines[row.sku] = Said(row.sku, written.code, int(frame["quantity"].iloc[label]), promised)
    return [lines[sku] for sku in sorted(lines)], set(kept) - set(lines)


def _tell(connection: Connection, supplier: Supplier, report: FeedReport, frame: pd.DataFrame, now: datetime) -> None:
    verdict = report.verdict
    assert verdict is not None
    subject = f"{SUITE}/{supplier.code}"
    names = {label: f"{supplier.code}/{frame['row_key'].iloc[label]}" for label in verdict.failed_rows}
    release_rows_under(connection, SUITE, [supplier.code], now=now)
    rows = [
        HeldRow(names[label], ",".join(rules), one["why"][:500])
        for (label, rules), one in zip(verdict.failed_rows.items(), report.held, strict=True)
    ]
    hold_rows(connection, SUITE, "", rows[:MOST_HELD], now=now)
    over = {IncidentKind.BATCH_BLOCKED, IncidentKind.QUARANTINED_ROWS}
    if report.status == "blocked":
        message = f"what supplier {supplier.code} says is not believed; its old numbers stay: {report.why}"
        incident = NewIncident(IncidentKind.BATCH_BLOCKED, Severity.WARNING, subject, message)
        open_incidents(connection, [incident], now=now)
        over.discard(IncidentKind.BATCH_BLOCKED)
    else:
        resolve_incidents(connection, IncidentKind.SUPPLIER_FEED, [supplier.code], now=now)
        if rows:
            message = f"{len(rows)} rows of supplier {supplier.code} are held back: {verdict.summary()}"
            detail = {"keys": [row.row_key for row in rows[:20]]}
            incident = NewIncident(IncidentKind.QUARANTINED_ROWS, Severity.WARNING, subject, message, detail)
            open_incidents(connection, [incident], now=now)
            over.discard(IncidentKind.QUARANTINED_ROWS)
    for kind in sorted(over):
        resolve_incidents(connection, kind, [subject], now=now)


def _unchanged(runtime: Runtime, supplier: Supplier, report: FeedReport) -> None:
    """The feed says what it said, at the same time as before: no news, which is a fault once it is too old."""
    age = runtime.now() - report.as_of if report.as_of else timedelta.max
    report.status, report.why = "unchanged", "it is the feed that was applied last"
    if age > timedelta(hours=supplier.max_age_hours):
        report.status, report.why = "failed", f"it says nothing new since {report.as_of:%Y-%m-%d %H:%M} UTC"
        _missing(runtime, supplier, report.why)
        return
    in_transaction(
        runtime.engine,
        lambda connection: resolve_incidents(
            connection, IncidentKind.SUPPLIER_FEED, [supplier.code], now=runtime.now()
        ),
    )


def _missing(runtime: Runtime, supplier: Supplier, why: str) -> None:
    message = f"the feed of supplier {supplier.code} is missing: {why}"
    incident = NewIncident(IncidentKind.SUPPLIER_FEED, Severity.WARNING, supplier.code, message)
    in_transaction(runtime.engine, lambda connection: open_incidents(connection, [incident], now=runtime.now()))


def _held(
    row: FeedStockRow,
    codes: Mapping[int, FeedRow],
    rules: list[str],
    verdict: Verdict,
    unread: Mapping[int, str],
) -> dict[str, Any]:
    why = {finding.rule_id: finding.why for finding in verdict.findings}
    said = "; ".join(f"{why.get(rule, 'not judged')} ({rule})" for rule in rules)
    return {
        "row": row.row,
        "SKU": row.sku,
        "supplier's code": codes[row.row].code[:64] if row.row in codes else "",
        "quantity": ascii(row.quantity)[1:-1][:40] if row.quantity is not None else "",
        "why": unread.get(row.row, said),
    }
