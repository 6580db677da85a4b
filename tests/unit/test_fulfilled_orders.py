"""What each channel's own order says was sent, as the neutral document has it: only where it is told beyond doubt."""

from typing import Any

import pytest

from adapters.channels.amazon import amazon_orders
from adapters.channels.bigcommerce import bigcommerce_orders
from adapters.channels.declared.declared_fields import Orders
from adapters.channels.declared.declared_mapping import translate_order
from adapters.channels.ebay import ebay_orders
from adapters.channels.shopify import shopify_orders
from adapters.channels.woocommerce import woocommerce_orders

NOON = "2026-11-20T12:00:00"


def woo(status: str, completed: Any, refunded: dict[str, Any] | None = None) -> Any:
    row = {
        "id": 7, "status": status, "date_created_gmt": NOON, "date_modified_gmt": NOON, "date_completed_gmt": completed,
        "line_items": [{"id": 1, "product_id": 5, "quantity": 3}, {"id": 2, "product_id": 6, "quantity": 1}],
    }  # fmt: skip
    document = woocommerce_orders.translate_order(row, [refunded] if refunded else [], "row")
    assert document is not None
    return document.get("fulfilled")


def test_woocommerce_says_it_of_whole_orders() -> None:
    assert woo("processing", None) is None
    assert woo("cancelled", "2026-11-20T10:00:00") is None
    everything = [{"line_id": "1", "quantity": 3}, {"line_id": "2", "quantity": 1}]
    assert woo("completed", "2026-11-20T10:00:00") == everything
    assert woo("completed", None) == everything
    assert woo("refunded", None) is None
    assert woo("refunded", "2026-11-20T10:00:00") == everything

    def refund(at: str) -> dict[str, Any]:
        item = {"id": 9, "product_id": 5, "quantity": -3, "meta_data": [{"key": "_refunded_item_id", "value": "1"}]}
        return {"id": 8, "date_created_gmt": at, "reason": "", "line_items": [item]}

    assert woo("completed", "2026-11-20T10:00:00", refund("2026-11-20T11:00:00")) == everything
    before = refund("2026-11-20T09:00:00")
    assert woo("completed", "2026-11-20T10:00:00", before) == [{"line_id": "2", "quantity": 1}]
    assert woo("completed", None, before) == [{"line_id": "2", "quantity": 1}]
    assert woo("completed", 12, before) == [{"line_id": "2", "quantity": 1}]


@pytest.mark.parametrize(
    ("rest", "never", "sent"),
    [(3, 0, 0), (1, 0, 2), (0, 0, 3), (1, 1, 1), (0, 3, 0), (0, 9, 0), (None, 0, 0), (0, None, 0), ("1", 0, 0),
     (True, 0, 0), ({"x": 1}, 0, 0), (-1, 0, 0)],
)  # fmt: skip
def test_shopify_says_it_of_units(rest: Any, never: Any, sent: int) -> None:
    line = {
        "id": "L",
        "quantity": 3,
        "currentQuantity": 3,
        "unfulfilledQuantity": rest,
        "nonFulfillableQuantity": never,
    }
    document = shopify_orders.translate({"id": "O", "createdAt": NOON, "updatedAt": NOON}, [line], [], "here")
    assert document.get("fulfilled") == ([{"line_id": "L", "quantity": sent}] if sent else None)
    edited = {**line, "currentQuantity": 1, "unfulfilledQuantity": 0, "nonFulfillableQuantity": 0}
    document = shopify_orders.translate({"id": "O", "createdAt": NOON, "updatedAt": NOON}, [edited], [], "here")
    assert document["fulfilled"] == [{"line_id": "L", "quantity": 1}]


@pytest.mark.parametrize(("sent", "told"), [(0, None), (2, 2), (None, None), ("2", None), (-1, None), (True, None)])
def test_amazon_says_it_of_units(sent: Any, told: int | None) -> None:
    item = {"orderItemId": "1", "quantityOrdered": 2, "product": {"sellerSku": "S"},
            "fulfillment": {"quantityFulfilled": sent, "quantityUnfulfilled": 0}}  # fmt: skip
    row = {"orderId": "A", "createdTime": NOON, "lastUpdatedTime": NOON, "orderItems": [item],
           "fulfillment": {"fulfilledBy": "MERCHANT", "fulfillmentStatus": "SHIPPED"}}  # fmt: skip
    document = amazon_orders.translate(row, "row")
    assert document is not None
    assert document.get("fulfilled") == (None if told is None else [{"line_id": "1", "quantity": told}])


@pytest.mark.parametrize("status", ["NOT_STARTED", "IN_PROGRESS", None, "FULFILLED"])
def test_ebay_says_it_of_whole_lines(status: Any) -> None:
    item = {"lineItemId": "1", "sku": "S", "quantity": 2, "lineItemFulfillmentStatus": status}
    row = {"orderId": "1-2", "creationDate": NOON, "lastModifiedDate": NOON, "cancelStatus": {}, "lineItems": [item]}
    told = ebay_orders.translate_order(row, "row").get("fulfilled")
    assert told == ([{"line_id": "1", "quantity": 2}] if status == "FULFILLED" else None)


@pytest.mark.parametrize(("sent", "told"), [(0, None), (2, 2), (None, None), ("x", None), (-1, None)])
def test_bigcommerce_says_it_of_units(sent: Any, told: int | None) -> None:
    line = {"id": 1, "product_id": 5, "variant_id": 6, "quantity": 2, "quantity_shipped": sent}
    row = {"id": 9, "status_id": 11, "date_created": NOON, "date_modified": NOON}
    document = bigcommerce_orders.translate_order(row, [line], [], "row")
    assert document is not None
    assert document.get("fulfilled") == (None if told is None else [{"line_id": "1", "quantity": told}])


@pytest.mark.parametrize(("sent", "told"), [(0, None), (2, 2), (None, None), (-3, None)])
def test_a_declared_channel_says_it_where_its_mapping_does(sent: Any, told: int | None) -> None:
    line = {"line_id": "id", "listing_ref": "article", "quantity": "ordered", "fulfilled": "sent"}
    fields = {"order_id": "no", "placed_at": "at", "updated_at": "at", "lines": "lines", "line": line}
    orders = Orders.model_validate(
        {"path": "/orders", "params": {"since": "{updated_since}"}, "records": "orders", "sort": "steady",
         "paging": {"kind": "none"}, "fields": fields}
    )  # fmt: skip
    row = {"no": "1", "at": NOON, "lines": [{"id": "1", "article": "x", "ordered": 2, "sent": sent}]}
    document = translate_order(orders, row)
    assert document is not None
    assert document.get("fulfilled") == (None if told is None else [{"line_id": "1", "quantity": told}])
