"""A channel is taken off sale by its fastest switch."""

from typing import Annotated, Literal

from prefect import flow, get_run_logger, task

from flows.forms import ChannelCode, Person, Reason, shown
from inventory.outside_text import in_markdown
from inventory.people.operation_log import check_words
from inventory.people.raci import Action
from inventory.words import PauseOwner
from tasks.approve import approved, request_key
from tasks.outages.pause import PauseReport
from tasks.outages.pause import pause_channel as pause
from tasks.permission import Request
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Whose = Annotated[
    Literal["person", "platform"],
    shown(
        "Whose pause",
        "person: yours, the switch is turned now. platform: the vendor took the channel off sale; it is only noted",
    ),
]


@task(task_run_name="pause-{channel}", **RETRIES)
def turn_off(channel: str, owner: str, actor: str, reason: str, approved_by: str, key: str) -> PauseReport:
    return pause(
        runtime(),
        channel,
        owner=PauseOwner(owner),
        actor=actor,
        reason=reason,
        request_key=key,
        approved_by=approved_by,
    )


@flow(name="pause_channel", flow_run_name=run_name("pause-{channel}"), log_prints=False)
def pause_channel(channel: ChannelCode, actor: Person, reason: Reason, owner: Whose = "person") -> None:
    """Nothing is sold there until it is resumed: onhand does not lift a person's pause by itself. Its units go to the
    other channels when it is known to sell nothing and its orders have been read."""
    key = request_key()
    check_words(name=actor, reason=reason)
    request = Request(Action.PAUSE_CHANNEL, channel, f"take {channel} off sale", actor, reason)
    approved_by = approved(runtime(), request)
    done = turn_off(channel, owner, actor, reason, approved_by, key)
    row = {
        "channel": done.channel,
        "whose": done.owner,
        "status": done.status,
        "sells nothing for certain": "yes" if done.confirmed else "not yet",
        "listings": done.listings,
        "units still shown": done.still_shown,
        "may still be sold": done.exposure,
    }
    table(f"pause-{channel}", [row], f"**{channel}** is off sale: {in_markdown(reason)} ({in_markdown(actor)})")
    get_run_logger().info("%s: %s, %s may still be sold", channel, done.status, done.exposure)
