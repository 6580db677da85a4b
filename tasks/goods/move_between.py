"""Stock from one location to another as a form asks for it: read the table, check the limits, then send, receive or
give up."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

from adapters.database import in_transaction, unit_of_work
from adapters.seller_csv import read_csv
from adapters.wakeups import PUBLISH, wake
from inventory.goods.transit import TransferError, open_transfers
from inventory.naming import naming
from inventory.people.operation_log import Done, check_words, note_operation, unit_costs
from inventory.people.raci import Action
from tasks.goods.transfers import TransferReport, give_up_transfer, receive_transfer, send_transfer
from tasks.permission import Request
from tasks.runtime import Runtime

COLUMNS = ("sku", "quantity")
DAMAGED = ("damaged",)
"""Only of what arrives: how many of `quantity` are broken."""
MOST_ROWS = 5000
Step = Literal["send", "receive", "give up"]


@dataclass(frozen=True, slots=True)
class Wish:
    step: Step
    reference: str
    units: Mapping[str, int]
    """{SKU as it was written: units}, sound ones of what arrives"""
    damaged: Mapping[str, int]
    from_location: str = ""
    to_location: str = ""
    expected_by: datetime | None = None


def read_wish(
    step: Step,
    reference: str,
    csv: str,
    *,
    folder: Path,
    from_location: str = "",
    to_location: str = "",
    expected_by: datetime | None = None,
) -> Wish:
    """Raises CsvError, and TransferError with the row's number: a table of which a row cannot be read moves nothing."""
    check_words(reference=reference)
    units: dict[str, int] = {}
    damaged: dict[str, int] = {}
    if step != "give up":
        table = read_csv(csv, required=COLUMNS, optional=DAMAGED if step == "receive" else (), folder=folder)
        if table.bad:
            raise TransferError(f"row {table.bad[0].number}: {table.bad[0].reason}. Nothing was moved")
        if not 0 < len(table.rows) <= MOST_ROWS:
            raise TransferError(f"{len(table.rows)} rows: give 1 to {MOST_ROWS}. Nothing was moved")
        for row in table.rows:
            sku = row.cells["sku"].strip()
            if sku in units:
                raise TransferError(f"row {row.number}: {ascii(sku)[:80]} comes twice. Nothing was moved")
            count = _whole(row.number, "quantity", row.cells["quantity"])
            broken = _whole(row.number, "damaged", row.cells.get("damaged") or "0")
            if broken > count:
                raise TransferError(f"row {row.number}: {broken} damaged of {count}. Nothing was moved")
            units[sku], damaged[sku] = count - broken, broken
    return Wish(step, reference.strip(), units, damaged, from_location.strip(), to_location.strip(), expected_by)


def _whole(row: int, column: str, cell: str) -> int:
    if not (cell.isascii() and cell.isdecimal() and len(cell) <= 9):
        raise TransferError(f"row {row}: {column} {ascii(cell)[:40]} is no whole number of units. Nothing was moved")
    return int(cell)


def propose_transfer(runtime: Runtime, wish: Wish, *, actor: str, reason: str) -> Request:
    """Its size and value against the limits. Changes nothing. Raises UnfitWords, TransferError."""
    check_words(name=actor, reason=reason)
    with unit_of_work(runtime.engine) as connection:
        if wish.step == "give up":
            found = [one for one in open_transfers(connection) if one.reference == wish.reference]
            if not found:
                raise TransferError(f"no transfer {ascii(wish.reference)[:80]} is open. Nothing was moved")
        names = naming(connection)
        resolved = {sku: names.resolve(sku).sku for sku in wish.units}
        costs = unit_costs(connection, [sku for sku in resolved.values() if sku is not None])
    total = sum(wish.units.values()) + sum(wish.damaged.values())
    value = sum(
        (costs[known] * (wish.units[sku] + wish.damaged[sku]) for sku, known in resolved.items() if known in costs),
        Decimal(0),
    )
    where = f" from {wish.from_location} to {wish.to_location}" if wish.step == "send" else ""
    what = f"{total} units of {len(wish.units)} SKUs{where}" if wish.step != "give up" else "what has not arrived"
    return Request(
        Action.TRANSFER_STOCK,
        wish.reference,
        f"transfer {wish.reference}: {wish.step} {what}",
        actor,
        reason,
        # What arrives was sent before, and was approved then.
        total if wish.step == "send" else 0,
        value if wish.step == "send" and costs else None,
        {
            "step": wish.step,
            "from": wish.from_location,
            "to": wish.to_location,
            "skus": len(wish.units),
            "table": _digest(wish),
        },
    )


def _digest(wish: Wish) -> str:
    """The table may be a file: what was approved must be what is moved."""
    said = sorted((sku, units, wish.damaged[sku]) for sku, units in wish.units.items())
    return hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def transfer(runtime: Runtime, wish: Wish, request: Request, *, approved_by: str, request_key: str) -> TransferReport:
    """Do it; the same request again changes nothing. Raises TransferError."""
    by = f"{request.actor}, approved by {approved_by}" if approved_by else request.actor
    if wish.step == "send":
        if wish.expected_by is None:
            raise TransferError("say when it should arrive. Nothing was moved")
        report = send_transfer(
            runtime,
            sku_quantities=wish.units,
            from_location=wish.from_location,
            to_location=wish.to_location,
            actor=by,
            reason=request.reason,
            reference=wish.reference,
            expected_by=wish.expected_by,
        )
    elif wish.step == "receive":
        report = receive_transfer(
            runtime,
            reference=wish.reference,
            arrived={sku: units for sku, units in wish.units.items() if units},
            damaged={sku: units for sku, units in wish.damaged.items() if units},
            actor=by,
            reason=request.reason,
            delivery=request_key,
        )
    else:
        report = give_up_transfer(runtime, reference=wish.reference, actor=by, reason=request.reason)
    done = Done(
        request_key,
        request.action.value,
        request.subject,
        request.actor,
        request.reason,
        approved_by,
        {**request.detail, "units": report.units, "held": len(report.held)},
    )
    in_transaction(runtime.engine, lambda connection: note_operation(connection, done, now=runtime.now()))
    wake(runtime.engine, PUBLISH)
    return report
