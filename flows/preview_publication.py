"""What a channel would be sent if it were live now, or what another policy would change."""

from typing import Annotated, Any

from prefect import flow, get_run_logger, task

from flows.forms import AnyChannel, shown
from inventory.words import ChannelMode
from tasks.onboarding.audit import channel_codes
from tasks.policies import RETRIES
from tasks.publishing.preview import Preview, preview, try_policy
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

PolicyOnTrial = Annotated[
    str,
    shown(
        "A policy to try (TOML)",
        "Empty: the policy in force. Else a policy file (docs/policies.md): every listing whose number it would change "
        "is listed, with the reason, and nothing is changed",
        max_length=200_000,
    ),
]


@task(task_run_name="preview-{channel}", **RETRIES)
def preview_one(channel: str) -> Preview:
    return preview(runtime(), channel)


@task(task_run_name="try-policy", **RETRIES)
def try_one(policy: str, channel: str) -> list[dict[str, Any]]:
    return try_policy(runtime(), policy, channel)


@flow(name="preview_publication", flow_run_name=run_name("preview-{channel}"), log_prints=False)
def preview_publication(channel: AnyChannel = "", policy: PolicyOnTrial = "") -> None:
    """Compute with the publisher's own plan and gate what each listing would be sent, and send nothing. Without a
    channel: every channel that is in dry run. With a policy to try: which numbers it would change, on any channel."""
    logger = get_run_logger()
    if policy.strip():
        rows = try_one(policy, channel)
        logger.info("%s listings would show another number", f"{len(rows):,}")
        table("policy-trial", rows, f"{len(rows):,} listings would show another number under the policy on trial")
        return
    for code in channel_codes(runtime(), channel, mode="" if channel else ChannelMode.DRY_RUN):
        result = preview_one(code)
        counts = ", ".join(f"{times} {what}" for what, times in sorted(result.counts.items())) or "no listings"
        logger.info("%s (%s): %s", code, result.mode, counts)
        about = f"What **{code}** would be sent if it were live now: {counts}. Gate: {result.verdict}"
        table(f"preview-{code}", result.rows, about)
