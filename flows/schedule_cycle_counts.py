"""Which bins to count today, on blind sheets."""

from typing import Annotated, Literal

from prefect import flow, get_run_logger, task

from adapters.settings import settings
from flows.forms import DryRun, shown
from inventory.counting.counting_plan import PlanPolicy
from tasks.counting.schedule_counts import ScheduleReport, line_rows, schedule_counts
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Capacity = Annotated[
    int, shown("Lines a day", "That a location can count; what the 91 days ask for comes first", ge=1, le=100_000)
]
Capacities = Annotated[
    list[Annotated[str, shown("Location and lines", "As main=80", pattern=r"^[^=]{1,255}=[1-9][0-9]{0,4}$")]],
    shown("Lines a day of single locations", "As main=80; the others have the number above", max_length=200),
]
Days = Annotated[int, shown("Within (days)", "No bin waits longer for its next count", ge=7, le=731)]
Working = Annotated[list[Weekday], shown("Working days", "On which is counted", min_length=1, max_length=7)]
Skus = Annotated[
    list[Annotated[str, shown("SKU", "One of ours, or its alias", min_length=1, max_length=255)]],
    shown(
        "Only these SKUs",
        "To have something counted now, as when a unit was not found. Empty: the day's plan",
        max_length=1000,
    ),
]
Location = Annotated[str, shown("Only this location", "Its code; empty: all", max_length=255)]
Everything = Annotated[
    bool, shown("Everything", "A full count, whatever a day's capacity. Nothing should move meanwhile")
]
Cost = Annotated[
    float, shown("Cost of a unit where none is known", "In your currency; import_items sets real ones", ge=0, le=1e9)
]
By = Annotated[str, shown("Your name", "If you ask for a count out of turn", max_length=80)]


@task(task_run_name="schedule-counts", **RETRIES)
def schedule(
    policy: PlanPolicy, cost: float, skus: list[str], location: str, everything: bool, by: str, dry_run: bool
) -> ScheduleReport:
    return schedule_counts(
        runtime(), folder=settings().data_dir, policy=policy, assumed_cost=cost, skus=skus, location=location,
        everything=everything, by=by, dry_run=dry_run,
    )  # fmt: skip


@flow(name="schedule_cycle_counts", flow_run_name=run_name("schedule-counts"), log_prints=False)
def schedule_cycle_counts(
    lines_a_day: Capacity = 50,
    lines_by_location: Capacities = [],  # noqa: B006 - Prefect makes the form of it
    within_days: Days = 91,
    working_days: Working = ["mon", "tue", "wed", "thu", "fri"],  # noqa: B006
    skus: Skus = [],  # noqa: B006
    location: Location = "",
    everything: Everything = False,
    assumed_cost: Cost = 20.0,
    actor: By = "",
    dry_run: DryRun = False,
) -> None:
    """Put the bins of today on count sheets: those whose turn it is, and those that are most probably wrong and dear.
    The sheets are CSV files in the data folder and the table count-sheets; neither says how many there should be."""
    policy = PlanPolicy(
        within_days=within_days,
        capacity=lines_a_day,
        capacities={place: int(lines) for place, _, lines in (one.rpartition("=") for one in lines_by_location)},
        working={WEEK.index(one) for one in working_days},
    )
    report = schedule(policy, assumed_cost, skus, location.strip(), everything, actor.strip(), dry_run)
    said = f"{len(report.planned)} bins " + (
        "would be put on sheets" if dry_run else f"on {len(report.sheets)} new sheets"
    )
    late = ", ".join(f"{bins} at {place}" for place, bins in sorted(report.overdue.items()))
    said += f". Not counted in time: {late}" if late else ""
    get_run_logger().info("%s. Files: %s", said, ", ".join(report.files) or "none")
    table("count-plan", plan_rows(report), f"{said}. The strongest reason of each bin first")
    table("count-load", load_rows(report), "Lines a location: needed = a working day's even share of the promise")
    files = f"Files: {', '.join(report.files)}" if report.files else "No new files"
    table("count-sheets", line_rows(report.lines), f"All lines that wait for a count. {files}")


def plan_rows(report: ScheduleReport) -> list[dict[str, object]]:
    """Says nothing of quantities either: the counters may read it."""
    return [
        {
            "location": one.bin.location,
            "SKU": one.bin.sku,
            "class": one.abc,
            "why": ", ".join(one.causes),
            "picked by": "risk" if one.prompted else "turn",
            "score": round(one.score, 3),
            "last counted": f"{one.bin.since:%Y-%m-%d}" if one.bin.counts else "never",
            "by": f"{one.due:%Y-%m-%d}",
        }
        for one in report.planned
    ]


def load_rows(report: ScheduleReport) -> list[dict[str, object]]:
    return [
        {
            "location": one.location,
            "bins": one.bins,
            "planned": one.planned,
            "by turn": one.turns,
            "needed": one.needed,
            "capacity": one.capacity,
            "overdue": report.overdue.get(one.location, 0),
        }
        for one in report.loads
    ]
