"""What suppliers owe us, told by a table: lines of purchases. Rows that cannot be are held back and named."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from adapters.database import in_transaction, unit_of_work
from adapters.seller_csv import BadRow, CsvRow, read_csv
from expectations.seller_frames import Form, quantity_of
from inventory.goods import receipts
from inventory.goods.receipts import Expected, Ordered
from inventory.naming import Naming, naming
from tasks.goods.goods_words import word_fault, words_fault
from tasks.runtime import Runtime

EXPECTED_COLUMNS = ("purchase", "supplier", "sku", "quantity", "location")
EXPECTED_OPTIONAL = ("promised_on",)
MOST_ORDERED = 1_000_000
CHUNK = 1000
"""Rows a transaction, so that live orders never wait long behind a delivery."""


class NotUsable(ValueError):
    """What was typed beside the table cannot be used; nothing was changed."""


@dataclass(slots=True)
class ExpectedReport:
    new: int = 0
    changed: int = 0
    repeated: int = 0
    units: int = 0
    """By which `inbound` grew."""
    held: list[dict[str, Any]] = field(default_factory=list)


def expect_goods(runtime: Runtime, source: str, *, folder: Path, actor: str) -> ExpectedReport:
    """Lines of purchases as they are to be: what is missing of them becomes inbound. A row that cannot be is held and
    named, the others go. Raises CsvError, NotUsable."""
    require(actor=actor)
    table = read_csv(source, required=EXPECTED_COLUMNS, optional=EXPECTED_OPTIONAL, folder=folder)
    report = ExpectedReport(held=[_unread(one) for one in table.bad])
    with unit_of_work(runtime.engine) as connection:
        names = naming(connection)
    times = Counter((row.cells["purchase"], names.resolve(row.cells["sku"]).sku) for row in table.rows)
    for start in range(0, len(table.rows), CHUNK):
        part = table.rows[start : start + CHUNK]
        work = partial(_expect, runtime=runtime, names=names, times=times, part=part, actor=actor)
        held, change = in_transaction(runtime.engine, work)
        report.held += held
        report.new += change.new
        report.changed += change.changed
        report.repeated += change.repeated
        report.units += change.units
    report.held.sort(key=lambda one: int(one["row"]))
    return report


def _expect(
    connection: Connection,
    runtime: Runtime,
    names: Naming,
    times: Mapping[tuple[str, str | None], int],
    part: Sequence[CsvRow],
    actor: str,
) -> tuple[list[dict[str, Any]], receipts.Change]:
    places, bundles = location_codes(connection), bundle_skus(connection)
    known = receipts.ordered_lines(connection, {row.cells["purchase"] for row in part if _plain(row)}, lock=True)
    held, lines = [], []
    for row in part:
        sku = names.resolve(row.cells["sku"]).sku
        line = _line(row, sku)
        before = known.get((row.cells["purchase"], sku or ""))
        why = (
            _words(row)
            or ("the SKU is not in the catalogue" if sku is None else "")
            or ("the SKU is a bundle: order its components" if sku in bundles else "")
            or ("the location is none of ours" if row.cells["location"] not in places else "")
            or ("this line comes twice in the table" if times[row.cells["purchase"], sku] > 1 else "")
            or (line if isinstance(line, str) else "")
            or (_change(line, before) if isinstance(line, Expected) else "")
        )
        if why or not isinstance(line, Expected):
            held.append(_named(row.number, row.cells, why))
        else:
            lines.append(line)
    return held, receipts.expect(connection, lines, actor=actor, now=runtime.now())


def _plain(row: CsvRow) -> bool:
    return not word_fault(row.cells["purchase"])


def _words(row: CsvRow) -> str:
    return words_fault(purchase=row.cells["purchase"], supplier=row.cells["supplier"], location=row.cells["location"])


def _change(line: Expected, before: Ordered | None) -> str:
    if before is None:
        return "" if line.ordered else "nothing of it is ordered"
    return receipts.change_fault(line, before)


def _line(row: CsvRow, sku: str | None) -> Expected | str:
    """The line, or why it is none."""
    quantity, form = quantity_of(row.cells["quantity"])
    if form is not Form.WHOLE or not 0 <= quantity <= MOST_ORDERED:
        return f"the quantity is a whole number from 0 to {MOST_ORDERED:,}, written in digits alone"
    written = row.cells.get("promised_on", "")
    promised = _day(written)
    if written and promised is None:
        return "promised_on is a day, written 2026-11-30"
    return Expected(
        row.cells["purchase"], sku or "", row.cells["supplier"], row.cells["location"], int(quantity), promised
    )


def _day(written: str) -> datetime | None:
    """The end of the day: until then nobody can say that it is late."""
    try:
        day = datetime.strptime(written, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
    return datetime.combine(day, time(23, 59, 59), UTC) if 2000 <= day.year < 2200 else None


def require(**given: str) -> None:
    fault = words_fault(**given)
    if fault:
        raise NotUsable(fault)


def location_codes(connection: Connection) -> set[str]:
    return {row.code for row in connection.execute(text("SELECT code FROM location"))}


def bundle_skus(connection: Connection) -> set[str]:
    return {row.sku for row in connection.execute(text("SELECT DISTINCT bundle_sku AS sku FROM bundle_component"))}


def _named(number: int, cells: Mapping[str, str], why: str) -> dict[str, Any]:
    return {
        "row": number,
        "SKU": cells["sku"][:64],
        "purchase": cells["purchase"][:64],
        "quantity": ascii(cells["quantity"])[1:-1][:40],
        "why": why,
    }


def _unread(one: BadRow) -> dict[str, Any]:
    return {"row": one.number, "SKU": "", "purchase": "", "quantity": "", "why": f"{one.reason}: {one.excerpt}"}
