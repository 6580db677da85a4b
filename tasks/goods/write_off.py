"""Units that are gone for good, told by a table. What cannot be written off is held and named."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from adapters.database import in_transaction, unit_of_work
from adapters.seller_csv import CsvRow, CsvTable, read_csv
from adapters.wakeups import PUBLISH, wake
from expectations.seller_frames import Form, quantity_of
from inventory.goods import write_offs
from inventory.goods.write_offs import FROM, Gone
from inventory.naming import Naming, naming
from inventory.people.operation_log import unit_costs
from inventory.people.raci import Action
from inventory.words import StockState
from tasks.goods.expect import require
from tasks.permission import Request
from tasks.runtime import Runtime

COLUMNS = ("sku", "location", "state", "quantity")
MOST_UNITS = 100_000


@dataclass(slots=True)
class WriteOffReport:
    reference: str
    rows: int = 0
    units: int = 0
    repeated: int = 0
    held: list[dict[str, Any]] = field(default_factory=list)


def propose_write_off(
    runtime: Runtime, source: str, *, reference: str, folder: Path, actor: str, reason: str
) -> Request | None:
    """What the table would write off, with its size and value; None: nothing. Changes nothing. A write-off is an
    adjustment, within the same limits. Raises CsvError, NotUsable."""
    require(reference=reference, actor=actor, reason=reason)
    table = read_csv(source, required=COLUMNS, folder=folder)
    with unit_of_work(runtime.engine) as connection:
        made, _ = _read(connection, table)
        known = write_offs.written_off(connection, reference)
        rows = [one for one in made.values() if _place(one) not in known]
        costs = unit_costs(connection, [one.sku for one in rows])
    units = sum(one.quantity for one in rows)
    if not units:
        return None
    dear = [one for one in rows if one.sku in costs]
    value = sum((one.quantity * costs[one.sku] for one in dear), Decimal(0)) if dear else None
    message = f"{units} units in {len(rows)} rows are written off ({reference})"
    # The table may be a file that is another one when it has been approved.
    detail = {"reference": reference, "rows": len(rows), "content": _digest(made.values())}
    return Request(Action.ADJUST_STOCK, reference, message, actor, reason, units, value, detail)


def _digest(rows: Iterable[Gone]) -> str:
    said = sorted((one.sku, one.location, one.state.value, one.quantity) for one in rows)
    return hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def write_off(
    runtime: Runtime,
    source: str,
    *,
    reference: str,
    folder: Path,
    actor: str,
    reason: str,
    approved_by: str = "",
) -> WriteOffReport:
    """Write off what the table says, from available, damaged or quarantined. `reference` names it: the same one again
    changes nothing. Raises CsvError, NotUsable."""
    require(reference=reference, actor=actor, reason=reason)
    table = read_csv(source, required=COLUMNS, folder=folder)
    by = f"{actor}, approved by {approved_by}" if approved_by else actor

    def work(connection: Connection) -> WriteOffReport:
        made, held = _read(connection, table)
        result = write_offs.write_off(
            connection, reference, list(made.values()), actor=by, reason=reason, now=runtime.now()
        )
        numbers = {_place(one): number for number, one in made.items()}
        held += [_held(numbers[_place(one)], one.sku, one.location, why) for one, why in result.refused]
        held.sort(key=lambda one: int(one["row"]))
        return WriteOffReport(reference, result.rows, result.units, result.repeated, held)

    report = in_transaction(runtime.engine, work)
    wake(runtime.engine, PUBLISH)
    return report


def _read(connection: Connection, table: CsvTable) -> tuple[dict[int, Gone], list[dict[str, Any]]]:
    """The rows that make sense, by number, and the others with the reason."""
    names = naming(connection)
    read = {row.number: _gone(row, names) for row in table.rows}
    times = Counter(_place(one) for one in read.values() if isinstance(one, Gone))
    made = {number: one for number, one in read.items() if isinstance(one, Gone) and times[_place(one)] == 1}
    held = [_held(one.number, "", "", f"{one.reason}: {one.excerpt}") for one in table.bad]
    for row in table.rows:
        one = read[row.number]
        if row.number not in made:
            why = one if isinstance(one, str) else "this SKU, location and state come twice in the table"
            held.append(_held(row.number, row.cells["sku"], row.cells["location"], why))
    return made, held


def _place(one: Gone) -> tuple[str, str, StockState]:
    return one.sku, one.location, one.state


def _gone(row: CsvRow, names: Naming) -> Gone | str:
    cells = row.cells
    sku = names.resolve(cells["sku"]).sku
    quantity, form = quantity_of(cells["quantity"])
    states = [state.value for state in FROM]
    if sku is None:
        return "the SKU is not in the catalogue"
    if cells["state"].lower() not in states:
        return f"the state is one of {', '.join(states)}"
    if form is not Form.WHOLE or not 1 <= quantity <= MOST_UNITS:
        return f"the quantity is a whole number from 1 to {MOST_UNITS:,}, written in digits alone"
    return Gone(sku, cells["location"], StockState(cells["state"].lower()), int(quantity))


def _held(number: int, sku: str, location: str, why: str) -> dict[str, Any]:
    return {"row": number, "SKU": sku[:64], "location": location[:64], "why": why}
