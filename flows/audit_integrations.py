"""Does each channel still let us in?"""

from prefect import flow, get_run_logger, task

from flows.forms import AnyChannel
from tasks.health.integrations import Integration, check_integrations
from tasks.onboarding.audit import channel_codes
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name


@task(task_run_name="check-integrations", **RETRIES)
def check(channels: list[str]) -> list[Integration]:
    return check_integrations(runtime(), channels)


@flow(name="audit_integrations", flow_run_name=run_name("integrations-{channel}"), log_prints=False)
def audit_integrations(channel: AnyChannel = "") -> None:
    """Try each channel's credentials with a cheap read, compare its clock with ours, and say when it last told us of
    an order by itself. Nothing is written to a channel."""
    found = check(channel_codes(runtime(), channel))
    for one in found:
        if one.advice:
            get_run_logger().warning("%s: %s", one.channel, "; ".join(one.advice))
    table("integrations", [one.row() for one in found], "Each channel's credentials, clock and notices")
