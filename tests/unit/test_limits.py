"""Limits of resources that no other test reaches, each from both sides."""

from pathlib import Path
from typing import Any

import httpx
import parser_readers as readers
import pytest

from adapters import seller_csv
from adapters.channels.amazon import amazon_orders
from adapters.channels.declared import declared_mapping
from adapters.channels.declared.declared_mapping import translate_order
from adapters.channels.declared.declared_values import UntranslatableError
from adapters.channels.shopify import shopify_orders
from adapters.http import ChannelFault, Resolution, call, make_client
from adapters.seller_csv import CsvError, read_csv
from adapters.suppliers import feed_content
from adapters.suppliers.feed_content import FeedError
from adapters.suppliers.feed_source import read_feed


def shopify(lines: int, gone: int) -> Any:
    node = {"id": "o", "refunds": []}
    items = [{"id": f"l{n}", "quantity": gone, "currentQuantity": 0} for n in range(lines)]
    return shopify_orders.translate(node, items, [], "here")


def amazon(lines: int, gone: int) -> Any:
    rest = {"fulfillment": {"quantityFulfilled": 0, "quantityUnfulfilled": 0}, "product": {"sellerSku": "A"}}
    items = [{"orderItemId": f"l{n}", "quantityOrdered": gone, **rest} for n in range(lines)]
    order = {"orderId": "o", "fulfillment": {"fulfillmentStatus": "PARTIALLY_SHIPPED"}, "orderItems": items}
    return amazon_orders.translate(order, "row 0")


def portal(lines: int, gone: int) -> Any:
    items = [{"id": f"l{n}", "article": "X", "sku": "A", "ordered": gone, "open": 0} for n in range(lines)]
    order = {"id": "o", "placed_at": "2026-11-20T10:00:00Z", "changed_at": "2026-11-20T10:00:00Z", "state": "confirmed"}
    return translate_order(readers.portal().orders, {**order, "lines": items, "test": False})


@pytest.mark.parametrize(
    ("module", "read", "error", "fits"),
    [
        (shopify_orders, shopify, shopify_orders.Untranslatable, 6),
        (amazon_orders, amazon, amazon_orders.UntranslatableError, 6),
        (declared_mapping, portal, UntranslatableError, 12),
    ],
)
def test_an_order_does_not_grow_by_what_is_gone(
    module: Any, read: Any, error: type[Exception], fits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNITS_GONE", 6)
    assert len(read(fits // 3, 3)["reversals"]) == fits
    for lines, gone in ((1, 7), (fits // 3 + 1, 3)):
        with pytest.raises(error, match="more than"):
            read(lines, gone)


def test_a_table_has_so_many_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(seller_csv, "MAX_ROWS", 3)
    assert len(read_csv("sku\nA\nB\nC\n", required=["sku"], folder=tmp_path).rows) == 3
    with pytest.raises(CsvError, match="more than 3 rows"):
        read_csv("sku\nA\nB\nC\nD\n", required=["sku"], folder=tmp_path)
    monkeypatch.setattr(seller_csv, "MAX_BYTES", 10)
    (tmp_path / "large.csv").write_text("sku\nA\nB\nC\n\n\n")
    with pytest.raises(CsvError, match="larger than"):
        read_csv("large.csv", required=["sku"], folder=tmp_path)


def test_a_feed_has_so_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_content, "MAX_ROWS", 2)
    rows = b"".join(b'<article no="A%d"><free>1</free></article>' % number for number in range(3))
    with pytest.raises(FeedError, match="more than 2 rows"):
        read_feed(b"<stock>" + rows + b"</stock>", readers.XML_FEED)


@pytest.mark.parametrize("depth", [500, 100_000])
def test_depth_is_no_way_in(depth: int) -> None:
    """Whatever JSON's reader makes of it: a value, or a fault in our own words."""
    content = b"[" * depth + b"]" * depth
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=content))
    with make_client(base_url="https://shop.test", transport=transport) as client:
        try:
            call(client, "shop", "GET", "/orders", writes=False)
        except ChannelFault as fault:
            assert fault.resolution is Resolution.MALFORMED
    with pytest.raises(FeedError):
        read_feed(content, readers.JSON_FEED)
    with pytest.raises(FeedError, match="nested more than"):
        read_feed(b"<a>" * depth + b"</a>" * depth, readers.XML_FEED)
