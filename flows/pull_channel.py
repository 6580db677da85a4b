"""Orders, cancellations and refunds of one channel since the watermark, into the ledger."""

from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State

from flows.forms import Actor, ChannelCode, EverySeconds, Minutes
from tasks.inherit import inherit_claims
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.selling.apply import AppliedEvents
from tasks.selling.listen import listening
from tasks.selling.noticed import NoticeReport
from tasks.selling.pull import PullReport, pull
from tasks.shift import beats, run_name, work


@task(task_run_name="pull-{channel}-for-{seconds:.0f}s", **RETRIES)
def pull_for(channel: str, seconds: float, every_seconds: float, approved_by: str) -> list[PullReport | NoticeReport]:
    """Pull again and again for `seconds`, and meanwhile read what the channel tells of; what brought something."""
    with listening(runtime(), channel) as listener:
        pulls = [
            pull(runtime(), channel, approved_by=approved_by) for _ in beats(seconds, every_seconds, listener.attend)
        ]
    bringing = [report for report in pulls if report.stored or report.applied.events] or pulls[-1:]
    return sorted([*bringing, *listener.reports], key=lambda report: report.started)


@flow(name="pull_channel", flow_run_name=run_name("pull-{channel}"), log_prints=False)
def pull_channel(
    channel: ChannelCode, minutes: Minutes = 0, every_seconds: EverySeconds = 60, approved_by: Actor = ""
) -> None:
    """Read what the channel sold since it was last read, and reserve it.

    Every event is stored before it is applied; rows that the gate finds unfit are held back and named, the
    rest is applied; the watermark moves only when everything up to it was read. Between two polls the orders
    that the channel tells of by webhook or queue are read at once.
    """
    pull_shift(channel, minutes, every_seconds, approved_by)


def pull_shift(channel: str, minutes: float, every_seconds: float, approved_by: str = "") -> None:
    """The body of the flow, for one channel; inside a flow run."""
    logger = get_run_logger()
    rows: list[dict[str, Any]] = []
    inherit_claims(runtime())

    def pulls(seconds: float) -> State[list[PullReport | NoticeReport]]:
        return pull_for(channel, seconds, every_seconds, approved_by, return_state=True)

    for reports in work(minutes, every_seconds, pulls):
        for report in reports:
            if isinstance(report, NoticeReport):
                logger.info(
                    "%s: %s notices, %s orders read, %s new", channel, report.claimed, report.read, report.stored
                )
                rows.append(_noticed_row(report))
            else:
                logger.info("%s: %s documents, %s new", channel, report.documents, report.stored)
                rows.append(_row(report))
        table(f"pull-{channel}", rows[-200:], f"What was read from **{channel}**, newest last")


def _row(report: PullReport) -> dict[str, Any]:
    return {
        "started": report.started.strftime("%Y-%m-%d %H:%M:%S"),
        "by": "poll",
        "changed since": report.since.strftime("%Y-%m-%d %H:%M:%S"),
        "notices": 0,
        "documents": report.documents,
        "new": report.stored,
        **_applied(report.applied, report.defects),
    }


def _noticed_row(report: NoticeReport) -> dict[str, Any]:
    return {
        "started": report.started.strftime("%Y-%m-%d %H:%M:%S"),
        "by": "notices" if not report.fault else f"notices wait: {report.fault}",
        "changed since": "",
        "notices": report.claimed,
        "documents": report.read,
        "new": report.stored,
        **_applied(report.applied, 0),
    }


def _applied(applied: AppliedEvents, defects: int) -> dict[str, Any]:
    return {
        "new orders": applied.new_orders,
        "units held": applied.units_held,
        "units oversold": applied.units_oversold,
        "reversals": applied.reversals,
        "held back": applied.quarantined + defects,
        "blocked": applied.blocked,
    }
