"""Which listing of a channel sells which SKU."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from adapters.settings import settings
from flows.forms import Actor, ChannelCode, DryRun, csv_field, shown
from tasks.onboarding.map_listings import COLUMNS, OPTIONAL, MapReport, map_listings
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Listings = Annotated[
    str,
    csv_field(
        "Listings (CSV)",
        ",".join((*COLUMNS, *OPTIONAL)),
        ". Empty: what the channel's own SKUs leave no doubt about, one unit a listing",
        needed=False,
    ),
]
Remap = Annotated[
    bool, shown("Change mappings", "On: a row may give a listing that is mapped another SKU or pack size")
]
Drop = Annotated[
    bool,
    shown("Drop", "On: forget listings that the channel no longer has, or sends from its own warehouse"),
]


class Blocked(Exception):
    """The gate blocks the whole file; the artifact and the message say why."""


@task(task_run_name="map-{channel}", **RETRIES)
def map_one(channel: str, csv: str, dry_run: bool, remap: bool, drop: bool, approved_by: str) -> MapReport:
    return map_listings(
        runtime(),
        channel,
        source=csv,
        folder=settings().data_dir,
        dry_run=dry_run,
        remap=remap,
        drop=drop,
        approved_by=approved_by,
    )


@flow(name="import_listings", flow_run_name=run_name("map-{channel}"), log_prints=False)
def import_listings(
    channel: ChannelCode,
    csv: Listings = "",
    dry_run: DryRun = True,
    remap: Remap = False,
    drop: Drop = False,
    approved_by: Actor = "",
) -> None:
    """Read the channel's catalogue and map its listings to SKUs. Rows that cannot be right are held back and named
    with their row number, the others go on."""
    result = map_one(channel, csv, dry_run, remap, drop, approved_by)
    said = (
        f"{result.mapped} {'would be ' if dry_run else ''}mapped, {result.same} as they were, "
        f"{result.dropped} dropped, {result.others} rows about other channels"
    )
    get_run_logger().info("%s: %s", channel, said)
    gate = f". Gate: {result.verdict.summary()}" if result.verdict else ""
    table(f"listings-{channel}", result.rows, f"Listings of **{channel}**: {said}{gate}")
    if result.blocked:
        raise Blocked(f"nothing was mapped: {result.verdict.summary() if result.verdict else ''}")
