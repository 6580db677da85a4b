"""A channel's own catalogue against the ledger's listings."""

from typing import Any

from prefect import flow, get_run_logger, task

from flows.forms import AnyChannel
from tasks.onboarding.audit import AuditReport, as_rows, audit_channel, channel_codes
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name


@task(task_run_name="audit-{channel}", **RETRIES)
def audit_one(channel: str) -> AuditReport:
    return audit_channel(runtime(), channel)


@flow(name="audit_catalogue", flow_run_name=run_name("audit-{channel}"), log_prints=False)
def audit_catalogue(channel: AnyChannel = "") -> None:
    """Read everything that the channel lists and say what would make its numbers meaningless, and what to do.
    Blockers keep it from going live and open an incident. Nothing is written to the channel."""
    logger = get_run_logger()
    rows: list[dict[str, Any]] = []
    said = []
    for code in channel_codes(runtime(), channel):
        result = audit_one(code)
        counts = result.counts
        said.append(
            f"**{code}**: {counts.entries} listed, {counts.blockers} blockers, {counts.warnings} warnings, "
            f"{counts.infos} notes, {counts.resolved} resolved since"
        )
        logger.info(said[-1].replace("*", ""))
        rows += as_rows(code, result.findings)
    table(f"catalogue-{channel or 'all'}", rows, "; ".join(said) or "There are no channels")
