"""What only BigCommerce has about orders: statuses, lines in three places, limits that exclude, refunds of money."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from bigcommerce_stage import BigCommerceStage, load_spec
from contract_place import Place, served
from spec_traffic import Exchange
from test_bigcommerce_stock import Wire

from adapters.channels.bigcommerce.bigcommerce_orders import UntranslatableError, lines_within, translate_order
from adapters.channels.bigcommerce.bigcommerce_walk import PATH
from adapters.http import ChannelFault, Resolution

LINE = {"id": 5, "product_id": 7, "variant_id": 9, "sku": "A", "quantity": 3, "type": "physical"}
ROW = {
    "id": 100,
    "status_id": 11,
    "items_total": 3,
    "date_created": "Wed, 10 Jan 2018 21:05:30 +0000",
    "date_modified": "Wed, 05 Dec 2018 20:16:55 +0000",
}
REFUND = {"id": 8, "order_id": 100, "created": "2018-12-05T20:16:55+00:00", "items": []}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served(records=True) as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[BigCommerceStage]:
    with place.staged(BigCommerceStage) as stage:
        assert isinstance(stage, BigCommerceStage)
        yield stage


def item(quantity: int, **more: Any) -> dict[str, Any]:
    return {"item_type": "PRODUCT", "item_id": 5, "quantity": quantity, **more}


@pytest.mark.parametrize(
    ("status", "cancelled", "reversed_units", "why"),
    [
        (1, False, 0, None),
        (7, False, 0, None),
        (10, False, 0, None),
        (12, False, 0, None),
        (13, False, 0, None),
        (99, False, 0, None),
        (4, False, 3, ("refund", "other")),
        (5, True, 3, ("cancellation", "other")),
        (6, True, 3, ("cancellation", "payment")),
    ],
)
def test_a_status_closes_an_order_or_holds_its_stock(
    status: int, cancelled: bool, reversed_units: int, why: Any
) -> None:
    order = translate_order({**ROW, "status_id": status}, [LINE], [], "row 0")
    assert order is not None
    assert order["lines"] == [{"line_id": "5", "listing_ref": "7/9", "sku": "A", "quantity": 3}]
    assert (order["placed_at"], order["updated_at"]) == ("2018-01-10T21:05:30+00:00", "2018-12-05T20:16:55+00:00")
    assert order["cancelled"] is cancelled
    assert sum(row["quantity"] for row in order["reversals"]) == reversed_units
    assert {(row["kind"], row["reason"]) for row in order["reversals"]} == ({why} if why else set())


def test_a_cart_that_nobody_paid_for_is_no_sale() -> None:
    assert translate_order({**ROW, "status_id": 0}, None, [], "row 0") is None


def test_refunds_of_units_count_and_those_of_money_do_not() -> None:
    money = [{"item_type": kind, "item_id": 100, "quantity": 1} for kind in ("ORDER", "SHIPPING", "GIFT_WRAPPING")]
    refunds = [{**REFUND, "items": [item(1), *money]}, {**REFUND, "id": 9, "items": [item(1)]}, {**REFUND, "id": 10}]
    order = translate_order({**ROW, "status_id": 4}, [LINE], refunds, "row 0")
    assert order is not None
    told = [(row["reversal_id"], row["quantity"], row["restocked"]) for row in order["reversals"]]
    assert told == [("refund:8:5", 1, None), ("refund:9:5", 1, None), ("closed:5", 1, None)]


def test_gift_certificates_are_no_goods_and_custom_products_have_no_listing() -> None:
    custom = {**LINE, "id": 6, "product_id": 0, "variant_id": None}
    order = translate_order(ROW, [{**LINE, "type": "giftcertificate"}, custom], [], "row 0")
    assert order is not None
    assert [(line["line_id"], line["listing_ref"]) for line in order["lines"]] == [("6", None)]


@pytest.mark.parametrize(
    ("row", "lines", "refunds"),
    [
        (None, [LINE], []),
        ({**ROW, "id": "x"}, [LINE], []),
        ({**ROW, "status_id": None}, [LINE], []),
        ({**ROW, "date_modified": {"name": "Jane"}}, [LINE], []),
        (ROW, None, []),
        (ROW, ["x"], []),
        (ROW, [{**LINE, "sku": ["Jane"]}], []),
        (ROW, [LINE], [{"id": None}]),
        (ROW, [LINE], [{**REFUND, "items": None}]),
        (ROW, [LINE], [{**REFUND, "items": [item(1, item_id=77)]}]),
        (ROW, [LINE], [{**REFUND, "items": [item(1), item(1)]}]),
        ({**ROW, "status_id": 5}, [{**LINE, "id": None}], []),
    ],
)
def test_a_wrong_shape_is_told_without_a_value(row: Any, lines: Any, refunds: Any) -> None:
    with pytest.raises(UntranslatableError) as caught:
        translate_order(row, lines, refunds, "row 0")
    assert "Jane" not in str(caught.value)


def test_strange_values_inside_the_shape_are_for_the_gate() -> None:
    order = translate_order({**ROW, "date_modified": "soon"}, [{**LINE, "quantity": "many"}], [], "row 0")
    assert order is not None
    assert (order["updated_at"], order["lines"][0]["quantity"]) == ("soon", "many")


def test_lines_that_come_with_the_order_count_only_when_they_are_all() -> None:
    def with_lines(**consignments: Any) -> dict[str, Any]:
        return {**ROW, "consignments": consignments}

    shipped, picked_up = [{"line_items": [{**LINE, "quantity": 1}]}], [{"line_items": [{**LINE, "quantity": 2}]}]
    assert lines_within(with_lines(shipping=shipped, pickups=picked_up, downloads=[])) is not None
    assert lines_within(with_lines(shipping=shipped)) is None
    assert lines_within(with_lines(shipping=[{"line_items": [{"url": "…", "resource": "…"}]}])) is None
    assert lines_within(with_lines(shipping="x")) is None
    assert lines_within({**ROW, "consignments": {"url": "…", "resource": "…"}}) is None
    assert lines_within(ROW) is None


@pytest.mark.parametrize("links", [False, True])
def test_a_page_of_orders_costs_two_calls_where_their_lines_come_with_them(
    stage: BigCommerceStage, place: Place, links: bool
) -> None:
    stage.habits.links_lines = links
    stage.add("A", 100)
    orders = [stage.buy(("A", 2)) for _ in range(4)]
    before = place.calls
    assert [order["lines"][0]["quantity"] for order in stage.pull()] == [2, 2, 2, 2]
    assert place.calls - before == (6 if links else 2)
    assert len(stage.channel.read_orders([stage.order_id(order) for order in orders]).orders) == 4


@pytest.mark.parametrize("excludes", [False, True])
@pytest.mark.parametrize("apart_s", [0.0, 0.3, 1.0, 2.5])
def test_nothing_is_lost_whether_the_limits_of_a_date_are_within_it_or_not(
    stage: BigCommerceStage, excludes: bool, apart_s: float
) -> None:
    stage.habits.excludes_limits = excludes
    stage.add("A", 1000)
    since = stage.clock.shop_now()
    placed = []
    for _ in range(33):
        order = stage.shop.checkout([("A", 1)]).order
        assert order is not None
        placed.append(stage.order_id(order))
        stage.clock.seconds += apart_s
    assert [order["order_id"] for order in stage.pull(since)] == placed


def test_a_cart_is_in_the_list_and_becomes_an_order(stage: BigCommerceStage) -> None:
    stage.add("A", 100)
    order = stage.buy(("A", 1))
    stage.store.statuses[order.number] = 0
    assert stage.pull() == []
    assert stage.channel.read_orders([stage.order_id(order)]).orders == []
    del stage.store.statuses[order.number]
    stage.shop.touch(order.number)
    assert len(stage.pull()) == 1


def test_rows_of_another_question_are_no_progress_and_no_end(stage: BigCommerceStage) -> None:
    stage.add("A", 100)
    since = stage.clock.shop_now()
    stage.clock.seconds += 100
    stage.buy(("A", 1))
    wire = Wire()
    old = {**ROW, "date_modified": "Wed, 05 Dec 2018 20:16:55 +0000"}
    wire.change = lambda path, body: [old] if path == PATH else body
    with pytest.raises(ChannelFault) as caught:
        stage.pull(since, stage.adapter(transport=wire))
    assert caught.value.resolution is Resolution.MALFORMED
    assert len(wire.sent) == 4


@pytest.mark.parametrize("name", ["0", "-1", "1.0", "x", "", "10" * 20, "\u0663"])
def test_what_is_no_id_of_an_order_costs_no_call(stage: BigCommerceStage, place: Place, name: str) -> None:
    assert stage.channel.read_orders([name]).orders == []
    assert place.calls == 0


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/v2/orders", [{"id": "seven"}]),
        ("/v2/orders", [{"id": 7, "invented": 1}]),
        ("/v3/orders/payment_actions/refunds", {"data": [{"id": 1, "items": [{"item_type": "LOVE"}]}]}),
        ("/v3/inventory/items", {"data": [{"identity": {"sku": 7}}]}),
        ("/v3/catalog/products", {"data": [{"id": 1, "variants": [{"id": "x"}]}]}),
        ("/v3/inventory/adjustments/absolute", {"transaction_id": 7}),
    ],
)
def test_the_judge_sees_what_is_wrong(stage: BigCommerceStage, path: str, wrong: Any) -> None:
    spec = load_spec()
    method = "PUT" if path.endswith("absolute") else "GET"
    headers = {"x-auth-token": "t", "accept": "application/json"}
    body = {"items": [{"location_id": 1, "variant_id": 1, "quantity": 1}]} if method == "PUT" else None
    request = httpx.Request(method, f"http://sandbox/stores/store_hash{path}", headers=headers, json=body)
    empty = {"transaction_id": "1"} if method == "PUT" else [] if path == "/v2/orders" else {"data": []}
    assert spec.check(Exchange.of(httpx.Response(200, json=empty, request=request))) == []
    assert spec.check(Exchange.of(httpx.Response(200, json=wrong, request=request)))
    nobody = httpx.Request(method, request.url, headers={"accept": "application/json"}, json=body)
    assert spec.check(Exchange.of(httpx.Response(200, json=empty, request=nobody))), "without a token"


def test_a_relative_or_nameless_adjustment_is_wrong_to_the_judge() -> None:
    spec = load_spec()
    url = "http://sandbox/stores/store_hash/v3/inventory/adjustments/absolute"
    for items in ([{"location_id": 1, "quantity": 1}], [{"location_id": 1, "variant_id": 1, "quantity": 1, "by": 2}]):
        request = httpx.Request("PUT", url, headers={"x-auth-token": "t"}, json={"items": items})
        assert spec.check(Exchange.of(httpx.Response(200, json={"transaction_id": "1"}, request=request)))
