"""Stock changed by hand, with a reason; above a limit somebody else approves."""

from typing import Annotated, Literal

from prefect import flow, get_run_logger, task

from flows.forms import Location, Person, Reason, Sku, shown
from inventory.goods.adjustments import Adjusted, Adjustment
from inventory.outside_text import in_markdown
from inventory.words import AdjustmentReason
from tasks.approve import approved, request_key
from tasks.goods.adjust import AdjustRequest, as_rows, post_adjustment, propose_adjustment
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

How = Annotated[
    Literal["change by", "set to"],
    shown(
        "How",
        "change by: so many more, or with a minus fewer, are free on the shelf. set to: so many are on hand, with all "
        "that is promised to buyers",
    ),
]
Quantity = Annotated[int, shown("Units", "Pieces of the SKU", ge=-1_000_000, le=1_000_000)]
Expected = Annotated[
    int,
    shown(
        "On hand until now",
        "Of set to: what the ledger says is on hand, as onhand explain shows it. If it says something else by now, "
        "nothing is done. -1: not said",
        ge=-1,
        le=1_000_000,
    ),
]
Why = Annotated[
    Literal[
        "miscount", "found", "lost", "damaged", "quarantined", "written_off", "supplier", "data_error"
    ],
    shown("Why", "Decides where the units go: damaged and quarantined stay on hand, lost and written_off leave"),
]  # fmt: skip


@task(task_run_name="look-at-{sku}", **RETRIES)
def look(
    sku: str, location: str, how: str, quantity: int, why: str, expected: int, actor: str, reason: str, key: str
) -> AdjustRequest:
    setting = how == "set to"
    return propose_adjustment(
        runtime(),
        sku=sku,
        location=location,
        why=AdjustmentReason(why),
        change=None if setting else quantity,
        set_to=quantity if setting else None,
        expected=expected if setting and expected >= 0 else None,
        actor=actor,
        reason=reason,
        request_key=key,
    )


@task(task_run_name="adjust", **RETRIES)
def post(adjustment: Adjustment, actor: str, reason: str, approved_by: str, key: str) -> Adjusted:
    return post_adjustment(runtime(), adjustment, actor=actor, reason=reason, approved_by=approved_by, request_key=key)


@flow(name="adjust_stock", flow_run_name=run_name("adjust-{sku}"), log_prints=False)
def adjust_stock(
    sku: Sku,
    location: Location,
    how: How,
    quantity: Quantity,
    why: Why,
    actor: Person,
    reason: Reason,
    expected_now: Expected = -1,
) -> None:
    """Change what is free on one shelf. Every channel that sells it is published anew. Above the limits of raci.toml
    the run is suspended until somebody else resumes it and approves; without that nothing happens."""
    key = request_key()
    found = look(sku, location, how, quantity, why, expected_now, actor, reason, key)
    if found.request is None or found.adjustment is None:
        get_run_logger().info("this request was done before; nothing was changed")
        return
    approved_by = approved(runtime(), found.request)
    done = post(found.adjustment, actor, reason, approved_by, key)
    rows = as_rows(found.adjustment.sku, found.adjustment.location, done)
    by = in_markdown(actor + approval(approved_by))
    table("adjustment", rows, f"**{in_markdown(found.adjustment.sku)}**: {in_markdown(reason)} ({by})")


def approval(approved_by: str) -> str:
    return f", approved by {approved_by}" if approved_by else ""
