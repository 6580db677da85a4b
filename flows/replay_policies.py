"""The seller's own orders under each policy, lag and outage: what would have been oversold, and what hidden."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Annotated, Literal

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact

from adapters.settings import settings
from flows.forms import shown
from tasks.replaying.replay_orders import Replay, Request, as_json, replay_orders
from tasks.replaying.replay_picture import frontier
from tasks.replaying.replay_report import about, table_rows
from tasks.report import table
from tasks.shift import run_name

Orders = Annotated[
    str,
    shown(
        "Orders (CSV)",
        "Path of a .csv or .csv.gz file on the worker's machine (a relative one counts from the data folder); "
        "columns in docs/orders_csv.md",
        min_length=1,
        max_length=500,
    ),
]
Policies = Annotated[
    str,
    shown(
        "Policies",
        "Separated by commas: strict, calibrated:0.001, mirror, fixed:5, percentage:90; +cap:50 or +floor:2 behind one",
        min_length=1,
        max_length=500,
    ),
]
Lags = Annotated[
    list[Annotated[float, shown("Seconds", "From an order to the others' numbers", ge=0, le=604_800)]],
    shown("Lags (seconds)", "From an order on one channel to the number on the others", min_length=1, max_length=10),
]
Outages = Annotated[
    list[Annotated[str, shown("Pattern", "none, or channel=2,weekday=thu,from=10:00,to=16:00", max_length=500)]],
    shown("Outages", "Patterns to compare: none, or channel=2,weekday=thu,from=10:00,to=16:00", max_length=10),
]
Channels = Annotated[int, shown("Channels", "The orders are dealt out to so many", ge=1, le=20)]
Split = Annotated[
    Literal["customer", "order"], shown("Dealt out by", "A customer stays on one channel, or each order goes its way")
]
Cover = Annotated[float, shown("Cover (weeks)", "Each Monday stock is topped up to so much demand", gt=0, le=520)]
Units = Annotated[
    Literal["line", "quantity"], shown("Count", "Each order line one unit, or the real quantities", max_length=20)
]
Money = Annotated[float, shown("Cost of an oversold unit", "In your currency", ge=0, le=1e9)]
Margin = Annotated[float, shown("Margin of a delivered unit", "In your currency", ge=0, le=1e9)]


@task(task_run_name="replay")
def replay(request: Request) -> Replay:
    logger = get_run_logger()
    said: set[tuple[str, int]] = set()

    def say(what: str, share: float) -> None:
        step = (what, int(share * 4))
        if step not in said:
            said.add(step)
            logger.info("%s: %.0f %%", what, share * 100)

    return replay_orders(request, say)


@flow(name="replay_policies", flow_run_name=run_name("replay-policies"), log_prints=False)
def replay_policies(
    orders: Orders,
    policies: Policies = "mirror,strict,calibrated:0.001",
    lags: Lags = [60.0],  # noqa: B006 - Prefect makes the form of it
    outages: Outages = ["none"],  # noqa: B006
    channels: Channels = 4,
    split: Split = "customer",
    cover_weeks: Cover = 2.0,
    units: Units = "line",
    oversell_cost: Money = 0.0,
    margin: Margin = 0.0,
) -> None:
    """Replay an order history against each policy, lag and outage pattern. Leaves the table, the frontier (oversold
    against fill) as a picture, and the figures as JSON. It reads the file and nothing else; no channel is touched."""
    path = Path(orders) if Path(orders).is_absolute() else settings().data_dir / orders
    found = replay(
        Request(
            path, policies, lags, outages, channels, split=split, cover_weeks=cover_weeks, units=units,
            oversell_cost=oversell_cost, margin=margin,
        )
    )  # fmt: skip
    notes = about(found)
    for one in notes:
        get_run_logger().info(one)
    table("replay-policies", table_rows(found), "\n".join(f"- {one}" for one in notes))
    picture = b64encode(frontier(found.rows).encode()).decode()
    create_image_artifact(
        f"data:image/svg+xml;base64,{picture}", key="replay-frontier", description="Oversold order lines against fill"
    )
    create_markdown_artifact(
        f"```json\n{json.dumps(as_json(found), indent=2)}\n```", key="replay-figures", description="The same as JSON"
    )
