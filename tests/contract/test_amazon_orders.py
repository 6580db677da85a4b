"""Orders of Amazon: what counts as sold, what a cancellation gives back, and how far a pull has read."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from amazon_stage import AmazonStage
from contract_place import Place, served

from adapters.channels.amazon.amazon_orders import UntranslatableError, translate
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.amazon.amazon_documents import order_name
from adapters.sandbox.amazon.amazon_state import FbaStock, Habits
from adapters.sandbox.faults import FaultKind, Operation


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[AmazonStage]:
    with place.staged(AmazonStage) as stage:
        assert isinstance(stage, AmazonStage)
        yield stage


def order(*items: dict[str, Any], status: str = "UNSHIPPED", by: str = "MERCHANT") -> dict[str, Any]:
    return {
        "orderId": "902-1234567-0000001",
        "createdTime": "2026-11-20T06:00:00Z",
        "lastUpdatedTime": "2026-11-20T07:00:00Z",
        "buyer": {"buyerName": "Wilhelmina", "buyerEmail": "w@private.example"},
        "recipient": {"deliveryAddress": {"name": "Wilhelmina", "addressLine1": "Lane 1"}},
        "salesChannel": {"channelName": "AMAZON"},
        "fulfillment": {"fulfillmentStatus": status, "fulfilledBy": by},
        "orderItems": list(items),
    }


def item(quantity: Any, sent: int | None = None, open_: int | None = None, **more: Any) -> dict[str, Any]:
    made = {"orderItemId": "77", "quantityOrdered": quantity, "product": {"sellerSku": "A"}, **more}
    if sent is not None:
        made["fulfillment"] = {"quantityFulfilled": sent, "quantityUnfulfilled": open_}
    return made


def execution(reason: Any, by: str = "MERCHANT") -> dict[str, Any]:
    return {"cancellation": {"cancellationExecution": {"cancelledBy": by, "cancelReason": reason}}}


@pytest.mark.parametrize("status", ["PENDING_AVAILABILITY", "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED"])
def test_an_order_is_sold_in_every_status_but_cancelled(status: str) -> None:
    document = translate(order(item(3), status=status), "row 0")
    assert document == {
        "order_id": "902-1234567-0000001",
        "placed_at": "2026-11-20T06:00:00Z",
        "updated_at": "2026-11-20T07:00:00Z",
        "cancelled": False,
        "test": False,
        "lines": [{"line_id": "77", "listing_ref": "A", "sku": "A", "quantity": 3}],
        "reversals": [],
    }


@pytest.mark.parametrize(
    ("given", "status", "units"),
    [
        (item(3, 0, 3), "UNSHIPPED", 0),
        (item(3, 0, 2), "UNSHIPPED", 1),
        (item(3, 2, 0), "PARTIALLY_SHIPPED", 1),
        (item(3, 3, 0), "SHIPPED", 0),
        (item(3, 0, 0, **execution("NoInventory")), "UNSHIPPED", 3),
        (item(3, **execution("NoInventory")), "UNSHIPPED", 3),
        (item(3), "CANCELLED", 3),
        (item(3, 1, 0), "CANCELLED", 2),
        (item(3, 4, 4), "UNSHIPPED", 0),
        (item(None), "CANCELLED", 0),
        (item(3, cancellation={"cancellationRequest": {"requester": "BUYER", "cancelReason": "x"}}), "UNSHIPPED", 0),
    ],
)
def test_units_that_are_neither_sent_nor_open_are_cancelled(given: dict[str, Any], status: str, units: int) -> None:
    document = translate(order(given, status=status), "row 0")
    assert document is not None
    assert [row["reversal_id"] for row in document["reversals"]] == [f"77:cancelled:{n}" for n in range(1, units + 1)]
    assert all(row["quantity"] == 1 and row["kind"] == "cancellation" for row in document["reversals"])


@pytest.mark.parametrize(
    ("told", "by", "reason", "restocked"),
    [
        ("NoInventory", "MERCHANT", "inventory", False),
        ("No Inventory", "MERCHANT", "inventory", False),
        ("OUT_OF_STOCK", "MERCHANT", "inventory", False),
        ("BuyerCanceled", "BUYER", "customer", True),
        ("I changed my mind, call me on 555", "BUYER", "customer", True),
        ("PaymentDeclined", "AMAZON", "payment", True),
        ("RiskAssessmentInformationNotValid", "AMAZON", "fraud", True),
        ("MerchandiseDamaged", "MERCHANT", "damaged", True),
        ("GeneralAdjustment", "MERCHANT", "other", True),
        (None, "AMAZON", "other", True),
        ({"x": 1}, "AMAZON", "other", True),
    ],
)
def test_reasons(told: Any, by: str, reason: str, restocked: bool) -> None:
    document = translate(order(item(1, **execution(told, by)), status="CANCELLED"), "row 0")
    assert document is not None
    (row,) = document["reversals"]
    assert (row["reason"], row["restocked"]) == (reason, restocked)
    assert "555" not in str(document)


def test_what_amazons_warehouse_sends_is_no_sale_of_ours() -> None:
    assert translate(order(item(3), by="AMAZON"), "row 0") is None


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {},
        order(item(1)) | {"orderId": 7},
        order(item(1)) | {"fulfillment": None},
        order(item(1)) | {"fulfillment": {"fulfillmentStatus": 1}},
        order(item(1)) | {"orderItems": None},
        order("Wilhelmina"),  # type: ignore[arg-type]
        order(item({"name": "Wilhelmina"})),
        order(item(1, product=None)),
        order(item(1)) | {"lastUpdatedTime": ["Wilhelmina"]},
        order(item(10**6), status="CANCELLED"),
    ],
)
def test_a_wrong_shape_is_named_without_its_content(row: Any) -> None:
    with pytest.raises(UntranslatableError) as caught:
        translate(row, "row 0")
    assert caught.value.key in ("row 0", "902-1234567-0000001")
    assert "Wilhelmina" not in str(caught.value)


def test_orders_of_the_warehouse_are_neither_pulled_nor_read(stage: AmazonStage) -> None:
    stage.add("MINE", 5)
    stage.add("THEIRS", 5)
    stage.vendor.state.fba["THEIRS"] = FbaStock()
    mixed, theirs = stage.buy(("MINE", 1), ("THEIRS", 1)), stage.buy(("THEIRS", 1))
    (document,) = stage.pull()
    assert document["order_id"] == order_name(mixed.number)
    assert [line["sku"] for line in document["lines"]] == ["MINE"]
    assert stage.channel.read_orders([order_name(theirs.number)]).orders == []


def test_partial_cancellations_keep_the_ids_of_the_first(stage: AmazonStage) -> None:
    stage.add("A", 10)
    bought = stage.buy(("A", 5))
    line = bought.lines[0].number
    stage.shop.cancel(bought.number, [(line, 2)], how="remove")
    (first,) = stage.pull()
    stage.clock.seconds += 5
    stage.shop.cancel(bought.number, [(line, 1)], how="remove")
    (second,) = stage.pull()
    ids = [[row["reversal_id"] for row in document["reversals"]] for document in (first, second)]
    assert ids[1][:2] == ids[0]
    assert len(ids[1]) == 3


def test_the_control_endpoint_restocks_by_amazons_rule(stage: AmazonStage) -> None:
    product = stage.add("A", 10)
    for reason, left in (("customer", 10), ("inventory", 9)):
        bought = stage.buy(("A", 1))
        body = {"order_id": order_name(bought.number), "reason": reason, "restock": True}
        httpx.post(f"{stage.url}/sandbox/cancel", json=body, timeout=60).raise_for_status()
        assert product.quantity == left


def test_a_pull_says_how_far_it_has_read(place: Place) -> None:
    habits = Habits(search_lag_s=120, rate_scale=1000)
    with place.staged(lambda url: AmazonStage(url, habits=habits)) as stage:
        stage.add("A", 10)
        stage.buy(("A", 1))
        assert stage.pull() == [], "Amazon does not show it yet"
        assert stage.channel.read_until == stage.clock.now() - timedelta(seconds=120)
        stage.clock.seconds += 120
        assert len(stage.pull()) == 1
        assert stage.channel.read_until == stage.clock.now() - timedelta(seconds=120)


def test_an_order_that_is_changed_before_every_look_is_found_by_when_it_was_placed(place: Place) -> None:
    habits = Habits(search_lag_s=120, rate_scale=1000)
    with place.staged(lambda url: AmazonStage(url, habits=habits)) as stage:
        stage.add("A", 10)
        since = stage.clock.now()
        stage.clock.seconds += 60
        bought = stage.buy(("A", 2))
        for _ in range(5):
            stage.clock.seconds += 240
            stage.shop.touch(bought.number)
            stage.clock.seconds += 60
            assert stage.pull(since) == [], "each change hides it once more"
        placed = stage.channel.placed_orders(since)
        assert placed is not None
        assert [order["order_id"] for page in placed for order in page.orders] == [order_name(bought.number)]
        assert stage.channel.placed_orders(stage.clock.now()) == []


def test_the_search_for_what_was_placed_leaves_calls_to_the_next_pulls(place: Place) -> None:
    with place.staged(lambda url: AmazonStage(url, habits=Habits(search_lag_s=0))) as stage:
        stage.add("A", 10)
        since = stage.clock.now()
        stage.buy(("A", 1))
        done = []
        for _ in range(100):
            assert len(stage.pull(since)) == 1
            done.append(stage.channel.placed_orders(since) is not None)
            stage.clock.seconds += 300
        late = done[50:]
        assert 0.6 <= sum(late) / len(late) <= 0.72, "one call in 179 s allows 1.7 searches in five minutes"
        assert not any(not first and not second for first, second in itertools.pairwise(done)), (
            "never two in a row without"
        )


def test_a_backlog_larger_than_the_allowance_is_read_in_two_pulls(place: Place) -> None:
    """Twenty pages at once and then one in three minutes: without going on it would never be read to its end."""
    with place.staged(lambda url: AmazonStage(url, habits=Habits(search_lag_s=0))) as stage:
        stage.add("A", 1000)
        since = stage.clock.now()
        for _ in range(22 * 5):
            stage.buy(("A", 1))
        with pytest.raises(ChannelFault) as caught:
            stage.pull(since)
        assert caught.value.resolution is Resolution.RATE_LIMITED
        assert caught.value.retry_after == pytest.approx(1 / 0.0056, rel=0.02)
        early = stage.buy(("A", 1))
        stage.clock.seconds += 900
        again = stage.adapter()
        found = [order["order_id"] for order in stage.pull(since, again)]
        assert sorted(found) == sorted(order_name(number) for number in stage.shop.orders)
        assert order_name(early.number) in found, "what changed after the first attempt is read too"
        assert again.read_until == stage.clock.now()
        assert stage.shared.backlog is None
        assert stage.shop.calls["orders"] == 23


def test_a_token_that_amazon_has_given_up_begins_anew(place: Place) -> None:
    with place.staged(lambda url: AmazonStage(url, habits=Habits(search_lag_s=0))) as stage:
        stage.add("A", 1000)
        since = stage.clock.now()
        for _ in range(101):
            stage.buy(("A", 1))
        with pytest.raises(ChannelFault):
            stage.pull(since)
        assert stage.shared.backlog is not None
        stage.shared.backlog.token = "given up"
        stage.clock.seconds += 5000
        with pytest.raises(ChannelFault):
            stage.pull(since)
        stage.clock.seconds += 5000
        assert len(stage.pull(since)) == 101


def test_more_single_orders_than_the_allowance_are_searched_for(stage: AmazonStage) -> None:
    stage.add("A", 1000)
    old = stage.buy(("A", 1))
    stage.clock.seconds += 3600
    ids = [order_name(stage.buy(("A", 1)).number) for _ in range(40)]
    stage.channel.read_orders(ids[:1])
    before = stage.shop.calls["orders"]
    page = stage.channel.read_orders([*ids, order_name(old.number), "902-0000000-9999999"])
    assert {order["order_id"] for order in page.orders} == {*ids, order_name(old.number)}
    assert stage.shop.calls["orders"] - before == 8 + 2
    assert stage.channel.read_until is None, "a search for some orders proves nothing about all"


def test_an_id_that_amazon_refuses_is_a_defect_of_its_own(stage: AmazonStage) -> None:
    stage.add("A", 5)
    bought = stage.buy(("A", 1))
    page = stage.channel.read_orders(["nonsense", order_name(bought.number)])
    assert [order["order_id"] for order in page.orders] == [order_name(bought.number)]
    assert [(defect.key, defect.reason) for defect in page.defects] == [
        ("nonsense", "Amazon refuses the id, InvalidInput")
    ]


def test_statuses_by_hand(stage: AmazonStage) -> None:
    stage.add("A", 5)
    bought = stage.buy(("A", 2))
    body = {"order_id": order_name(bought.number), "status": "SHIPPED"}
    httpx.post(f"{stage.url}/sandbox/status", json=body, timeout=60).raise_for_status()
    (document,) = stage.pull()
    assert document["reversals"] == []


def test_a_page_that_comes_again_for_ever_is_no_end(stage: AmazonStage) -> None:
    stage.add("A", 100)
    for _ in range(11):
        stage.buy(("A", 1))
    stage.fault(FaultKind.REPEAT, Operation.ORDERS, times=None)
    with pytest.raises(ChannelFault) as caught:
        stage.pull()
    assert caught.value.resolution is Resolution.MALFORMED
