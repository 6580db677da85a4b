"""The ledger against all that it can be held against: class each difference, heal what is safe, open the rest."""

from datetime import timedelta
from typing import Annotated, Literal

from prefect import flow, get_run_logger, task

from adapters.http import ChannelFault
from adapters.settings import settings
from flows.forms import Actor, Channels, csv_field, shown
from inventory.reconciling.listing_scopes import ALL, Range
from inventory.reconciling.reconciliation import Reconciliation
from tasks.fan_out import run_pieces
from tasks.policies import RETRIES
from tasks.reconciling.compare import Scope, compare_channel
from tasks.reconciling.compare_ledger import LedgerCompared, compare_ledger
from tasks.reconciling.compare_orders import OrdersCompared, compare_orders
from tasks.reconciling.compare_warehouse import WarehouseCompared, compare_warehouse
from tasks.reconciling.discrepancy_report import report_discrepancies
from tasks.reconciling.reconcile_report import Incomplete, Reconciled, moment, week
from tasks.reconciling.wide_reconciliation import end_blocks, joined, pieces
from tasks.report import table
from tasks.runtime import runtime
from tasks.selling.pull import pull
from tasks.shift import run_name

Scoped = Annotated[
    Literal["full", "hot", "sample", "orders", "warehouse", "ledger", "everything"],
    shown(
        "Compare",
        "Quantities of all listings (full), of those that moved, are low or sell best (hot), or of a weighted sample; "
        "orders; a warehouse's numbers; the ledger with itself; or everything",
    ),
]
Sku = Annotated[str, shown("SKU", "As in the ledger", min_length=1, max_length=200)]
Skus = Annotated[list[Sku], shown("SKUs", "Only these SKUs; empty: all listings", max_length=1000)]
StaleAfter = Annotated[
    float,
    shown(
        "Stale after (minutes)",
        "Nothing is healed when the channel's orders were read longer ago than this",
        gt=0,
        le=24 * 60,
    ),
]
Heal = Annotated[bool, shown("Heal", "Publish anew what differs, apply what was missed; off: only look and report")]
Size = Annotated[int, shown("Size of the sample", "Listings of each channel", ge=1, le=100_000)]
Seed = Annotated[int, shown("Seed of the sample", "The same seed draws the same; 0: the week's own", ge=0, le=10**9)]
Days = Annotated[float, shown("Days of orders", "How far back orders are read once more", gt=0, le=60)]
Snapshot = Annotated[
    str, csv_field("Warehouse's numbers (CSV)", "sku,location,quantity or with a fourth, state", needed=False)
]
TakenAt = Annotated[
    str,
    shown(
        "Taken at",
        "When the warehouse's numbers were true, as 2026-11-21T06:00+01:00; without an offset UTC; empty: just now, "
        "and of a file its own time",
        max_length=40,
    ),
]
Complete = Annotated[
    bool, shown("Complete", "The table lists all that lies at its locations: what is not in it counts as none")
]

SoldLeft = Annotated[
    bool,
    shown(
        "Sold units may have left",
        "On: nobody tells the ledger of shipments, so a warehouse that has fewer by no more than is sold agrees. Off, "
        "once post_shipments or the channels' own orders tell it of each: then fewer is a difference",
    ),
]
Runs = Annotated[
    int,
    shown(
        "Runs side by side",
        "1: one channel after the other, here. More: each channel, a large one in ranges of its listings, as a run of "
        "its own on the work pool, so many at a time; this one joins what they tell. For quantities and orders",
        ge=1,
        le=64,
    ),
]
FirstListing = Annotated[int, shown("From listing", "The ledger's number of a listing; 0: the first", ge=0, le=2**53)]
LastListing = Annotated[int, shown("To listing", "The ledger's number of a listing; 0: the last", ge=0, le=2**53)]
LONGEST_S = 6 * 3600.0
"""A piece that takes longer is no look any more."""


@task(task_run_name="pull-{channel}-before-comparing", **RETRIES)
def pull_first(channel: str) -> None:
    pull(runtime(), channel)


