"""A count sheet that comes back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from prefect import flow, get_run_logger, task

from adapters.count_csv import OPTIONAL, REQUIRED
from adapters.settings import settings
from flows.forms import Actor, Person, csv_field, shown
from inventory.counting.counting import CountPolicy
from tasks.counting.decide_counts import waiting_rows
from tasks.counting.take_counts import CountsReport, accuracy_rows, judged_rows, outcomes, take_counts
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Sheet = Annotated[
    str,
    csv_field(
        "Counts (CSV)", ",".join(REQUIRED), f". If wanted also {', '.join(OPTIONAL)}. Rows without a quantity wait"
    ),
]
Ago = Annotated[
    int,
    shown(
        "Counted (minutes ago)",
        "Where the rows have no counted_at: how long ago the shelf was looked at",
        ge=0,
        le=10_080,
    ),
]
Per = Annotated[
    float, shown("Second counter above (%)", "A larger difference is counted again by somebody else", ge=0, le=100)
]
Band = Annotated[float, shown("Posted up to (%)", "Of what the ledger had. Above it a person approves", ge=0, le=100)]
Worth = Annotated[
    float, shown("Posted up to (money)", "And up to this value. Above it a person approves", ge=0, le=1e9)
]
Cost = Annotated[
    float, shown("Cost of a unit where none is known", "In your currency; import_items sets real ones", ge=0, le=1e9)
]


class Blocked(Exception):
    """The gate blocks the whole sheet; nothing was recorded."""


@task(task_run_name="record-counts", **RETRIES)
def take(csv: str, counter: str, counted_at: datetime, policy: CountPolicy, approved_by: str) -> CountsReport:
    return take_counts(
        runtime(), csv, folder=settings().data_dir, counter=counter, policy=policy, counted_at=counted_at,
        approved_by=approved_by,
    )  # fmt: skip


@flow(name="record_counts", flow_run_name=run_name("record-counts"), log_prints=False)
def record_counts(
    csv: Sheet,
    counter: Person,
    minutes_ago: Ago = 0,
    recount_above: Per = 5.0,
    band_share: Band = 20.0,
    band_value: Worth = 100.0,
    assumed_cost: Cost = 20.0,
    approved_by: Actor = "",
) -> None:
    """Hold counts against the ledger as it was when they were made. Small differences are posted, larger ones go to a
    second counter until two agree, and what is then outside the band waits for approve_counts. The same sheet again
    changes nothing."""
    policy = CountPolicy(
        recount_share=recount_above / 100,
        band_share=band_share / 100,
        band_value=Decimal(str(band_value)),
        assumed_cost=Decimal(str(assumed_cost)),
    )
    report = take(csv, counter, datetime.now(UTC) - timedelta(minutes=minutes_ago), policy, approved_by)
    said = f"{report.filled} lines recorded ({outcomes(report.judged)}), {report.repeated} recorded before, "
    said += f"{report.uncounted} without a count, {len(report.held)} held back"
    get_run_logger().info(said)
    gate = f". Gate: {report.verdict.summary()}" if report.verdict else ""
    files = f". New sheets for another counter: {', '.join(report.files)}" if report.files else ""
    table("counts", judged_rows(report.judged), said + files)
    table("counts-held-back", report.held, f"Rows that were not recorded, each with its reason{gate}")
    table("count-accuracy", accuracy_rows(report.accuracy), "Of all that was counted in the last 91 days")
    table("counts-to-approve", waiting_rows(runtime(), policy), "What waits for approve_counts")
    if report.blocked:
        raise Blocked(f"nothing was recorded: {report.verdict.summary() if report.verdict else ''}")
