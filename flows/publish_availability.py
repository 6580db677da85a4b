"""Each listing's number, computed from the ledger when it is sent: lower, confirm, raise, read back."""

from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State

from adapters.shard_locks import MOST_SHARDS
from expectations import gate
from flows.forms import EverySeconds, Minutes, shown
from tasks.inherit import inherit_claims
from tasks.policies import RETRIES
from tasks.publishing.publish import PublishReport
from tasks.publishing.publishers import publish_together
from tasks.publishing.shards import sharing
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name, work

SkuLimit = Annotated[int, shown("SKUs at a time", "How many SKUs one pass takes at most", ge=1, le=5000)]
AtOnce = Annotated[int, shown("Passes at once", "How many passes work side by side, each on its own SKUs", ge=1, le=32)]
Shards = Annotated[
    int,
    shown(
        "Shards",
        "1: this run takes all SKUs. More: runs side by side divide so many shards of the SKUs among themselves; give "
        "all of them the same number, twice as many as runs or more",
        ge=1,
        le=MOST_SHARDS,
    ),
]


@task(task_run_name="publish-for-{seconds:.0f}s", **RETRIES)
def publish_for(seconds: float, every_seconds: float, limit: int, at_once: int) -> list[PublishReport]:
    return publish_together(runtime(), seconds, every_seconds, limit=limit, at_once=at_once)


@flow(name="publish_availability", flow_run_name=run_name("publish"), log_prints=False)
def publish_availability(
    minutes: Minutes = 0,
    every_seconds: EverySeconds = 0.5,
    limit: SkuLimit = 100,
    at_once: AtOnce = 3,
    shards: Shards = 1,
) -> None:
    """Publish every listing whose stock changed. Safe to run beside itself: SKUs are claimed."""
    logger = get_run_logger()
    gate.load()

    def passes(seconds: float) -> State[list[PublishReport]]:
        return publish_for(seconds, every_seconds, limit, at_once, return_state=True)

    inherit_claims(runtime())
    with sharing(runtime(), shards):
        for reports in work(minutes, every_seconds, passes):
            rows: list[dict[str, Any]] = [row for report in reports for row in report.rows]
            for report in reports:
                if report.unread:
                    logger.warning("cannot be read now: %s", ", ".join(report.unread))
            if rows:
                logger.info(
                    "sent %s, confirmed %s, in doubt %s, held back %s",
                    sum(report.sent for report in reports),
                    sum(report.confirmed for report in reports),
                    sum(report.unconfirmed for report in reports),
                    sum(report.held for report in reports),
                )
                table("published", rows, "The numbers sent in this slice, and the answers")
