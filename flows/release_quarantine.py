"""What was set aside is let go: stock that was looked at, or rows that the gate held back and that are mended."""

from typing import Annotated, Any, Literal

from prefect import flow, get_run_logger, task

from expectations import gate
from flows.forms import AnyChannel, Person, Reason, shown
from inventory.goods.adjustments import Adjusted
from inventory.outside_text import in_markdown
from inventory.words import StockState
from tasks.approve import approved, request_key
from tasks.goods.adjust import as_rows as shelf_rows
from tasks.goods.adjust import post_release, propose_release
from tasks.held_rows import RowsReport, apply_rows_again, as_rows, dismiss_rows, propose_rows
from tasks.permission import Request
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

What = Annotated[
    Literal["stock", "rows", "dismiss rows"],
    shown(
        "What",
        "stock: units in quarantine. rows: order rows that were held back, applied again. dismiss rows: they are no "
        "sale at all",
    ),
]
Goal = Annotated[Literal["available", "damaged", "written_off"], shown("To", "Of stock: what the inspection has found")]
SkuOrNone = Annotated[str, shown("SKU", "Of stock", max_length=200)]
PlaceOrNone = Annotated[str, shown("Location", "Of stock", max_length=100)]
Units = Annotated[int, shown("Units", "Of stock: pieces", ge=0, le=1_000_000)]
Keys = Annotated[
    list[Annotated[str, shown("Row", "As the incident names it: shopify/1001/line/7", max_length=300)]],
    shown("Rows", "Of rows; empty: all that are held back of the channel", max_length=1000),
]


@task(task_run_name="look", **RETRIES)
def look(
    what: str, sku: str, location: str, units: int, to: str, channel: str, rows: list[str], actor: str, reason: str,
    key: str,
) -> Request | None:  # fmt: skip
    if what == "stock":
        return propose_release(
            runtime(),
            sku=sku,
            location=location,
            units=units,
            to=StockState(to),
            actor=actor,
            reason=reason,
            request_key=key,
        )
    dismiss = what == "dismiss rows"
    return propose_rows(runtime(), channel, rows, dismiss=dismiss, actor=actor, reason=reason, request_key=key)


@task(task_run_name="release-stock", **RETRIES)
def release_stock(request: Request, approved_by: str, key: str) -> Adjusted:
    return post_release(runtime(), request, approved_by=approved_by, request_key=key)


@task(task_run_name="release-rows", **RETRIES)
def release_rows(request: Request, dismiss: bool, approved_by: str, key: str) -> RowsReport:
    if dismiss:
        return dismiss_rows(runtime(), request, approved_by=approved_by, request_key=key)
    gate.load()
    return apply_rows_again(runtime(), request, approved_by=approved_by, request_key=key)


@flow(name="release_quarantine", flow_run_name=run_name("release-{what}"), log_prints=False)
def release_quarantine(
    what: What,
    actor: Person,
    reason: Reason,
    sku: SkuOrNone = "",
    location: PlaceOrNone = "",
    units: Units = 0,
    to: Goal = "available",
    channel: AnyChannel = "",
    rows: Keys = [],  # noqa: B006
) -> None:
    """Stock goes to the shelf, to damaged or is written off. Rows go through the gate once more; what it still finds
    unfit stays held back. To dismiss rows somebody else has to approve: units that were perhaps sold are given away."""
    key = request_key()
    request = look(what, sku, location, units, to, channel, rows, actor, reason, key)
    if request is None:
        get_run_logger().info("this request was done before; nothing was changed")
        return
    approved_by = approved(runtime(), request)
    shown_rows: list[dict[str, Any]]
    if what == "stock":
        shown_rows = shelf_rows(request.subject, request.detail["location"], release_stock(request, approved_by, key))
    else:
        done = release_rows(request, what == "dismiss rows", approved_by, key)
        shown_rows = as_rows(done) if what == "rows" else [{"rows": done.asked, "dismissed": done.dismissed}]
    table("release", shown_rows, f"{in_markdown(request.message)} ({in_markdown(actor)}: {in_markdown(reason)})")
