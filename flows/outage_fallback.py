"""How is every channel, warehouse and supplier; and the fallback ladder for those in trouble."""

from typing import Annotated

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State

from flows.forms import AnyChannel, EverySeconds, Minutes, shown
from tasks.outages.fall_back import look
from tasks.outages.fallback_report import Looked
from tasks.outages.write_runbook import runbook_of
from tasks.policies import RETRIES
from tasks.report import page, table
from tasks.runtime import runtime
from tasks.shift import beats, run_name, work

OnlyShow = Annotated[
    bool, shown("Dry run", "On: only show what would be done. Off: do it; nothing is paused without need")
]


@task(task_run_name="look-for-{seconds:.0f}s", **RETRIES)
def look_for(seconds: float, every_seconds: float, channel: str, dry_run: bool) -> Looked:
    """The last look; of those before it only what became of the switches."""
    turned: list[str] = []
    dark: list[str] = []
    for _ in beats(seconds, every_seconds):
        found = look(runtime(), channel=channel, dry_run=dry_run)
        turned += found.turned
        dark += found.went_dark
    found.turned, found.went_dark = turned, dark
    return found


@flow(name="outage_fallback", flow_run_name=run_name("fallback-{channel}"), log_prints=False)
def outage_fallback(
    channel: AnyChannel = "", dry_run: OnlyShow = False, minutes: Minutes = 0, every_seconds: EverySeconds = 60
) -> None:
    """The smallest step that keeps the risk of an outage below its limit: hide, throttle, pause; and back in stages."""

    def looks(seconds: float) -> State[Looked]:
        return look_for(seconds, every_seconds, channel, dry_run, return_state=True)

    shown_before: list[tuple[str, str, str]] | None = None
    for found in work(minutes, every_seconds, looks):
        state = [(one.subject, one.health.state.value, one.doing) for one in found.sources]
        for said in found.turned:
            get_run_logger().warning("%s", said)
        for code in [] if dry_run else sorted(set(found.went_dark)):
            written = runbook_of(runtime().engine, code, now=found.now)
            page(f"runbook-{code}", written, f"What to do while {code} is dark")
        if state != shown_before:
            what = "What would be done (dry run)" if dry_run else "How each source is, and what is done about it"
            table("outage-fallback", found.rows(), what + "".join(f"\n\n{said}" for said in found.turned))
            shown_before = state
