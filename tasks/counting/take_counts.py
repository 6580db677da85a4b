"""A count sheet that comes back: gated, stored, judged against the ledger, posted or sent to a second counter."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from adapters.count_csv import OPTIONAL, REQUIRED, harmless, same_code
from adapters.database import in_transaction, unit_of_work
from adapters.seller_csv import BadRow, CsvRow, read_csv
from adapters.wakeups import PUBLISH, wake
from expectations.cells import instant
from expectations.count_frame import CountRow, counts_frame
from expectations.parameters import CountSheet
from expectations.verdict import Status, Verdict
from inventory.counting.counting import CountPolicy
from inventory.counting.counting_accuracy import SHRINKAGE_TARGET, Accuracy, accuracy, note_shrinkage
from inventory.counting.counting_plan import SALES_DAYS
from inventory.counting.counting_record import Judged, judge
from inventory.counting.counting_sheets import Filled, KnownLine, LineKey, fill, known_lines
from inventory.people.raci import same_name
from inventory.words import CountStatus
from tasks.counting.schedule_counts import files_of_open_sheets
from tasks.judged_rows import held_reasons, note_rows
from tasks.runtime import Runtime

SUITE = "count_sheet"
CHUNK = 500
"""Lines a transaction, so that live orders never wait long behind a large sheet."""


@dataclass(slots=True)
class CountsReport:
    verdict: Verdict | None = None
    """None: no row had a count in it."""
    blocked: bool = False
    filled: int = 0
    repeated: int = 0
    """Lines that had this very number before: nothing was changed for them."""
    uncounted: int = 0
    """Rows without a quantity: they wait."""
    held: list[dict[str, Any]] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    accuracy: list[Accuracy] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """New sheets, for a second counter."""


class NoName(ValueError):
    """Nobody is said to have counted."""


def take_counts(
    runtime: Runtime,
    source: str,
    *,
    folder: Path,
    counter: str,
    policy: CountPolicy,
    counted_at: datetime | None = None,
    approved_by: str = "",
) -> CountsReport:
    """`counted_at`: of rows that do not say; None: now. Raises CsvError, NoName."""
    if not same_name(counter):
        raise NoName("give your name: who counted decides who may count it again")
    table = read_csv(source, required=REQUIRED, optional=OPTIONAL, folder=folder)
    told = [row for row in table.rows if row.cells["quantity"]]
    report = CountsReport(uncounted=len(table.rows) - len(told))
    moment = counted_at or runtime.now()
    with unit_of_work(runtime.engine) as connection:
        lines = known_lines(connection, [key for row in told if (key := _key(row)) is not None])
    rows = [_row(row, lines, counter, moment) for row in told] + [_unread(one, moment) for one in table.bad]
    rows.sort(key=lambda one: one.row)
    if rows:
        sound = _gate(runtime, report, rows, {one.number: one for one in table.bad}, approved_by)
        filled = [
            one
            for one in (_filled(row, counter, runtime.now()) for row in sound)
            if lines[one.sheet, one.line].quantity is None
        ]
        report.repeated = len(sound) - len(filled)
        for start in range(0, len(filled), CHUNK):
            _store(runtime, report, filled[start : start + CHUNK], policy)
    report.accuracy = _figures(runtime, policy)
    report.files = files_of_open_sheets(runtime, folder)[1]
    return report


def _key(row: CsvRow) -> LineKey | None:
    numbers = [row.cells["sheet"], row.cells["line"]]
    fits = all(number.isascii() and number.isdigit() and len(number) <= 9 for number in numbers)
    return (int(numbers[0]), int(numbers[1])) if fits else None


def _row(row: CsvRow, lines: Mapping[LineKey, KnownLine], counter: str, moment: datetime) -> CountRow:
    cells, key = row.cells, _key(row)
    line = lines.get(key) if key else None
    repeated = line is not None and str(line.quantity) == (cells["quantity"].lstrip("0") or "0")
    written = cells.get("counted_at", "")
    return CountRow(
        row=row.number,
        key=f"{key[0]}/{key[1]}" if key else f"{cells['sheet']}/{cells['line']}"[:80],
        sku=line.sku if line else cells.get("sku", ""),
        location=line.location if line else cells.get("location", ""),
        quantity=cells["quantity"],
        counted_at=written or moment,
        created_at=line.created_at if line else None,
        on_hand=line.on_hand if line else math.nan,
        line_known=line is not None,
        same_bin=line is None or _same_bin(cells, line),
        open=line is None or line.open or repeated,
        another_person=line is None or repeated or same_name(counter) not in line.counters,
    )


def _same_bin(cells: Mapping[str, str], line: KnownLine) -> bool:
    written = ((cells.get("sku", ""), line.sku), (cells.get("location", ""), line.location))
    return all(not cell or same_code(cell, code) for cell, code in written)


def _unread(one: BadRow, moment: datetime) -> CountRow:
    return CountRow(one.number, "", "", "", None, moment, None, math.nan, True, True, True, True)


def _gate(
    runtime: Runtime, report: CountsReport, rows: Sequence[CountRow], bad: dict[int, BadRow], approved_by: str
) -> list[CountRow]:
    """The rows that may be stored; those held back go into the report with their reasons."""
    frame = counts_frame(rows)
    verdict = runtime.check(SUITE, frame, CountSheet(now=runtime.now()))
    report.verdict = verdict
    report.blocked = verdict.status is Status.ERROR or (verdict.status is Status.BLOCK and not approved_by)
    reasons = held_reasons(verdict, bad, frame)
    report.held = [_held(row, reasons[label]) for label, row in enumerate(rows) if label in reasons]
    in_transaction(
        runtime.engine, lambda connection: note_rows(connection, SUITE, frame, verdict, reasons, now=runtime.now())
    )
    return [] if report.blocked else [row for label, row in enumerate(rows) if label not in reasons]


def _held(row: CountRow, why: str) -> dict[str, Any]:
    return {
        "row": row.row,
        "sheet/line": harmless(row.key),
        "SKU": harmless(row.sku[:80]),
        "quantity": ascii(row.quantity)[1:-1][:40] if row.quantity is not None else "",
        "why": why,
    }


def _filled(row: CountRow, counter: str, now: datetime) -> Filled:
    sheet, line = row.key.split("/")
    moment = instant(row.counted_at)
    # The gate lets no other row through.
    assert moment is not None and row.quantity is not None and row.created_at is not None
    # What the gate forgives a clock is taken back, so that no movement outside of the sheet's time is counted across.
    moment = min(max(moment, row.created_at), now)
    return Filled(int(sheet), int(line), " ".join(counter.split()), int(row.quantity), moment)


def _store(runtime: Runtime, report: CountsReport, filled: Sequence[Filled], policy: CountPolicy) -> None:
    def work(connection: Connection) -> tuple[dict[LineKey, int], list[Judged]]:
        done = fill(connection, filled, now=runtime.now())
        return done, judge(connection, set(done.values()), policy, now=runtime.now())

    # Counted when it is committed: the transaction may run more than once.
    done, judged = in_transaction(runtime.engine, work)
    report.filled += len(done)
    report.judged += judged
    report.held += [
        {"row": "", "sheet/line": f"{one.sheet}/{one.line}", "why": "somebody recorded it a moment ago"}
        for one in filled
        if (one.sheet, one.line) not in done
    ]
    if any(one.posted for one in judged):
        wake(runtime.engine, PUBLISH)


def _figures(runtime: Runtime, policy: CountPolicy) -> list[Accuracy]:
    """Of the last 91 days; and an incident where too much is missing."""

    def work(connection: Connection) -> list[Accuracy]:
        now = runtime.now()
        since = now - timedelta(days=SALES_DAYS)
        rows = accuracy(connection, since=since, until=now, assumed_cost=float(policy.assumed_cost))
        note_shrinkage(connection, rows, target=SHRINKAGE_TARGET, now=now)
        return rows

    return in_transaction(runtime.engine, work)


def judged_rows(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """What became of each bin. Of one that is counted again no number is told: the next counter must not know."""
    rows = []
    for one in sorted(judged, key=lambda it: (it.status is CountStatus.MATCHED, -it.value, it.sku)):
        blind = one.status is CountStatus.RECOUNT
        rows.append(
            {
                "number": one.bin_count,
                "SKU": harmless(one.sku),
                "location": harmless(one.location),
                "outcome": one.status.value,
                "ledger": "" if blind else one.expected,
                "counted": "" if blind else one.expected + one.variance,
                "difference": "" if blind else one.variance,
                "posted": "" if blind else one.posted,
                "value": "" if blind else f"{one.value:.2f}",
                "why": one.why,
            }
        )
    return rows


def accuracy_rows(rows: Sequence[Accuracy]) -> list[dict[str, Any]]:
    def shown(share: float | None) -> str:
        return "" if share is None else f"{share:.1%}"

    return [
        {
            "location": one.location,
            "class": one.abc,
            "bins": one.bins,
            "exact": shown(one.ira_exact),
            "within tolerance": shown(one.ira_within),
            "exact, by turn only": shown(one.sampled_exact),
            "missing": one.units_missing,
            "found": one.units_found,
            "worth": f"{one.value_missing - one.value_found:.2f}",
            "shrinkage": shown(one.shrinkage),
            "shrinkage in money": shown(one.shrinkage_value),
        }
        for one in rows
        if one.bins
    ]


def outcomes(judged: Sequence[Judged]) -> str:
    """`3 matched, 1 recount`"""
    times = Counter(one.status.value for one in judged)
    return ", ".join(f"{number} {status}" for status, number in sorted(times.items())) or "nothing decided"
