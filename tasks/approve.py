"""Ask somebody else before a thing is done: the run is suspended until a person answers in the Prefect UI.

Suspended, not paused: a paused run keeps its process and dies with its worker; a suspended one is only a row at
the server, and begins anew, from the top, wherever a worker is when it is answered. So whatever a flow does before
it asks must be harmless when it is done again, and the request lies in the ledger under the run's id. When
nobody answers in time the server fails the run: nothing was done.
"""

from datetime import timedelta
from typing import Literal

from prefect import get_run_logger, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import Field, ValidationError

from adapters.settings import settings
from inventory.outside_text import in_markdown
from inventory.people.approvals import Approval, NotApproved
from inventory.words import ApprovalStatus
from tasks.permission import Request, answer, ask_if_needed, the_raci, who_approved
from tasks.runtime import Runtime

MOST_TRIES = 20
"""Answers that may fail to count before the request is given up."""


class Answer(RunInput):
    """The form that the UI shows when the run is resumed."""

    decision: Literal["refuse", "approve"] = Field(
        json_schema_extra={"title": "Decision", "description": "refuse: nothing is done", "position": 0}
    )
    your_name: str = Field(
        min_length=1,
        max_length=80,
        pattern=r"\S",
        json_schema_extra={"title": "Your name", "description": "Not who asked; kept with the change", "position": 1},
    )
    note: str = Field(
        default="", max_length=500, json_schema_extra={"title": "Note", "description": "Kept with it", "position": 2}
    )


def request_key() -> str:
    """Names the request: the run's id, the same however often the run begins. Raises RuntimeError outside of a run."""
    run = flow_run.get_id()
    if not run:
        raise RuntimeError("only a flow run can be asked for an approval")
    return str(run)


def approved(runtime: Runtime, request: Request) -> str:
    """Call it in a flow before anything is done: the approver's name, empty where the actor may do it alone.

    Suspends the run as long as somebody has to decide; then the flow begins again from the top and comes here once
    more. Raises NotAllowed and NotApproved; nothing has been done then.
    """
    key = request_key()
    raci = the_raci()
    approval = ask_if_needed(runtime, raci, request, key, within=timedelta(hours=settings().approval_hours))
    logger = get_run_logger()
    while approval is not None and approval.status is ApprovalStatus.ASKED:
        if approval.tries >= MOST_TRIES:
            raise NotApproved(f"{MOST_TRIES} answers did not count. Nothing was changed")
        logger.warning("%s. Waits until %s UTC", approval.message, f"{approval.expires_at:%Y-%m-%d %H:%M}")
        given = _ask_in_the_ui(approval, (approval.expires_at - runtime.now()).total_seconds())
        approval, why_not = answer(
            runtime,
            raci,
            key,
            approve=given is not None and given.decision == "approve",
            by="" if given is None else given.your_name,
            note="" if given is None else given.note,
        )
        if why_not:
            logger.warning("the answer did not count: %s", why_not)
    return who_approved(approval)


def _ask_in_the_ui(approval: Approval, seconds: float) -> Answer | None:
    """Suspends; where the run was resumed already, what was answered (None: nothing). One key a try, for the server
    asks under one key only once."""
    said = f"**{in_markdown(approval.message)}**\n\nAsked by {in_markdown(approval.actor)}."
    if approval.note:
        said += f"\n\nThe answer before did not count: {approval.note}."
    form = Answer.with_initial_data(description=said)
    try:
        return suspend_flow_run(wait_for_input=form, timeout=max(1, int(seconds)), key=f"approval-{approval.tries}")
    except ValidationError:
        return None
