"""Prefect's automations: installed once however often, and each of a shape that its server takes."""

from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger
from prefect.server.events.schemas.automations import AutomationCore as AtTheServer
from prefect.server.events.schemas.events import ReceivedEvent
from pydantic import SecretStr

from onhand.automations import FAILED, LATE, OURS, SILENT, ZOMBIES, install, notification_block, wanted

DEPLOYMENT, BLOCK = uuid4(), uuid4()


class FakeServer:
    def __init__(self) -> None:
        self.kept: list[Automation] = []

    def read_automations_by_name(self, name: str) -> list[Automation]:
        return [one for one in self.kept if one.name == name]

    def create_automation(self, automation: AutomationCore) -> UUID:
        made = Automation(id=uuid4(), **automation.model_dump())
        self.kept.append(made)
        return made.id

    def update_automation(self, automation_id: UUID, automation: AutomationCore) -> None:
        self.kept = [
            Automation(id=automation_id, **automation.model_dump()) if one.id == automation_id else one
            for one in self.kept
        ]

    def delete_automation(self, automation_id: UUID) -> None:
        self.kept = [one for one in self.kept if one.id != automation_id]


def test_installing_twice_is_installing_once() -> None:
    server = FakeServer()
    assert install(server, wanted(DEPLOYMENT, BLOCK)) == dict.fromkeys(OURS, "made")
    ids = {one.name: one.id for one in server.kept}
    assert install(server, wanted(DEPLOYMENT, BLOCK)) == dict.fromkeys(OURS, "updated")
    assert {one.name: one.id for one in server.kept} == ids


def test_what_a_person_paused_stays_paused_and_doubles_go() -> None:
    server = FakeServer()
    install(server, wanted(DEPLOYMENT, BLOCK))
    server.kept = [one.model_copy(update={"enabled": one.name != FAILED}) for one in server.kept]
    server.create_automation(wanted(DEPLOYMENT, BLOCK)[0])
    server.create_automation(AutomationCore(name="somebody's own", trigger=EventTrigger(), actions=[]))
    assert install(server, wanted(DEPLOYMENT, None)) == {
        ZOMBIES: "updated", FAILED: "updated", LATE: "removed", SILENT: "removed",
    }  # fmt: skip
    assert sorted((one.name, one.enabled) for one in server.kept) == sorted(
        [(ZOMBIES, True), (FAILED, False), ("somebody's own", True)]
    )


@pytest.mark.parametrize("automation", wanted(DEPLOYMENT, BLOCK), ids=lambda one: one.name)
def test_the_server_takes_each(automation: AutomationCore) -> None:
    AtTheServer.model_validate(automation.model_dump(mode="json", exclude_unset=True))


def event(name: str, flow: str) -> ReceivedEvent:
    resource = {"prefect.resource.id": f"prefect.flow-run.{uuid4()}", "prefect.resource.name": "x"}
    related = {
        "prefect.resource.id": f"prefect.flow.{uuid4()}",
        "prefect.resource.role": "flow",
        "prefect.resource.name": flow,
    }
    facts = {
        "occurred": "2026-11-20T12:00:00Z",
        "id": uuid4(),
        "event": name,
        "resource": resource,
        "related": [related],
    }
    return ReceivedEvent.model_validate(facts)


@pytest.mark.parametrize(
    ("name", "event_name", "flow", "fires"),
    [
        (FAILED, "prefect.flow-run.Crashed", "pull_channel", True),
        (FAILED, "prefect.flow-run.Failed", "watchdog", True),
        (FAILED, "prefect.flow-run.Failed", "send_alerts", False),
        (FAILED, "prefect.flow-run.Completed", "pull_channel", False),
        (SILENT, "prefect.flow-run.heartbeat", "watchdog", True),
        (SILENT, "prefect.flow-run.heartbeat", "pull_channel", False),
        (LATE, "prefect.flow-run.Late", "pull_channel", True),
    ],
)
def test_which_events_count(name: str, event_name: str, flow: str, fires: bool) -> None:
    ours = next(one for one in wanted(DEPLOYMENT, BLOCK) if one.name == name)
    trigger = AtTheServer.model_validate(ours.model_dump(mode="json", exclude_unset=True)).trigger
    seen = event(event_name, flow)
    assert (trigger.covers(seen) and trigger.expects(seen.event)) is fires


def test_each_action_works_without_the_cloud() -> None:
    actions = {one.name: one.actions[0] for one in wanted(DEPLOYMENT, BLOCK)}
    assert isinstance(actions[ZOMBIES], ChangeFlowRunState)
    assert actions[ZOMBIES].state is StateType.CRASHED
    assert isinstance(actions[FAILED], RunDeployment)
    assert (actions[FAILED].deployment_id, actions[FAILED].parameters) == (DEPLOYMENT, {"look": True})
    for name in (LATE, SILENT):
        notification = actions[name]
        assert isinstance(notification, SendNotification)
        assert notification.block_document_id == BLOCK
        assert "docs/runbooks.md#" in notification.body


def test_the_webhook_is_a_secret_of_the_block() -> None:
    block = notification_block(SecretStr("https://hooks.slack.test/notARealSecret"))
    assert "notARealSecret" not in repr(block) + block.model_dump_json()
    request = block._build_request_args('say "hi"', "a subject")
    assert request["url"] == "https://hooks.slack.test/notARealSecret"
    assert request["json"] == {"text": '*a subject*\nsay "hi"'}
