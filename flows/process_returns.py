"""Returned goods: parcels that came, and what an inspection decided."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from adapters.settings import settings
from flows.forms import Person, csv_field, shown
from tasks.goods.take_back import (
    ARRIVED_COLUMNS,
    ARRIVED_OPTIONAL,
    INSPECTED_COLUMNS,
    INSPECTED_OPTIONAL,
    ReturnsReport,
    inspect_returns,
    take_back,
)
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Parcels = Annotated[
    str,
    csv_field(
        "Parcels (CSV)",
        ",".join(ARRIVED_COLUMNS),
        f"; if wanted {', '.join(ARRIVED_OPTIONAL)}. With channel and order_id never more comes back than was sold",
        needed=False,
    ),
]
Inspected = Annotated[
    str,
    csv_field("Inspected (CSV)", ",".join((*INSPECTED_COLUMNS, *INSPECTED_OPTIONAL)), needed=False),
]
Sheet = Annotated[
    str,
    shown(
        "Sheet",
        "Name of the inspection, as a date: the same one again changes nothing. Needed with Inspected",
        max_length=80,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]*$|^$",
    ),
]
Place = Annotated[str, shown("Location", "Where parcels lie whose row names none", max_length=80)]


@task(task_run_name="take-back", **RETRIES)
def arrive(csv: str, actor: str, location: str) -> ReturnsReport:
    return take_back(runtime(), csv, folder=settings().data_dir, actor=actor, location=location)


@task(task_run_name="inspect", **RETRIES)
def inspect(csv: str, sheet: str, actor: str) -> ReturnsReport:
    return inspect_returns(runtime(), csv, sheet=sheet, folder=settings().data_dir, actor=actor)


@flow(name="process_returns", flow_run_name=run_name("process-returns"), log_prints=False)
def process_returns(
    actor: Person, parcels: Parcels = "", inspected: Inspected = "", sheet: Sheet = "", location: Place = ""
) -> None:
    """Take parcels back, decide on what has been inspected, or both. What comes back is quarantined, and is sold again
    only when an inspection says so; what the channel has told of already is not counted twice."""
    if not parcels.strip() and not inspected.strip():
        raise ValueError("neither Parcels nor Inspected says anything")
    if inspected.strip() and not sheet.strip():
        raise ValueError("Inspected needs the name of its sheet")
    if parcels.strip():
        came = arrive(parcels, actor, location)
        extra = f"; {came.on_sale} of them their channel had put on sale again, uninspected" if came.on_sale else ""
        _show("returns-arrived", "came back", came, extra)
    if inspected.strip():
        _show("returns-inspected", "decided", inspect(inspected, sheet, actor))


def _show(key: str, what: str, report: ReturnsReport, extra: str = "") -> None:
    said = f"{report.units} units in {report.rows} rows {what}, {report.repeated} rows known{extra}"
    get_run_logger().info("%s, %s held back", said, len(report.held))
    table(key, report.held, f"{said}. The table has the {len(report.held)} rows held back")
