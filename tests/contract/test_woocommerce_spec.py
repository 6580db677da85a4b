"""Our requests and the imitated shop's answers against the vendor's own specification and examples.

The specification is derived from the vendor's documentation and is not part of this repository.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from spec_traffic import SPECS, Exchange, Spec, schema_problems
from woocommerce_stage import document as woocommerce_document
from woocommerce_stage import load_spec

from adapters.channels.protocol import Change, ChangeStatus
from adapters.channels.woocommerce.woocommerce import WooCommerce
from adapters.channels.woocommerce.woocommerce_orders import translate_order, translate_refund
from adapters.http import ChannelFault
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.woocommerce.woocommerce import create_app
from adapters.sandbox.woocommerce.woocommerce_documents import Catalogue

EXAMPLES = SPECS / "woocommerce" / "examples"
API = "/wp-json/wc/v3"
AUTH = ("ck_1", "cs_1")

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="../shared/specs/woocommerce is not here")


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load_spec()


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """By name, with what they refer to."""
    components = woocommerce_document()["components"]
    return {name: {"$ref": f"#/components/schemas/{name}", "components": components} for name in components["schemas"]}


class Recording(httpx.BaseTransport):
    def __init__(self) -> None:
        self._wire = httpx.HTTPTransport()
        self.exchanges: list[Exchange] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._wire.handle_request(request)
        answer.request = request
        answer.read()
        self.exchanges.append(Exchange.of(answer))
        return answer

    def close(self) -> None:
        self._wire.close()


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture(scope="module")
def base(catalogue: Catalogue) -> Iterator[str]:
    """A shop in which everything has happened once."""
    shop = Shop()
    shop.add_product("PLAIN", "Plain", 40)
    shop.add_product("LOOSE", "Not counted", 0, tracked=False)
    shop.add_product("BACK", "Below zero", 0, oversell_allowed=True)
    parent = shop.take_number()
    for colour in ("RED", "BLUE"):
        catalogue.parents[shop.add_product(f"SHIRT-{colour}", "Shirt", 20).number] = parent
    catalogue.shared[shop.take_number()] = shop.add_product("FAMILY", "Family", 9).number
    for number in range(12):
        order = shop.checkout([("PLAIN", 2), ("SHIRT-RED", 1)]).order
        assert order is not None
        if number % 4 == 1:
            shop.cancel(order.number, reason="payment" if number == 1 else "customer")
        if number % 4 == 2:
            shop.cancel(order.number, [(order.lines[0].number, 1)], reason="other")
    with serve(create_app(shop, consumer_key=AUTH[0], consumer_secret=AUTH[1], catalogue=catalogue)) as address:
        yield address


def test_all_that_the_adapter_sends_and_gets_is_in_the_specification(
    base: str, catalogue: Catalogue, spec: Spec
) -> None:
    wire = Recording()
    channel = WooCommerce(
        "woo",
        base_url=base,
        consumer_key=SecretStr(AUTH[0]),
        consumer_secret=SecretStr(AUTH[1]),
        transport=wire,
        page_size=5,
    )
    stranger = WooCommerce(
        "woo", base_url=base, consumer_key=SecretStr("ck_1"), consumer_secret=SecretStr("wrong"), transport=wire
    )
    pages = list(channel.pull_orders(datetime(2020, 1, 1, tzinfo=UTC)))
    assert sum(len(page.orders) for page in pages) == 12
    products = httpx.get(f"{base}{API}/products", auth=AUTH, timeout=60).json()
    refs = [str(product["id"]) for product in products]
    refs += [f"{parent}/{number}" for number, parent in {**catalogue.parents, **catalogue.shared}.items()]
    assert len(channel.read_quantities([*refs, "99999/1"])) == len(refs)
    results = channel.set_quantities([Change(ref, 6, None) for ref in [*refs, "99999", "99999/1"]], "key")
    assert {result.status for result in results} == {ChangeStatus.DONE, ChangeStatus.REJECTED}
    ids = [order["order_id"] for page in pages for order in page.orders]
    assert len(channel.read_orders([*ids, "99999"]).orders) == 12
    assert sum(len(page.entries) for page in channel.read_catalogue()) == 7
    channel.resume(channel.pause([*refs, "99999"]))
    with pytest.raises(ChannelFault):
        stranger.pull_orders(datetime(2020, 1, 1, tzinfo=UTC))
    stranger.close()
    channel.close()
    assert [problem for exchange in wire.exchanges for problem in spec.check(exchange)] == []
    assert {exchange.status for exchange in wire.exchanges} == {200, 401, 404}
    assert len(wire.exchanges) >= 14


def test_the_whole_documents_of_the_shop_are_in_the_specification(base: str, catalogue: Catalogue, spec: Spec) -> None:
    parent = next(iter(catalogue.parents.values()))
    with httpx.Client(base_url=f"{base}{API}", auth=AUTH, timeout=60) as client:
        orders = client.get("/orders", params={"per_page": 100}).json()
        refunded = next(order["id"] for order in orders if order["refunds"])
        refunds = client.get(f"/orders/{refunded}/refunds").json()
        paths = ["/orders", f"/orders/{refunded}/refunds", "/products", f"/products/{parent}/variations"]
        for path in [*paths, "/orders/99999/refunds", "/products/99999/variations"]:
            assert spec.check(Exchange.of(client.get(path))) == []
        refused = client.get("/orders?per_page=101")
        (problem,) = spec.check(Exchange.of(refused))
        assert refused.status_code == 400 and problem.where.startswith("request")
    (example,) = _examples("order.json")
    for name in ("id", "status", "date_created_gmt", "total", "line_items", "refunds", "billing", "shipping"):
        assert type(orders[0][name]) is type(example[name])
    assert orders[0].keys() <= example.keys()
    assert orders[0]["line_items"][0].keys() == example["line_items"][0].keys()
    assert refunds[0].keys() == _examples("refund.json")[0].keys()


def _examples(name: str) -> list[Any]:
    document = json.loads((EXAMPLES / name).read_text())
    if isinstance(document, dict) and "id" not in document:
        return [row for rows in document.values() for row in rows]
    return document if isinstance(document, list) else [document]


@pytest.mark.parametrize("name", ["order.json", "orders_list.json", "order_batch.json"])
def test_the_vendors_orders_are_translated(name: str, schemas: dict[str, Any]) -> None:
    for row in _examples(name):
        assert schema_problems(schemas["Order"], row) == []
        document = translate_order(row, [], "row 0")
        assert document is not None
        text = json.dumps(document)
        assert not [word for word in ("John", "Doe", "Market", "555", "example.com", "bacs") if word in text]
        assert document["order_id"] == str(row["id"])
        assert datetime.fromisoformat(document["placed_at"]).utcoffset() is not None
        assert [line["quantity"] for line in document["lines"]] == [item["quantity"] for item in row["line_items"]]
        assert all(re.fullmatch(r"\d+(/\d+)?", line["listing_ref"]) for line in document["lines"])
        if row["id"] == 727 and name == "order.json":
            assert [line["listing_ref"] for line in document["lines"]] == ["93", "22/23"]


def test_the_vendors_refund_of_money_takes_no_units_back(schemas: dict[str, Any]) -> None:
    for row in _examples("refund.json"):
        assert schema_problems(schemas["OrderRefund"], row) == []
        assert translate_refund(row, [], "723") == []


@pytest.mark.parametrize(
    ("name", "schema", "below"),
    [
        ("product.json", "Product", False),
        ("products_list.json", "Product", False),
        ("product_batch.json", "Product", False),
        ("variation.json", "ProductVariation", True),
        ("variations_batch.json", "ProductVariation", True),
    ],
)
def test_the_vendors_products_are_read(name: str, schema: str, below: bool, schemas: dict[str, Any]) -> None:
    rows = _examples(name)
    for row in rows:
        # One example has a number for the id of a download, which the vendor's own table calls a text.
        plain = {key: value for key, value in row.items() if key != "downloads"}
        assert schema_problems(schemas[schema], plain) == []

    def answer(request: httpx.Request) -> httpx.Response:
        wanted = set(request.url.params["include"].split(","))
        found = [row for row in rows if str(row["id"]) in wanted]
        return httpx.Response(200, json=found, headers={"X-WP-Total": str(len(found))})

    channel = WooCommerce(
        "woo",
        base_url="https://shop.example",
        consumer_key=SecretStr("k"),
        consumer_secret=SecretStr("s"),
        transport=httpx.MockTransport(answer),
    )
    refs = [f"22/{row['id']}" if below else str(row["id"]) for row in rows]
    readings = channel.read_quantities(refs)
    channel.close()
    assert [reading.listing_ref for reading in readings] == list(dict.fromkeys(refs))
    assert {(reading.quantity, reading.tracked) for reading in readings} == {(0, False)}
