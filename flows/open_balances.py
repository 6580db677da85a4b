"""Opening stock, and its correction, through the gate."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from adapters.settings import settings
from flows.forms import Actor, Person, csv_field, shown
from tasks.onboarding.open_stock import COLUMNS, OpeningReport, open_stock
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Balances = Annotated[str, csv_field("Opening stock (CSV)", ",".join(COLUMNS))]
Correction = Annotated[
    bool,
    shown(
        "Correction",
        "On: what is on hand becomes the quantity given, by an adjustment of the difference. For SKUs that are open",
    ),
]
Why = Annotated[str, shown("Reason", "Of a correction: needed", max_length=500)]
Reference = Annotated[
    str,
    shown(
        "Reference",
        "Name of a correction, as a date: it is posted once under each name. Empty: named by its content",
        max_length=80,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$|^$",
    ),
]


class Blocked(Exception):
    """The gate blocks the whole file; nothing was opened."""


@task(task_run_name="open-balances", **RETRIES)
def post(csv: str, actor: str, correction: bool, reason: str, reference: str, approved_by: str) -> OpeningReport:
    return open_stock(
        runtime(),
        csv,
        folder=settings().data_dir,
        actor=actor,
        reason=reason,
        correction=correction,
        reference=reference,
        approved_by=approved_by,
    )


@flow(name="open_balances", flow_run_name=run_name("open-balances"), log_prints=False)
def open_balances(
    csv: Balances,
    actor: Person,
    correction: Correction = False,
    reason: Why = "",
    reference: Reference = "",
    approved_by: Actor = "",
) -> None:
    """Open the ledger with what lies on the shelves. Every row passes the gate or is held back and named; the same
    file again changes nothing; a SKU that is open already is changed only by a correction."""
    if correction and len(reason.strip()) < 3:
        raise ValueError("a correction needs a reason")
    result = post(csv, actor, correction, reason, reference, approved_by)
    said = f"{result.new} rows posted ({result.units:+} units), {result.repeated} posted before"
    said += f", {len(result.held)} held back"
    get_run_logger().info("%s: %s", result.reference, said)
    gate = f". Gate: {result.verdict.summary()}" if result.verdict else ""
    table("opening-stock", result.held, f"{said}. The table has the rows held back{gate}")
    if result.blocked:
        raise Blocked(f"nothing was opened: {result.verdict.summary() if result.verdict else ''}")
