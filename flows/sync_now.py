"""Pull and publish at once what somebody chooses."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from expectations import gate
from flows.forms import AnyChannel, DryRun, Person, Reason, Skus, shown
from tasks.approve import approved, request_key
from tasks.permission import Request
from tasks.policies import RETRIES
from tasks.publishing.preview import preview
from tasks.publishing.sync import SyncReport, SyncScope, request_for, scope_of, sync
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Chosen = Annotated[Skus, shown("SKUs", "With all channels that sell them; empty: all that the channel lists")]


@task(task_run_name="sync", **RETRIES)
def pull_and_publish(scope: SyncScope, request: Request, approved_by: str, key: str) -> SyncReport:
    gate.load()
    return sync(runtime(), scope, request, approved_by=approved_by, request_key=key)


@task(task_run_name="look-at-{channel}", **RETRIES)
def look(channel: str, skus: list[str]) -> list[dict[str, object]]:
    gate.load()
    return [{"channel": channel, **row} for row in preview(runtime(), channel).rows if row["SKU"] in skus]


@flow(name="sync_now", flow_run_name=run_name("sync-{channel}"), log_prints=False)
def sync_now(
    actor: Person,
    reason: Reason,
    channel: AnyChannel = "",
    skus: Chosen = [],  # noqa: B006
    dry_run: DryRun = False,
) -> None:
    """Read the orders of the channels concerned, then publish the SKUs through the gate, as always: lowered first. A
    dry run reads what the channels show and says what each would be sent, and sends nothing."""
    key = request_key()
    scope = scope_of(runtime(), channel, skus)
    request = request_for(scope, actor=actor, reason=reason)
    approved_by = approved(runtime(), request)
    if dry_run:
        rows = [row for code in scope.channels for row in look(code, list(scope.skus))]
        table("sync", rows, f"What would be sent for {len(scope.skus)} SKUs; nothing was")
        return
    done = pull_and_publish(scope, request, approved_by, key)
    read = "; ".join(f"**{code}**: {what}" for code, what in done.pulled.items())
    table("sync", done.sent, f"{read}. {len(done.sent)} numbers sent, {len(done.waiting)} SKUs still wait")
    if done.waiting:
        get_run_logger().warning("still to be published: %s", ", ".join(done.waiting[:20]))
