"""Put the day's bins on count sheets: planned from the ledger, stored, and written as files to count with."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from adapters.count_csv import harmless, write_sheet
from adapters.database import in_transaction, unit_of_work
from inventory.counting import counting_bins
from inventory.counting.counting_plan import Bin, Load, Planned, PlanPolicy, plan
from inventory.counting.counting_sheets import SheetLine, lines_to_count, open_sheets
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.naming import naming
from inventory.words import CountCause, IncidentKind, Severity
from tasks.runtime import Runtime


@dataclass(slots=True)
class ScheduleReport:
    planned: list[Planned] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    sheets: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """Of every sheet that had none yet."""
    lines: list[SheetLine] = field(default_factory=list)
    """All that wait for a count, of older sheets too."""
    overdue: dict[str, int] = field(default_factory=dict)
    """{location: bins that were not counted in time}"""


class UnknownBins(ValueError):
    """A SKU or location that was asked for and is none of ours, or holds nothing that could be counted."""


def schedule_counts(
    runtime: Runtime,
    *,
    folder: Path,
    policy: PlanPolicy,
    assumed_cost: float,
    skus: Sequence[str] = (),
    location: str = "",
    everything: bool = False,
    by: str = "",
    dry_run: bool = False,
) -> ScheduleReport:
    """The day's plan; or the bins of `skus`, or `everything`, whatever the day's capacity, at `location` or anywhere.

    Running it again the same day adds only what the capacity leaves beside the sheets that are open. Raises
    UnknownBins.
    """

    def work(connection: Connection) -> ScheduleReport:
        report = ScheduleReport()
        _require_locations(connection, [*policy.capacities, *([location] if location else [])])
        found = _asked(connection, runtime, assumed_cost, skus, location, everything)
        now = runtime.now()
        taken, turns = counting_bins.taken_lines(connection, now=now), counting_bins.turns_taken(connection, now=now)
        report.planned, report.loads = plan(found, now, policy, taken=taken, turns_taken=turns)
        # Those on a sheet already; before today's are put on theirs.
        report.overdue = dict(counting_bins.overdue(connection, now=now))
        for one in report.loads:
            if one.overdue:
                report.overdue[one.location] = report.overdue.get(one.location, 0) + one.overdue
        if not dry_run:
            report.sheets = open_sheets(connection, report.planned, by=by, now=now)
            if not skus:
                _note_overdue(connection, report, now)
        return report

    report = in_transaction(runtime.engine, work)
    if not dry_run:
        report.lines, report.files = files_of_open_sheets(runtime, folder)
    return report


def _require_locations(connection: Connection, codes: Sequence[str]) -> None:
    known = {row.code for row in connection.execute(text("SELECT code FROM location"))}
    if unknown := sorted(set(codes) - known):
        told = ", ".join(ascii(code)[1:-1][:64] for code in unknown[:5])
        raise UnknownBins(f"no location of ours: {told}; there are {', '.join(sorted(known)[:20])}")


def _asked(
    connection: Connection, runtime: Runtime, cost: float, skus: Sequence[str], location: str, everything: bool
) -> list[Bin]:
    wanted = None
    if skus:
        names = naming(connection)
        resolved = {code: names.resolve(code).sku for code in skus}
        if unknown := [code for code, sku in resolved.items() if sku is None]:
            raise UnknownBins(f"no SKU of ours: {', '.join(ascii(code)[1:-1][:64] for code in unknown[:5])}")
        wanted = {sku for sku in resolved.values() if sku is not None}
    found = counting_bins.bins(connection, now=runtime.now(), assumed_cost=cost, skus=wanted)
    found = [one for one in found if location in ("", one.location)]
    if (skus or location or everything) and not found:
        raise UnknownBins("nothing to count there: no stock, or on an open sheet already")
    if skus or everything:
        found = [replace(one, prompts=one.prompts | {CountCause.ASKED}) for one in found]
    return found


def _note_overdue(connection: Connection, report: ScheduleReport, now: datetime) -> None:
    loads = {one.location: one for one in report.loads}
    open_incidents(
        connection,
        [
            NewIncident(
                IncidentKind.COUNT_OVERDUE,
                Severity.WARNING,
                place,
                f"{bins} bins at {place} were not counted in time" + _advice(loads.get(place)),
                {"bins": bins},
            )
            for place, bins in sorted(report.overdue.items())
        ],
        now=now,
    )
    resolve_incidents(connection, IncidentKind.COUNT_OVERDUE, sorted(set(loads) - set(report.overdue)), now=now)


def _advice(load: Load | None) -> str:
    if load is None or load.needed <= load.capacity:
        return ""
    return f": {load.needed} lines a working day are needed, its capacity is {load.capacity}"


def files_of_open_sheets(runtime: Runtime, folder: Path) -> tuple[list[SheetLine], list[str]]:
    """Every line that waits for a count, and the files written now: of each sheet that had none yet."""
    with unit_of_work(runtime.engine) as connection:
        lines = lines_to_count(connection)
    sheets: dict[int, list[SheetLine]] = defaultdict(list)
    for one in lines:
        sheets[one.sheet].append(one)
    written = [write_sheet(folder, sheet, its) for sheet, its in sorted(sheets.items())]
    return lines, [str(path.relative_to(folder)) for path in written if path is not None]


def line_rows(lines: Sequence[SheetLine]) -> list[dict[str, Any]]:
    """For people: as blind as the files, and as harmless when it is copied into a spreadsheet."""
    return [
        {
            "sheet": one.sheet,
            "line": one.line,
            "location": harmless(one.location),
            "SKU": harmless(one.sku),
            "title": harmless(one.title),
            "not by": harmless("; ".join(dict.fromkeys(one.not_by))),
        }
        for one in lines
    ]
