"""Prefect's own automations: what its server does by itself when runs crash, come late or lose their process.

Installed by name, again at each deploy: what is there is brought up to date, what was paused in the UI stays paused,
what was made twice is made one. Two of them tell people straight from the server, because what they tell of is that
nothing of ours runs any more; they need a Slack webhook.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict
from pydantic import SecretStr

from adapters.alert_targets import SlackConfig, read_targets
from adapters.settings import Settings, SettingsError
from tasks.health.tell import secret_of

ALERTS = "send_alerts/alerts"
BLOCK = "onhand-alerts"
ZOMBIES = "onhand: a run without a heartbeat has crashed"
FAILED = "onhand: tell of runs that crash or fail"
LATE = "onhand: no worker takes the runs"
SILENT = "onhand: the watchdog is silent"
OURS = (ZOMBIES, FAILED, LATE, SILENT)

HEARTBEATS_MISSED = timedelta(seconds=540)
"""Prefect sends one each 180 seconds; each event may be lost."""
LATE_RUNS, LATE_TIME = 3, timedelta(minutes=10)
SILENCE = timedelta(minutes=30)
"""Between two messages, too, while the watchdog stays silent."""

_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}


class Server(Protocol):
    """The calls of Prefect's client that are made here."""

    def read_automations_by_name(self, name: str) -> list[Automation]: ...
    def create_automation(self, automation: AutomationCore) -> UUID: ...
    def update_automation(self, automation_id: UUID, automation: AutomationCore) -> None: ...
    def delete_automation(self, automation_id: UUID) -> None: ...


def wanted(alerts_deployment: UUID, block: UUID | None) -> list[AutomationCore]:
    """`block`: of the notification, None where there is no webhook."""
    automations = [
        AutomationCore(
            name=ZOMBIES,
            description="Its worker died with it: nothing else would ever end it",
            trigger=EventTrigger(
                match=_RUNS,
                after={"prefect.flow-run.heartbeat"},
                # Any event: a run that waits for an approval sends no heartbeats either, and has not crashed.
                expect={"prefect.flow-run.*"},
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=HEARTBEATS_MISSED,
            ),
            actions=[ChangeFlowRunState(state=StateType.CRASHED, message="No heartbeat came for nine minutes.")],
        ),
        AutomationCore(
            name=FAILED,
            description="At once, where the watchdog would see it within half a minute",
            trigger=EventTrigger(
                match=_RUNS,
                # Not of its own failure: it would run for ever.
                match_related={"prefect.resource.role": "flow", "prefect.resource.name": "!send_alerts"},
                expect={"prefect.flow-run.Crashed", "prefect.flow-run.Failed", "prefect.flow-run.TimedOut"},
                posture=Posture.Reactive,
                threshold=1,
            ),
            actions=[RunDeployment(deployment_id=alerts_deployment, parameters={"look": True})],
        ),
    ]
    if block is None:
        return automations
    late = SendNotification(
        block_document_id=block,
        subject="onhand: no worker takes the runs",
        body=f"{LATE_RUNS} flow runs or more were not begun within ten minutes of their time. Is a worker online, and "
        "has it free slots? Runbook: docs/runbooks.md#flow-run-failed",
    )
    silent = SendNotification(
        block_document_id=block,
        subject="onhand: the watchdog is silent",
        body=f"Nothing was heard of the flow watchdog for {SILENCE.seconds // 60} minutes: nobody looks whether orders "
        "are read, and no alerts are sent. Runbook: docs/runbooks.md#a-part-has-stopped",
    )
    return [
        *automations,
        AutomationCore(
            name=LATE,
            description="Told by the server itself, for a run of ours would be late as well",
            trigger=EventTrigger(
                match=_RUNS,
                expect={"prefect.flow-run.Late"},
                posture=Posture.Reactive,
                threshold=LATE_RUNS,
                within=LATE_TIME,
            ),
            actions=[late],
        ),
        AutomationCore(
            name=SILENT,
            description="The watchdog for the watchdog",
            trigger=EventTrigger(
                match=_RUNS,
                match_related={"prefect.resource.role": "flow", "prefect.resource.name": "watchdog"},
                expect={"prefect.flow-run.*"},
                posture=Posture.Proactive,
                threshold=1,
                within=SILENCE,
            ),
            actions=[silent],
        ),
    ]


def install(server: Server, automations: Sequence[AutomationCore]) -> dict[str, str]:
    """Name → `made`, `updated` or `removed`. Installing twice is installing once."""
    done: dict[str, str] = {}
    by_name = {one.name: one for one in automations}
    for name in OURS:
        present = server.read_automations_by_name(name)
        new = by_name.get(name)
        for superfluous in present if new is None else present[1:]:
            server.delete_automation(superfluous.id)
            done[name] = "removed"
        if new is None:
            continue
        if present:
            server.update_automation(present[0].id, new.model_copy(update={"enabled": present[0].enabled}))
            done[name] = "updated"
        else:
            server.create_automation(new)
            done[name] = "made"
    return done


def notification_block(webhook: SecretStr) -> CustomWebhookNotificationBlock:
    """A block that Prefect's server can post with. The address stands among its secrets, for `url` is kept in clear."""
    return CustomWebhookNotificationBlock(
        name=BLOCK,
        url="{{hook}}",
        json_data={"text": "*{{subject}}*\n{{body}}"},
        secrets=SecretDict({"hook": webhook.get_secret_value()}),
    )


def install_automations(webhook: SecretStr | None) -> dict[str, str]:
    """On the server of this process, after the deployments. `webhook`: of Slack; None: a block that is there stays."""
    if webhook is not None:
        notification_block(webhook).save(BLOCK, overwrite=True)
    with get_client(sync_client=True) as client:
        try:
            block = client.read_block_document_by_name(BLOCK, "custom-webhook", include_secrets=False).id
        except ObjectNotFound:
            block = None
        return install(client, wanted(client.read_deployment_by_name(ALERTS).id, block))


def remove_automations() -> dict[str, str]:
    """Those of ours. A server on SQLite is better off without: when several runs crash at once, its automations wait
    for one another's locks, and it answers nobody for a minute (`busy_timeout`). There the watchdog tells of runs that
    fail, and `onhand.shifts` of those that lost their process."""
    with get_client(sync_client=True) as client:
        return install(client, [])


def webhook_of(settings: Settings) -> SecretStr | None:
    """Of the first target in Slack that is told of everything at once; None where there is none, or it is not known
    to this process."""
    targets = read_targets(settings.alerts_file, webhook_is_set=settings.slack_webhook_url is not None)
    for one in targets:
        if isinstance(one, SlackConfig) and one.from_level == 0:
            try:
                return secret_of(settings)(one.webhook_url_env)
            except SettingsError:
                return None
    return None
