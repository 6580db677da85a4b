"""Ledger against channel quantities: class each difference, heal what is safe, open the rest."""

from datetime import timedelta
from typing import Annotated, Any

from prefect import flow, get_run_logger, task

from flows.forms import Channels, shown
from inventory.reconciliation import Reconciliation
from tasks.compare import as_rows, compare_channel
from tasks.policies import RETRIES
from tasks.pull import pull
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

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
Heal = Annotated[bool, shown("Heal", "Publish anew what differs; off: only look and report")]


@task(task_run_name="pull-{channel}-before-comparing", **RETRIES)
def pull_first(channel: str) -> None:
    pull(runtime(), channel)


@task(task_run_name="compare-{channel}", **RETRIES)
def compare_one(channel: str, stale_after: float, heal: bool, skus: list[str]) -> Reconciliation:
    return compare_channel(runtime(), channel, stale_after=timedelta(minutes=stale_after), heal=heal, skus=skus)


@flow(name="reconcile", flow_run_name=run_name("reconcile-{channels}"), log_prints=False)
def reconcile(channels: Channels, skus: Skus = [], heal: Heal = True, stale_after: StaleAfter = 30) -> None:  # noqa: B006
    """Pull each channel, read every quantity it shows, and compare it with what the ledger knows of."""
    logger = get_run_logger()
    summary: list[dict[str, Any]] = []
    differing: list[dict[str, object]] = []
    for channel in channels:
        pull_first(channel)
        result = compare_one(channel, stale_after, heal, skus)
        logger.info("%s: %s compared, %s differ", channel, result.compared, len(result.differing))
        summary.append(_row(result))
        differing += as_rows(result.differing)
    table("reconciliation", summary, "Ledger against channel quantities")
    table("discrepancies", differing, "Listings whose live number is not the one the ledger knows of")


def _row(result: Reconciliation) -> dict[str, Any]:
    return {
        "channel": result.channel,
        "listings": result.compared,
        "equal": result.equal,
        "differ": len(result.differing),
        "unknown to the channel": len(result.missing),
        "healed since last time": result.healed,
    }
