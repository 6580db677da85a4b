"""A person approves or rejects what was counted and is too much to be posted without one."""

from decimal import Decimal
from typing import Annotated, Literal

from prefect import flow, get_run_logger, task

from flows.forms import Person, Reason, shown
from inventory.counting.counting import CountPolicy
from inventory.outside_text import in_markdown
from tasks.counting.decide_counts import DecisionReport, decide_counts, waiting_rows
from tasks.counting.take_counts import judged_rows, outcomes
from tasks.permission import the_raci
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Numbers = Annotated[
    list[Annotated[int, shown("Number", "Of a count that waits", ge=1, le=2**62)]],
    shown("Numbers", "From the table counts-to-approve. Empty: only show what waits", max_length=1000),
]
Verb = Annotated[
    Literal["approve", "reject"],
    shown("Decision", "approve: the ledger takes the count over. reject: nothing is posted, and it is counted again"),
]
Cost = Annotated[
    float, shown("Cost of a unit where none is known", "In your currency; import_items sets real ones", ge=0, le=1e9)
]


class NotDecided(Exception):
    """Some of the counts could not be decided on; the others were."""


@task(task_run_name="approve-counts", **RETRIES)
def decide(numbers: list[int], approve: bool, actor: str, reason: str, policy: CountPolicy) -> DecisionReport:
    return decide_counts(
        runtime(), numbers, raci=the_raci(), approve=approve, actor=actor, reason=reason, policy=policy
    )


@flow(name="approve_counts", flow_run_name=run_name("approve-counts"), log_prints=False)
def approve_counts(
    actor: Person,
    reason: Reason,
    numbers: Numbers = [],  # noqa: B006 - Prefect makes the form of it
    decision: Verb = "reject",
    assumed_cost: Cost = 20.0,
) -> None:
    """Decide on variances outside the band. Name and reason are kept with the decision; whoever counted cannot approve.
    If the ledger has changed since, nothing is posted and the new difference is shown."""
    policy = CountPolicy(assumed_cost=Decimal(str(assumed_cost)))
    report = decide(numbers, decision == "approve", actor, reason, policy) if numbers else DecisionReport()
    get_run_logger().info("%s; refused %s", outcomes(report.decided), len(report.refused))
    table(
        "counts-decided",
        judged_rows(report.decided),
        f"{outcomes(report.decided)}, by {in_markdown(actor)}: {in_markdown(reason)}",
    )
    table("counts-to-approve", waiting_rows(runtime(), policy), "What still waits for a person")
    if report.refused:
        told = "; ".join(f"{number}: {why}" for number, why in sorted(report.refused.items())[:10])
        raise NotDecided(f"{len(report.decided)} decided, not decided: {told}")
