"""For the time of a promotion chosen SKUs are kept shorter on chosen channels."""

from datetime import UTC, datetime
from typing import Annotated

from prefect import flow, get_run_logger, task

from flows.forms import ChannelCode, Person, Reason, Skus, shown
from inventory.outside_text import in_markdown
from inventory.publishing.promotions import Limits, Window
from tasks.approve import approved, request_key
from tasks.permission import Request
from tasks.policies import RETRIES
from tasks.publishing.promote import Promotion, guard, open_guards, promotion, request_for
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Name = Annotated[
    str,
    shown("Promotion", "Its name; the same name again replaces what it says of the same SKUs", max_length=80,
          min_length=1, pattern=r"\S"),
]  # fmt: skip
Channels = Annotated[list[ChannelCode], shown("Channels", "Codes; empty: all, together", max_length=100)]
Begin = Annotated[datetime, shown("From", "Without an offset: UTC")]
End = Annotated[datetime, shown("Until", "Not included; without an offset: UTC. At most 92 days after From")]
Cap = Annotated[int, shown("Show at most", "Listing units on each of these channels; -1: no cap", ge=-1, le=1_000_000)]
Reserve = Annotated[
    int,
    shown(
        "Keep back (pieces)",
        "So many of what is sellable are not for these channels. To keep all of it for one channel, keep it back from "
        "the others",
        ge=0,
        le=1_000_000,
    ),
]
NoRaises = Annotated[bool, shown("No raises", "On: what these channels show only falls")]
EndNow = Annotated[bool, shown("End it now", "On: the promotion of this name is over, whatever else the form says")]


@task(task_run_name="guard", **RETRIES)
def set_guard(wanted: Promotion, request: Request, approved_by: str, key: str) -> int:
    return guard(runtime(), wanted, request, approved_by=approved_by, request_key=key)


@flow(name="promo_guard", flow_run_name=run_name("promo-{name}"), log_prints=False)
def promo_guard(
    name: Name,
    actor: Person,
    reason: Reason,
    begin: Begin,
    end: End,
    skus: Skus = [],  # noqa: B006
    channels: Channels = [],  # noqa: B006
    cap: Cap = -1,
    reserve: Reserve = 0,
    no_raises: NoRaises = False,
    end_now: EndNow = False,
) -> None:
    """Limits that hold by themselves from its begin to its end, and are gone after it. They only take away: what the
    policy would show is never raised by them."""
    key = request_key()
    wanted = promotion(
        runtime(),
        name=name,
        skus=skus,
        channels=channels,
        window=None if end_now else Window(_aware(begin), _aware(end)),
        limits=Limits(None if cap < 0 else cap, reserve, no_raises),
    )
    request = request_for(wanted, actor=actor, reason=reason)
    count = set_guard(wanted, request, approved(runtime(), request), key)
    table(
        "promotions",
        open_guards(runtime()),
        f"**{in_markdown(wanted.name)}**: {count} guards {'ended' if end_now else 'set'}",
    )
    get_run_logger().info("%s: %s guards", wanted.name, count)


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
