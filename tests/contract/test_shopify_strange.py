"""Strange answers of a Shopify shop: what is translated, what is a defect, what is a fault."""

from typing import Any

import pytest
from shopify_stage import EVER, LOCATION_ID, OTHER_LOCATION, scripted

from adapters.http import ChannelFault, Resolution


def an_order(**changed: Any) -> dict[str, Any]:
    line = {"id": "l1", "sku": "A", "quantity": 2, "currentQuantity": 2, "variant": {"inventoryItem": {"id": "i1"}}}
    return {
        "id": "o1",
        "createdAt": "2026-11-20T06:00:00Z",
        "updatedAt": "2026-11-20T06:00:00Z",
        "cancelledAt": None,
        "cancelReason": None,
        "test": False,
        "refunds": [],
        "lineItems": {"nodes": [line | changed.pop("line", {})], "pageInfo": {"hasNextPage": False, "endCursor": "x"}},
    } | changed


def a_page(*nodes: Any, **info: Any) -> dict[str, Any]:
    info = info or {"hasNextPage": False, "endCursor": None}
    return {"data": {"orders": {"nodes": list(nodes), "pageInfo": info}}}


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "order",
        7,
        [],
        {},
        an_order(lineItems=None),
        an_order(lineItems={"nodes": [None]}),
        an_order(refunds="none"),
    ],
)
def test_what_cannot_be_translated_is_a_defect_and_the_rest_goes_on(broken: Any) -> None:
    (page,) = scripted(a_page(an_order(), broken, an_order(id="o2"))).pull_orders(EVER)
    assert [order["order_id"] for order in page.orders] == ["o1", "o2"]
    (defect,) = page.defects
    assert defect.key
    assert defect.reason


def test_strange_values_are_passed_on_as_they_came() -> None:
    strange = an_order(id=None, createdAt="yesterday", line={"quantity": "two", "sku": None, "variant": None})
    absurd = an_order(id="o2", line={"quantity": -4, "currentQuantity": 10**12})
    (page,) = scripted(a_page(strange, absurd)).pull_orders(EVER)
    first, second = page.orders
    assert (first["order_id"], first["placed_at"]) == (None, "yesterday")
    assert first["lines"] == [{"line_id": "l1", "listing_ref": None, "sku": None, "quantity": "two"}]
    assert second["lines"][0]["quantity"] == -4
    assert not page.defects
    (page,) = scripted(a_page(an_order(line={"quantity": 10**12, "currentQuantity": 0}))).pull_orders(EVER)
    assert len(page.defects) == 1


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"data": None},
        {"data": {"orders": None}},
        {"data": {"orders": {"nodes": None, "pageInfo": {"hasNextPage": False}}}},
        {"data": {"orders": {"nodes": []}}},
        a_page(hasNextPage=True, endCursor=None),
        a_page(hasNextPage="no"),
    ],
)
def test_a_page_that_cannot_be_read_is_never_the_end(body: Any) -> None:
    with pytest.raises(ChannelFault) as caught:
        list(scripted(body).pull_orders(EVER))
    assert caught.value.resolution is Resolution.MALFORMED


def test_a_page_with_an_error_in_it_is_no_page() -> None:
    body = a_page(an_order()) | {"errors": [{"message": "boom", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}
    with pytest.raises(ChannelFault) as caught:
        list(scripted(body).pull_orders(EVER))
    assert (caught.value.resolution, caught.value.code) == (Resolution.RETRY, "INTERNAL_SERVER_ERROR")


@pytest.mark.parametrize(
    ("error", "resolution"),
    [
        ({"extensions": {"code": "ACCESS_DENIED"}, "path": ["x"]}, Resolution.REAUTHENTICATE),
        ({"extensions": {"code": "undefinedField"}, "path": ["query"]}, Resolution.REJECT),
        ({"locations": [{"line": 1, "column": 2}]}, Resolution.REJECT),
    ],
)
def test_errors_by_code(error: Any, resolution: Resolution) -> None:
    with pytest.raises(ChannelFault) as caught:
        list(scripted({"errors": [error]}).pull_orders(EVER))
    assert caught.value.resolution is resolution


def test_restocked_elsewhere_is_not_on_our_counter() -> None:
    line = {"id": None, "quantity": 1, "restockType": "CANCEL", "restocked": True, "lineItem": {"id": "l1"}}
    lines = [line | {"location": {"id": LOCATION_ID}}, line | {"location": {"id": OTHER_LOCATION}}]
    info = {"hasNextPage": False, "endCursor": None}
    refund = {"id": "r1", "processedAt": "2026-11-20T07:00:00Z", "refundLineItems": {"nodes": lines, "pageInfo": info}}
    order = an_order(refunds=[{"id": "r1"}], line={"currentQuantity": 0})
    (page,) = scripted(a_page(order), {"data": {"nodes": [refund]}}).pull_orders(EVER)
    reversals = page.orders[0]["reversals"]
    assert [reversal["restocked"] for reversal in reversals] == [True, False]
    assert len({reversal["reversal_id"] for reversal in reversals}) == 2
