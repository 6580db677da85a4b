"""A channel from shadow to dry run to live, or back."""

from typing import Annotated, Literal

from prefect import flow, get_run_logger, task

from flows.forms import ChannelCode, Person, Reason, shown
from inventory.onboarding.channel_modes import ModeChange
from tasks.onboarding.change_mode import as_rows, change_mode
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Mode = Annotated[
    Literal["shadow", "dry_run", "live"],
    shown("Mode", "shadow: read only. dry_run: computes and shows what it would send, sends nothing. live: sends"),
]
AcceptUnmapped = Annotated[
    bool,
    shown(
        "Listings without a SKU are not ours",
        "On: go live although the channel lists things that are mapped to no SKU; they are left alone",
    ),
]


class NotReady(Exception):
    """The channel cannot go live yet; the artifact says what is missing."""


@task(task_run_name="set-{channel}-{mode}", **RETRIES)
def change(channel: str, mode: str, actor: str, reason: str, accept_unmapped: bool) -> ModeChange:
    return change_mode(runtime(), channel, mode, actor=actor, reason=reason, accept_unmapped=accept_unmapped)


@flow(name="set_channel_mode", flow_run_name=run_name("set-{channel}-{mode}"), log_prints=False)
def set_channel_mode(
    channel: ChannelCode, mode: Mode, actor: Person, reason: Reason, accept_unmapped: AcceptUnmapped = False
) -> None:
    """Set what onhand may do to a channel. Before live, everything that must hold is checked and shown as a table;
    if something is missing, nothing is changed and the run fails. A restart keeps what was set here."""
    result = change(channel, mode, actor, reason, accept_unmapped)
    if result.checks:
        what = "can go live" if not result.missing else "cannot go live yet"
        table(f"mode-{channel}", as_rows(result), f"**{channel}** {what}")
    if result.missing:
        raise NotReady(f"{channel} stays in {result.mode}: {', '.join(check.what for check in result.missing)}")
    get_run_logger().info("%s: %s → %s", channel, result.before, result.mode)
