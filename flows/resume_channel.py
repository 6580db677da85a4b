"""A paused channel goes back on sale, after its orders were read and what it shows was compared."""

from typing import Annotated, Literal

from prefect import flow, get_run_logger, task

from expectations import gate
from flows.forms import ChannelCode, Person, Reason, shown
from inventory.outside_text import in_markdown
from inventory.people.operation_log import check_words
from inventory.people.raci import Action
from inventory.words import PauseOwner
from tasks.approve import approved, request_key
from tasks.outages.lift import LiftReport
from tasks.outages.lift import resume_channel as lift
from tasks.permission import Request
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Whose = Annotated[
    Literal["person", "platform"],
    shown(
        "Whose pause",
        "person: a person's or onhand's; the switch is turned back. platform: the vendor sells again by itself",
    ),
]


@task(task_run_name="resume-{channel}", **RETRIES)
def turn_on(channel: str, owner: str, actor: str, reason: str, approved_by: str, key: str) -> LiftReport:
    gate.load()
    return lift(
        runtime(),
        channel,
        by=PauseOwner(owner),
        actor=actor,
        reason=reason,
        request_key=key,
        approved_by=approved_by,
    )


@flow(name="resume_channel", flow_run_name=run_name("resume-{channel}"), log_prints=False)
def resume_channel(channel: ChannelCode, actor: Person, reason: Reason, owner: Whose = "person") -> None:
    """First its orders are read and every quantity is compared; what it would show and others may sell by now is set to
    zero; then the switch is turned. From there the publisher raises it, lowering others first."""
    key = request_key()
    check_words(name=actor, reason=reason)
    request = Request(Action.RESUME_CHANNEL, channel, f"put {channel} back on sale", actor, reason)
    approved_by = approved(runtime(), request)
    done = turn_on(channel, owner, actor, reason, approved_by, key)
    said = "is on sale again" if done.on_sale else f"stays off sale: paused by {', '.join(done.kept_by)}"
    rows = [
        {"channel": channel, "lifted": ", ".join(done.lifted), "orders read": done.orders, "set to zero": done.zeroed}
    ]
    table(f"resume-{channel}", rows, f"**{channel}** {said} ({in_markdown(actor)}: {in_markdown(reason)})")
    if done.differences:
        table(f"resume-{channel}-differences", done.differences, "What it showed, against what the ledger knew of")
    get_run_logger().info("%s %s", channel, said)
