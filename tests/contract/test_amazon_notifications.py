"""Amazon's notifications, from an imitated SQS queue: twice, late, malformed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from amazon_stage import CLIENT_ID, AmazonStage
from contract_place import Place, served
from pydantic import SecretStr

from adapters.channels.amazon.amazon_notifications import AmazonQueue, NotReadableError, QueueMessage, read_notification
from adapters.channels.notices import UNREADABLE, Notice, NoticeQueue
from adapters.channels.protocol import Change
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.amazon.amazon_documents import order_name
from adapters.sandbox.amazon.amazon_queue import PATH, VISIBILITY_S
from adapters.sandbox.amazon.amazon_state import FbaStock

SECRET = "aws-secret-0123456789"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[AmazonStage]:
    with place.staged(AmazonStage) as stage:
        assert isinstance(stage, AmazonStage)
        yield stage


@pytest.fixture
def queue(stage: AmazonStage) -> Iterator[AmazonQueue]:
    made = queue_of(stage)
    yield made
    made.close()


def queue_of(stage: AmazonStage, key_id: str = CLIENT_ID) -> AmazonQueue:
    return AmazonQueue("amazon", queue_url=f"{stage.url}{PATH}", key_id=key_id, secret_key=SecretStr(SECRET))


def notices(messages: list[QueueMessage]) -> list[Notice]:
    return [notice for message in messages for notice in message.notices]


def test_a_sale_is_told_with_its_order_and_its_listing(stage: AmazonStage, queue: AmazonQueue) -> None:
    stage.add("A", 5)
    bought = stage.buy(("A", 2))
    found: NoticeQueue = queue
    messages = queue.receive(0)
    assert found is queue
    assert {(one.topic, one.order_ids, one.listing_refs) for one in notices(messages)} == {
        ("ORDER_CHANGE", (order_name(bought.number),), ()),
        ("LISTINGS_ITEM_MFN_QUANTITY_CHANGE", (), ("A",)),
    }
    for private in bought.buyer.strings():
        assert private not in str(messages)


def test_what_is_not_acknowledged_comes_again(stage: AmazonStage, queue: AmazonQueue) -> None:
    stage.habits.doubles_every = 0
    stage.add("A", 5)
    stage.buy(("A", 2))
    first = queue.receive(0)
    assert (len(first), queue.receive(0)) == (2, [])
    stage.clock.seconds += VISIBILITY_S
    again = queue.receive(0)
    assert {one.event_id for one in notices(again)} == {one.event_id for one in notices(first)}
    queue.acknowledge(again)
    stage.clock.seconds += VISIBILITY_S
    assert (queue.receive(0), stage.vendor.queue.deleted) == ([], 2)


def test_a_notification_that_is_delivered_twice_has_one_id(stage: AmazonStage, queue: AmazonQueue) -> None:
    stage.habits.doubles_every = 1
    stage.add("A", 50)
    for _ in range(3):
        stage.buy(("A", 1))
    stage.clock.seconds += 10
    messages = [message for _ in range(3) for message in queue.receive(0)]
    assert len(messages) == 12
    assert len({one.event_id for one in notices(messages)}) == 6
    queue.acknowledge(messages)
    assert stage.vendor.queue.messages == []


def test_a_feeds_end_is_told(stage: AmazonStage, queue: AmazonQueue) -> None:
    stage.habits.tells_quantities = False
    rows = [Change(stage.add(f"S-{number}", 5).sku, 6, 5) for number in range(60)]
    stage.channel.set_quantities(rows, "key")
    assert [(one.topic, one.order_ids) for one in notices(queue.receive(0))] == [("FEED_PROCESSING_FINISHED", ())]


def test_what_amazons_warehouse_sends_names_no_order(stage: AmazonStage, queue: AmazonQueue) -> None:
    stage.add("THEIRS", 5)
    stage.vendor.state.fba["THEIRS"] = FbaStock()
    stage.buy(("THEIRS", 1))
    assert [(one.topic, one.order_ids) for one in notices(queue.receive(0))] == [("ORDER_CHANGE", ())]


@pytest.mark.parametrize(
    "body",
    ["", "not json", "[]", "null", "{}", json.dumps({"NotificationType": "ORDER_CHANGE"}), "[" * 5000, "\ud800"],
)
def test_a_malformed_message_is_a_defect_and_can_be_acknowledged(
    stage: AmazonStage, queue: AmazonQueue, body: str
) -> None:
    stage.vendor.queue.put(body.encode("utf-8", "replace").decode())
    (message,) = queue.receive(0)
    assert message.defect is not None
    (notice,) = message.notices
    assert (notice.topic, notice.order_ids, notice.event_id) == (UNREADABLE, (), message.defect.key)
    queue.acknowledge([message])
    assert stage.vendor.queue.messages == []


def order_change(**more: Any) -> dict[str, Any]:
    return {
        "NotificationType": "ORDER_CHANGE",
        "Payload": {"OrderChangeNotification": {"AmazonOrderId": "902-1-1", "Summary": {"FulfillmentType": "MFN"}}},
        "NotificationMetadata": {"NotificationId": "n-1"},
        **more,
    }


def lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: lowered(inner) for key, inner in value.items()}
    return value


def test_both_spellings_of_the_names() -> None:
    wanted = Notice("n-1", "ORDER_CHANGE", ("902-1-1",))
    assert read_notification(order_change()) == wanted
    assert read_notification(lowered(order_change())) == wanted


def test_an_unknown_type_names_nothing() -> None:
    found = read_notification(order_change(NotificationType="PRICING_HEALTH"))
    assert found == Notice("n-1", "PRICING_HEALTH", ())


@pytest.mark.parametrize(
    "broken",
    [
        {"NotificationMetadata": {"NotificationId": ["Wilhelmina"]}},
        {"NotificationMetadata": None},
        {"NotificationMetadata": {"NotificationId": "n" * 201}},
        {"NotificationType": 7},
        {"Payload": "Wilhelmina"},
        {"Payload": {"OrderChangeNotification": {"AmazonOrderId": {"name": "Wilhelmina"}}}},
        {"Payload": {"OrderChangeNotification": {"AmazonOrderId": "1", "Summary": "Wilhelmina"}}},
    ],
)
def test_a_wrong_shape_names_no_value(broken: dict[str, Any]) -> None:
    with pytest.raises(NotReadableError) as caught:
        read_notification(order_change(**broken))
    assert "Wilhelmina" not in str(caught.value)


def test_a_wrong_key_is_for_a_person_and_no_secret_is_told(stage: AmazonStage) -> None:
    stranger = queue_of(stage, "AKIAWRONG")
    with pytest.raises(ChannelFault) as caught:
        stranger.receive(0)
    stranger.close()
    fault = caught.value
    assert fault.resolution is Resolution.REAUTHENTICATE
    assert SECRET not in f"{fault} {fault.__context__!r} {stranger.__dict__}"


def test_a_queue_that_is_away_is_tried_again() -> None:
    away = AmazonQueue(
        "amazon", queue_url=f"http://127.0.0.1:9{PATH}", key_id="k", secret_key=SecretStr(SECRET), timeout_s=1
    )
    with pytest.raises(ChannelFault) as caught:
        away.receive(0)
    away.close()
    assert caught.value.resolution is Resolution.RETRY
