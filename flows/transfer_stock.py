"""Stock from one location to another: it leaves, is on its way, and arrives."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from prefect import flow, get_run_logger, task

from adapters.settings import settings
from flows.forms import Person, Reason, csv_field, shown
from inventory.outside_text import in_markdown
from tasks.approve import approved, request_key
from tasks.goods.move_between import COLUMNS, Step, Wish, propose_transfer, read_wish, transfer
from tasks.goods.transfers import TransferReport
from tasks.permission import Request
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

What = Annotated[
    Step,
    shown(
        "Step",
        "send: the units leave and are sold by nobody on the road. receive: they are there. give up: what has not "
        "arrived is written off",
    ),
]
Reference = Annotated[
    str,
    shown("Transfer", "Its name, the same for sending and receiving", max_length=80, min_length=1, pattern=r"\S"),
]
Lines = Annotated[
    str, csv_field("Lines (CSV)", ",".join(COLUMNS), "; of what arrives, damaged if wanted", needed=False)
]
Place = Annotated[
    str, shown("From", "Code of the location it leaves; only of send", max_length=100, pattern=r"^[^\s]*$")
]
Goal = Annotated[str, shown("To", "Code of the location it goes to; only of send", max_length=100, pattern=r"^[^\s]*$")]
Days = Annotated[float, shown("Arrives within (days)", "Only of send: then it counts as stuck", gt=0, le=365)]


class NothingMoved(Exception):
    """Not one line could be booked; the table says why."""


@task(task_run_name="look-at-{reference}", **RETRIES)
def look(reference: str, wish: Wish, actor: str, reason: str) -> Request:
    return propose_transfer(runtime(), wish, actor=actor, reason=reason)


@task(task_run_name="transfer", **RETRIES)
def move(wish: Wish, request: Request, approved_by: str, key: str) -> TransferReport:
    return transfer(runtime(), wish, request, approved_by=approved_by, request_key=key)


@flow(name="transfer_stock", flow_run_name=run_name("transfer-{reference}"), log_prints=False)
def transfer_stock(
    step: What,
    reference: Reference,
    actor: Person,
    reason: Reason,
    lines: Lines = "",
    from_location: Place = "",
    to_location: Goal = "",
    arrives_within: Days = 3,
) -> None:
    """Units on the road belong to nobody's shelf, so no channel sells them. A line that cannot be booked is named and
    the others go; the same transfer again changes nothing."""
    key = request_key()
    expected_by = datetime.now(UTC) + timedelta(days=arrives_within)
    wish = read_wish(
        step,
        reference,
        lines,
        folder=settings().data_dir,
        from_location=from_location,
        to_location=to_location,
        expected_by=expected_by,
    )
    request = look(reference, wish, actor, reason)
    approved_by = approved(runtime(), request)
    done = move(wish, request, approved_by, key)
    rows: list[dict[str, Any]] = [
        {"transfer": done.reference, "booked": done.units, "damaged": done.damaged, "on the way": done.missing,
         "why": ""},
        *({"transfer": done.reference, "booked": "held back", **held} for held in done.held),
    ]  # fmt: skip
    table("transfer", rows, f"Transfer **{in_markdown(done.reference)}**: {step} ({in_markdown(actor)})")
    get_run_logger().info("%s: %s units booked, %s lines held back", reference, done.units, len(done.held))
    if done.held and not done.units and not done.repeated:
        raise NothingMoved(f"{len(done.held)} lines were held back, none was booked: see the table")
