"""Returned goods, told by tables: parcels that came, and what an inspection found. What cannot be is held and named."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from adapters.database import in_transaction, unit_of_work
from adapters.seller_csv import BadRow, CsvRow, CsvTable, read_csv
from adapters.wakeups import PUBLISH, wake
from expectations.seller_frames import Form, quantity_of
from inventory.goods import inspections, returns
from inventory.goods.inspections import Inspected
from inventory.goods.returns import Booked, Returned
from inventory.naming import Naming, naming
from inventory.orders.orders import order_holder
from tasks.goods.expect import CHUNK, bundle_skus, location_codes, require
from tasks.goods.goods_words import word_fault, words_fault
from tasks.runtime import Runtime

ARRIVED_COLUMNS = ("parcel", "sku", "quantity")
ARRIVED_OPTIONAL = ("damaged", "location", "channel", "order_id")
INSPECTED_COLUMNS = ("parcel", "sku")
INSPECTED_OPTIONAL = ("available", "damaged", "written_off")
MOST_UNITS = 10_000
"""In one parcel of one SKU."""


@dataclass(slots=True)
class ReturnsReport:
    rows: int = 0
    units: int = 0
    repeated: int = 0
    on_sale: int = 0
    """Units that their channel had put on sale again before anybody looked at them."""
    held: list[dict[str, Any]] = field(default_factory=list)


def take_back(runtime: Runtime, source: str, *, folder: Path, actor: str, location: str = "") -> ReturnsReport:
    """Parcels are at the dock: their units are quarantined, the visibly damaged damaged, and none is sold before it has
    been inspected. With channel and order id never more comes back than was sold. Rows without a location lie at
    `location`. The same rows again change nothing. Raises CsvError, NotUsable."""
    require(actor=actor)
    table = read_csv(source, required=ARRIVED_COLUMNS, optional=ARRIVED_OPTIONAL, folder=folder)

    def book(connection: Connection, names: Naming, rows: list[CsvRow]) -> tuple[Booked, dict[int, str]]:
        places, bundles = location_codes(connection), bundle_skus(connection)
        made, why = {}, {}
        for row in rows:
            one = _returned(row, names, location)
            if isinstance(one, Returned) and one.sku in bundles:
                one = "the SKU is a bundle: return its components"
            if isinstance(one, Returned) and one.location not in places:
                one = "the location is none of ours"
            if isinstance(one, Returned):
                made[row.number] = one
            else:
                why[row.number] = one
        booked = returns.arrive(connection, list(made.values()), actor=actor, now=runtime.now())
        return booked, why | _refused(booked, {number: (one.parcel, one.sku) for number, one in made.items()})

    return _run(runtime, table, book)


def inspect_returns(runtime: Runtime, source: str, *, sheet: str, folder: Path, actor: str) -> ReturnsReport:
    """What an inspection of returned goods found. `sheet` names it: the same one again changes nothing.

    Raises CsvError, NotUsable."""
    require(sheet=sheet, actor=actor)
    table = read_csv(source, required=INSPECTED_COLUMNS, optional=INSPECTED_OPTIONAL, folder=folder)

    def book(connection: Connection, names: Naming, rows: list[CsvRow]) -> tuple[Booked, dict[int, str]]:
        made, why = {}, {}
        for row in rows:
            one = _inspected(row, names)
            if isinstance(one, Inspected):
                made[row.number] = one
            else:
                why[row.number] = one
        booked = inspections.inspect(connection, sheet, list(made.values()), actor=actor, now=runtime.now())
        return booked, why | _refused(booked, {number: (one.parcel, one.sku) for number, one in made.items()})

    return _run(runtime, table, book)


Book = Callable[[Connection, Naming, list[CsvRow]], tuple[Booked, dict[int, str]]]


def _run(runtime: Runtime, table: CsvTable, book: Book) -> ReturnsReport:
    report = ReturnsReport(held=[_unread(one) for one in table.bad])
    with unit_of_work(runtime.engine) as connection:
        names = naming(connection)
    times = Counter((row.cells["parcel"], _sku(names, row)) for row in table.rows)
    for start in range(0, len(table.rows), CHUNK):
        part = table.rows[start : start + CHUNK]

        def work(connection: Connection, part: list[CsvRow] = part) -> tuple[Booked, dict[int, str]]:
            twice = {row.number for row in part if times[row.cells["parcel"], _sku(names, row)] > 1}
            booked, why = book(connection, names, [row for row in part if row.number not in twice])
            return booked, why | dict.fromkeys(twice, "this SKU of this parcel comes twice in the table")

        booked, why = in_transaction(runtime.engine, work)
        report.rows += booked.rows
        report.units += booked.units
        report.repeated += booked.repeated
        report.on_sale += booked.on_sale
        report.held += [_held(row, why[row.number]) for row in part if row.number in why]
    report.held.sort(key=lambda one: int(one["row"]))
    wake(runtime.engine, PUBLISH)
    return report


def _sku(names: Naming, row: CsvRow) -> str:
    return names.resolve(row.cells["sku"]).sku or row.cells["sku"]


def _refused(booked: Booked, numbers: Mapping[int, tuple[str, str]]) -> dict[int, str]:
    by_key = {key: number for number, key in numbers.items()}
    return {by_key[one.parcel, one.sku]: one.why for one in booked.refused}


def _units(written: str) -> int | None:
    """None: no such number. What is not said is none."""
    quantity, form = quantity_of(written or "0")
    return int(quantity) if form is Form.WHOLE and 0 <= quantity <= MOST_UNITS else None


def _returned(row: CsvRow, names: Naming, location: str) -> Returned | str:
    """The row, or why it is none."""
    cells = row.cells
    sku = names.resolve(cells["sku"]).sku
    arrived, damaged = _units(cells["quantity"]), _units(cells.get("damaged", ""))
    channel, order_id = cells.get("channel", ""), cells.get("order_id", "")
    place = cells.get("location", "") or location
    fault = words_fault(parcel=cells["parcel"])
    if fault:
        return fault
    if sku is None:
        return "the SKU is not in the catalogue"
    if not arrived or damaged is None or damaged > arrived:
        return f"quantity is a whole number from 1 to {MOST_UNITS:,}, damaged as many of them or fewer"
    if bool(channel) != bool(order_id):
        return "channel and order_id name the sale together: give both or neither"
    if order_id and (word_fault(channel) or word_fault(order_id, 255)):
        return "channel or order_id cannot be a name"
    if word_fault(place):
        return "nobody says at which location it lies"
    holder = order_holder(channel, order_id) if order_id else ""
    return Returned(cells["parcel"], sku, place, arrived, damaged, holder)


def _inspected(row: CsvRow, names: Naming) -> Inspected | str:
    cells = row.cells
    sku = names.resolve(cells["sku"]).sku
    parts = [_units(cells.get(name, "")) for name in INSPECTED_OPTIONAL]
    fault = words_fault(parcel=cells["parcel"])
    if fault:
        return fault
    if sku is None:
        return "the SKU is not in the catalogue"
    available, damaged, written_off = parts
    if available is None or damaged is None or written_off is None or not available + damaged + written_off:
        return f"available, damaged and written_off are whole numbers up to {MOST_UNITS:,}, one of them 1 or more"
    return Inspected(cells["parcel"], sku, available, damaged, written_off)


def _held(row: CsvRow, why: str) -> dict[str, Any]:
    return {"row": row.number, "parcel": row.cells["parcel"][:64], "SKU": row.cells["sku"][:64], "why": why}


def _unread(one: BadRow) -> dict[str, Any]:
    return {"row": one.number, "parcel": "", "SKU": "", "why": f"{one.reason}: {one.excerpt}"}
