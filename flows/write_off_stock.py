"""Units that are gone for good."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from adapters.settings import settings
from flows.forms import Person, Reason, csv_field, shown
from tasks.approve import approved
from tasks.goods.write_off import COLUMNS, WriteOffReport, propose_write_off, write_off
from tasks.permission import Request
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Gone = Annotated[
    str,
    csv_field("Written off (CSV)", ",".join(COLUMNS), ". The state is available, damaged or quarantined"),
]
Reference = Annotated[
    str,
    shown(
        "Reference",
        "Names this write-off, as a date: the same one again changes nothing",
        min_length=1,
        max_length=80,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]*$",
    ),
]


@task(task_run_name="look-at-write-off", **RETRIES)
def look(csv: str, reference: str, actor: str, reason: str) -> Request | None:
    return propose_write_off(
        runtime(), csv, reference=reference, folder=settings().data_dir, actor=actor, reason=reason
    )


@task(task_run_name="write-off", **RETRIES)
def take_off(csv: str, reference: str, actor: str, reason: str, approved_by: str) -> WriteOffReport:
    return write_off(
        runtime(),
        csv,
        reference=reference,
        folder=settings().data_dir,
        actor=actor,
        reason=reason,
        approved_by=approved_by,
    )


@flow(name="write_off_stock", flow_run_name=run_name("write-off-stock"), log_prints=False)
def write_off_stock(csv: Gone, reference: Reference, actor: Person, reason: Reason) -> None:
    """Write off what is broken, spoilt or stolen. What is promised to a buyer is not touched; what is not there is held
    back and named. Above the limits of raci.toml for adjust_stock somebody else has to approve."""
    request = look(csv, reference, actor, reason)
    approved_by = approved(runtime(), request) if request else ""
    result = take_off(csv, reference, actor, reason, approved_by)
    said = f"{reference}: {result.units} units in {result.rows} rows written off, {result.repeated} rows known"
    get_run_logger().info("%s, %s held back", said, len(result.held))
    table("write-off", result.held, f"{said}. The table has the {len(result.held)} rows held back")
