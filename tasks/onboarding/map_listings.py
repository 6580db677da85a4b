"""Listings from a channel's own catalogue, or from a seller's table: gated, then written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from adapters.channels.protocol import CatalogueEntry
from adapters.database import in_transaction, unit_of_work
from adapters.seller_csv import BadRow, read_csv
from expectations.parameters import ListingMap
from expectations.seller_frames import MappingRow, mapping_frame
from expectations.verdict import Status, Verdict
from inventory.naming import Naming, naming
from inventory.onboarding.catalogue_audit import Finding
from inventory.onboarding.mapping import Mapped, drop_listings, listings_of, write_listings
from inventory.words import FindingKind
from tasks.judged_rows import held_reasons
from tasks.onboarding.audit import findings_of, note_catalogue, read_catalogue
from tasks.runtime import Runtime
from tasks.selling.apply import record

SUITE = "listing_map"
COLUMNS = ("channel", "listing_ref", "sku")
OPTIONAL = ("units_per_listing",)


@dataclass(slots=True)
class MapReport:
    channel: str
    dry_run: bool
    verdict: Verdict | None = None
    """None: there was nothing to judge."""
    mapped: int = 0
    """New and changed listings; in a dry run those that would be."""
    same: int = 0
    others: int = 0
    """Rows of the file about other channels."""
    dropped: int = 0
    blocked: bool = False
    """The gate lets nothing of the file through."""
    rows: list[dict[str, Any]] = field(default_factory=list)


def map_listings(
    runtime: Runtime,
    channel: str,
    *,
    source: str = "",
    folder: Path,
    dry_run: bool,
    remap: bool = False,
    drop: bool = False,
    approved_by: str = "",
) -> MapReport:
    """Map what the seller's table says, or without one what the catalogue leaves no doubt about, one unit a listing.

    `remap`: rows may change what a listing is mapped to. `drop`: listings that the channel no longer has, or sends
    from its own warehouse, are forgotten. Raises ChannelFault, CsvError, UnknownChannel.
    """
    catalogue = read_catalogue(runtime, channel)
    report = MapReport(channel, dry_run)
    with unit_of_work(runtime.engine) as connection:
        names, before = naming(connection), listings_of(connection, channel)
        findings = findings_of(connection, catalogue)
    bad: list[BadRow] = []
    if source.strip():
        table = read_csv(source, required=COLUMNS, optional=OPTIONAL, folder=folder)
        told = [(row.number, row.cells) for row in table.rows if row.cells["channel"] in (channel, "")]
        report.others = len(table.rows) - len(told)
        bad = table.bad
    else:
        told = [(number, _cells(one)) for number, one in enumerate(findings, start=1) if one.suggestion]
    entries = {one.listing_ref: one for one in catalogue.entries}
    rows = [_row(number, cells, channel, entries, names, before, remap) for number, cells in told]
    rows += [MappingRow(one.number, channel, "", None, None, True, True, True) for one in bad]
    sound = _judge(runtime, report, rows, bad, approved_by) if rows else []
    new = [one for one in sound if before.get(one.ref) != one]
    report.mapped, report.same = len(new), len(sound) - len(new)
    report.rows += [_said(one, "would be mapped" if dry_run else "mapped") for one in new]
    gone = _to_drop(findings, before) if drop and not report.blocked else set()
    if not dry_run:
        in_transaction(runtime.engine, lambda connection: _write(connection, runtime, report, new, gone))
        note_catalogue(runtime, catalogue)
    elif gone:
        report.rows += [_dropped(ref, "would be dropped") for ref in sorted(gone)]
    return report


def _cells(one: Finding) -> dict[str, str]:
    return {"listing_ref": one.listing_ref, "sku": one.suggestion, "units_per_listing": "1"}


def _row(
    number: int,
    cells: dict[str, str],
    channel: str,
    entries: Mapping[str, CatalogueEntry],
    names: Naming,
    before: Mapping[str, Mapped],
    remap: bool,
) -> MappingRow:
    ref, units = cells["listing_ref"], cells.get("units_per_listing", "") or "1"
    sku = names.resolve(cells["sku"]).sku
    old = before.get(ref)
    same = old is None or (old.sku == sku and str(old.units) == units.lstrip("0"))
    return MappingRow(
        row=number,
        channel=channel,
        listing_ref=ref,
        sku=sku,
        units=units,
        listed=ref in entries,
        ours=ref not in entries or not entries[ref].fulfilled_by_channel,
        unchanged=same or remap,
    )


def _judge(
    runtime: Runtime, report: MapReport, rows: list[MappingRow], bad: list[BadRow], approved_by: str
) -> list[Mapped]:
    """The rows that may be written; those that are held back go into the report with their reasons."""
    frame = mapping_frame(rows)
    verdict = runtime.check(SUITE, frame, ListingMap(now=runtime.now()))
    report.verdict = verdict
    in_transaction(runtime.engine, lambda connection: record(connection, report.channel, verdict, runtime.now()))
    reasons = held_reasons(verdict, {one.number: one for one in bad}, frame)
    report.rows = [
        {
            "row": one.row,
            "listing": one.listing_ref,
            "SKU": one.sku or "",
            "units per listing": one.units or "",
            "outcome": "held back",
            "why": reasons[label],
        }
        for label, one in enumerate(rows)
        if label in reasons
    ]
    report.blocked = verdict.status is Status.ERROR or (verdict.status is Status.BLOCK and not approved_by)
    if report.blocked:
        return []
    return [
        Mapped(one.listing_ref, one.sku, int(one.units))
        for label, one in enumerate(rows)
        if label not in reasons and one.sku is not None and one.units is not None
    ]


def _to_drop(findings: list[Finding], before: dict[str, Mapped]) -> set[str]:
    """Listings that the channel no longer has, or sends from its own warehouse."""
    kinds = (FindingKind.GONE, FindingKind.FULFILLED_BY_CHANNEL)
    return {one.listing_ref for one in findings if one.kind in kinds} & set(before)


def _write(connection: Connection, runtime: Runtime, report: MapReport, new: list[Mapped], gone: set[str]) -> None:
    now = runtime.now()
    write_listings(connection, report.channel, new, now=now)
    there = gone & set(listings_of(connection, report.channel))
    dropped = drop_listings(connection, report.channel, there, now=now)
    report.dropped = len(dropped)
    report.rows = [row for row in report.rows if row["outcome"] not in ("dropped", "kept")]
    report.rows += [_dropped(ref, "dropped") for ref in sorted(dropped)]
    wait = "its orders have not been read since that was found, or a write is in doubt: pull_channel, then once more"
    report.rows += [_dropped(ref, "kept", wait) for ref in sorted(there - dropped)]


def _said(one: Mapped, outcome: str) -> dict[str, Any]:
    return {"listing": one.ref, "SKU": one.sku, "units per listing": one.units, "outcome": outcome, "why": ""}


def _dropped(ref: str, outcome: str, why: str = "") -> dict[str, Any]:
    return {"listing": ref, "outcome": outcome, "why": why}
