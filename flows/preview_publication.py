"""What a channel would be sent if it were live now."""

from prefect import flow, get_run_logger, task

from flows.forms import AnyChannel
from inventory.words import ChannelMode
from tasks.audit import channel_codes
from tasks.policies import RETRIES
from tasks.preview import Preview, preview
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name


@task(task_run_name="preview-{channel}", **RETRIES)
def preview_one(channel: str) -> Preview:
    return preview(runtime(), channel)


@flow(name="preview_publication", flow_run_name=run_name("preview-{channel}"), log_prints=False)
def preview_publication(channel: AnyChannel = "") -> None:
    """Compute with the publisher's own plan and gate what each listing would be sent, and send nothing. Without a
    channel: every channel that is in dry run."""
    logger = get_run_logger()
    for code in channel_codes(runtime(), channel, mode="" if channel else ChannelMode.DRY_RUN):
        result = preview_one(code)
        counts = ", ".join(f"{times} {what}" for what, times in sorted(result.counts.items())) or "no listings"
        logger.info("%s (%s): %s", code, result.mode, counts)
        about = f"What **{code}** would be sent if it were live now: {counts}. Gate: {result.verdict}"
        table(f"preview-{code}", result.rows, about)