@task(task_run_name="compare-{channel}", **RETRIES)
def compare_one(
    channel: str,
    stale_after: float,
    heal: bool,
    skus: list[str],
    what: str,
    size: int,
    seed: int,
    approved_by: str,
    within: tuple[int, int],
) -> Reconciliation:
    scope = Scope(what, skus, seed or week(runtime().now()), size, Range(within[0], within[1] or ALL.last))
    late = timedelta(minutes=stale_after)
    return compare_channel(runtime(), channel, stale_after=late, heal=heal, scope=scope, approved_by=approved_by)


@task(task_run_name="compare-orders-of-{channel}", **RETRIES)
def compare_its_orders(channel: str, days: float, heal: bool) -> OrdersCompared:
    return compare_orders(runtime(), channel, window=timedelta(days=days), heal=heal)


@task(task_run_name="compare-warehouse", **RETRIES)
def compare_counts(
    snapshot: str, taken_at: str, complete: bool, sold_left: bool, approved_by: str
) -> WarehouseCompared:
    folder = settings().data_dir
    at = moment(snapshot, taken_at, folder, now=runtime().now())
    return compare_warehouse(
        runtime(),
        snapshot,
        folder=folder,
        taken_at=at,
        complete=complete,
        sold_may_have_left=sold_left,
        approved_by=approved_by,
    )


@task(task_run_name="compare-ledger-with-itself", **RETRIES)
def compare_itself(heal: bool) -> LedgerCompared:
    return compare_ledger(runtime(), heal=heal)


def reconcile_wide(done: Reconciled, channels: list[str], runs: int, *, by_listings: bool) -> None:
    """Divided into runs of this deployment. Raises Incomplete when a part failed; the others count."""
    parts = pieces(runtime(), channels, runs, by_listings=by_listings)
    ended = run_pieces(parts, at_once=runs, most_s=LONGEST_S)
    end_blocks(runtime(), ended)
    tables, faults = joined(ended)
    done.discrepancies = report_discrepancies(runtime())
    for key, rows, words in [*tables, *done.tables()]:
        table(key, rows, words)
    if faults:
        raise Incomplete(faults)


@flow(name="reconcile", flow_run_name=run_name("reconcile-{channels}"), log_prints=False)
def reconcile(
    channels: Channels,
    scope: Scoped = "full",
    skus: Skus = [],  # noqa: B006
    heal: Heal = True,
    stale_after: StaleAfter = 30,
    size: Size = 500,
    seed: Seed = 0,
    days: Days = 2,
    snapshot: Snapshot = "",
    taken_at: TakenAt = "",
    complete: Complete = False,
    sold_left: SoldLeft = True,
    approved_by: Actor = "",
    runs: Runs = 1,
    first_listing: FirstListing = 0,
    last_listing: LastListing = 0,
) -> None:
    """Hold the ledger against what the channels show and say, against a warehouse, and against itself. What differs is
    classed and opened; what is safe is healed; what stays open grows more severe with age."""
    done = Reconciled(get_run_logger())
    if runs > 1 and scope in ("full", "hot", "sample", "orders"):
        reconcile_wide(done, channels, runs, by_listings=scope == "full" and not skus)
        return
    for channel in channels if scope not in ("warehouse", "ledger") else ():
        try:
            pull_first(channel)
        except ChannelFault as fault:
            # Its orders are not known, so its differences are stale; that is told, and the others go on.
            done.failed(channel, fault)
        try:
            if scope != "orders":
                listings = "full" if scope == "everything" else scope
                within = (first_listing, last_listing)
                done.quantities.append(
                    compare_one(channel, stale_after, heal, skus, listings, size, seed, approved_by, within)
                )
            if scope in ("orders", "everything"):
                done.orders.append(compare_its_orders(channel, days, heal))
        except ChannelFault as fault:
            done.failed(channel, fault)
    if scope == "warehouse" or (scope == "everything" and snapshot):
        try:
            done.warehouse = compare_counts(snapshot, taken_at, complete, sold_left, approved_by)
        except ValueError as fault:
            done.failed("warehouse", fault)
    if scope in ("ledger", "everything"):
        done.ledger = compare_itself(heal)
    done.discrepancies = report_discrepancies(runtime())
    for key, rows, words in done.tables():
        table(key, rows, words)
    if done.faults:
        raise Incomplete(done.faults)
