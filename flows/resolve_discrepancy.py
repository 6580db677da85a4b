"""A person settles a discrepancy that policy may not heal."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from flows.forms import Person, Reason, shown
from inventory.outside_text import in_markdown
from inventory.reconciling.settling import Settled
from tasks.policies import RETRIES
from tasks.reconciling.settle import settle_discrepancy
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Number = Annotated[int, shown("Discrepancy", "Its number, from the table `aging` of a reconcile run", ge=1, le=10**15)]
Release = Annotated[
    bool,
    shown(
        "Release units",
        "Of an order that the channel denies: its units are sold again. Look the order up at the channel first",
    ),
]


@task(task_run_name="settle-{number}", **RETRIES)
def settle(number: int, actor: str, reason: str, release_units: bool) -> Settled:
    return settle_discrepancy(runtime(), number, actor=actor, reason=reason, release_units=release_units)


@flow(name="resolve_discrepancy", flow_run_name=run_name("resolve-{number}"), log_prints=False)
def resolve_discrepancy(number: Number, actor: Person, reason: Reason, release_units: Release = False) -> None:
    """Close one discrepancy with a name and a reason. A listing in dispute is written to again; nothing else changes,
    unless the units of an order that the channel denies are to be released."""
    settled = settle(number, actor, reason, release_units)
    get_run_logger().info("%s is settled by %s", settled.subject, actor)
    row = {
        "discrepancy": settled.id,
        "compared": settled.comparison,
        "about": settled.subject,
        "SKU": settled.sku,
        "units released": settled.released,
        "written to again": settled.undisputed,
    }
    table("settled-discrepancy", [row], f"Settled by {in_markdown(actor)}: {in_markdown(reason)}")
