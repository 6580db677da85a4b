"""Each listing's number, computed from the ledger when it is sent: lower, confirm, raise, read back."""

from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State

from adapters.wakeups import PUBLISH, Wakeups
from expectations import gate
from flows.forms import EverySeconds, Minutes, shown
from tasks.policies import RETRIES
from tasks.publish import PublishReport, publish
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import beats, run_name, work

SkuLimit = Annotated[int, shown("SKUs at a time", "How many SKUs one pass takes at most", ge=1, le=5000)]


@task(task_run_name="publish-for-{seconds:.0f}s", **RETRIES)
def publish_for(seconds: float, every_seconds: float, limit: int) -> list[PublishReport]:
    """Publish what is dirty for `seconds`: every `every_seconds`, and whenever somebody says that stock changed.
    Returns the passes that had something to do."""
    reports = []
    with Wakeups(runtime().engine, [PUBLISH]) as wakeups:
        for _ in beats(seconds, every_seconds, wakeups.wait):
            while (report := publish(runtime(), limit=limit)).claimed:
                reports.append(report)
                if report.finished < report.claimed:
                    break  # what is left comes due later
    return reports


@flow(name="publish_availability", flow_run_name=run_name("publish"), log_prints=False)
def publish_availability(minutes: Minutes = 0, every_seconds: EverySeconds = 0.5, limit: SkuLimit = 500) -> None:
    """Publish every listing whose stock changed. Safe to run beside itself: SKUs are claimed."""
    logger = get_run_logger()
    gate.load()

    def passes(seconds: float) -> State[list[PublishReport]]:
        return publish_for(seconds, every_seconds, limit, return_state=True)

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
