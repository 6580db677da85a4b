"""Our requests and the imitated shop's answers against the vendor's own specification and examples.

The specification is derived from the vendor's documentation and is not part of this repository.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from adapters.channels.protocol import Change, ChangeStatus
from adapters.channels.woocommerce import WooCommerce
from adapters.channels.woocommerce_orders import translate_order, translate_refund
from adapters.http import ChannelFault
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.woocommerce import create_app
from adapters.sandbox.woocommerce_documents import Catalogue

SPECS = Path(__file__).resolve().parents[2].parent / "shared" / "specs" / "woocommerce"
SPECIFICATION = SPECS / "wc_v3_subset.derived.openapi.json"
API = "/wp-json/wc/v3"
AUTH = ("ck_1", "cs_1")
OF_WORDPRESS = {"_fields"}
"""Global parameters of WordPress's REST API; the vendor's pages do not repeat them."""
PAGING = {"page": {"type": "integer"}, "per_page": {"type": "integer", "minimum": 1, "maximum": 100}}
"""Documented for every list, but absent from the derived specification for refunds."""

pytestmark = pytest.mark.skipif(not SPECIFICATION.is_file(), reason="../shared/specs/woocommerce is not here")


class Specification:
    """Validates messages, and counts them by kind."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = json.loads(SPECIFICATION.read_text())
        # The documentation's table calls it an integer for refunds only; the shops send a text, as everywhere.
        schemas = self.document["components"]["schemas"]
        refund_item = schemas["OrderRefund"]["properties"]["line_items"]["items"]["properties"]
        refund_item["tax_class"] = schemas["Order"]["properties"]["line_items"]["items"]["properties"]["tax_class"]
        self.counts: Counter[str] = Counter()
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", r"\\d+", path)), path) for path in self.document["paths"] if "{" in path
        ]

    def check(self, kind: str, schema: dict[str, Any], value: Any) -> None:
        whole = {**schema, "components": self.document["components"]}
        Draft202012Validator(whole).validate(value)
        self.counts[kind] += 1

    def exchange(self, request: httpx.Request, status: int, body: Any) -> None:
        operation = self.operation(request)
        known = {parameter["name"]: parameter["schema"] for parameter in operation.get("parameters", [])}
        known = {**PAGING, **known} if request.url.path.endswith("/refunds") else known
        for name, text in request.url.params.items():
            if name not in OF_WORDPRESS:
                assert name in known, f"{name} is not documented"
                self.check("parameter", known[name], _typed(text, known[name]))
        if request.method == "POST":
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            self.check("request body", schema, json.loads(request.content))
        answers = operation["responses"][str(status)]["content"]["application/json"]
        self.check(f"answer {status}", answers["schema"], body)

    def operation(self, request: httpx.Request) -> dict[str, Any]:
        path = request.url.path.removeprefix(API)
        named = path if path in self.document["paths"] else next(t for found, t in self._paths if found.fullmatch(path))
        operation: dict[str, Any] = self.document["paths"][named][request.method.lower()]
        return operation


def _typed(text: str, schema: dict[str, Any]) -> Any:
    if schema["type"] == "integer":
        return int(text)
    return {"true": True, "false": False}[text] if schema["type"] == "boolean" else text


class Recording(httpx.BaseTransport):
    def __init__(self) -> None:
        self._wire = httpx.HTTPTransport()
        self.exchanges: list[tuple[httpx.Request, int, Any]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._wire.handle_request(request)
        answer.read()
        self.exchanges.append((request, answer.status_code, answer.json()))
        return answer

    def close(self) -> None:
        self._wire.close()


@pytest.fixture(scope="module")
def specification() -> Iterator[Specification]:
    made = Specification()
    yield made
    print(f"\nvalidated against the vendor's specification: {sum(made.counts.values())}, {dict(made.counts)}")


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
    base: str, catalogue: Catalogue, specification: Specification
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
    products = httpx.get(f"{base}{API}/products", auth=AUTH).json()
    refs = [str(product["id"]) for product in products]
    refs += [f"{parent}/{number}" for number, parent in {**catalogue.parents, **catalogue.shared}.items()]
    assert len(channel.read_quantities([*refs, "99999/1"])) == len(refs)
    results = channel.set_quantities([Change(ref, 6, None) for ref in [*refs, "99999", "99999/1"]], "key")
    assert {result.status for result in results} == {ChangeStatus.DONE, ChangeStatus.REJECTED}
    with pytest.raises(ChannelFault):
        stranger.pull_orders(datetime(2020, 1, 1, tzinfo=UTC))
    stranger.close()
    channel.close()
    for request, status, body in wire.exchanges:
        specification.exchange(request, status, body)
    assert {status for _, status, _ in wire.exchanges} == {200, 401, 404}
    assert len(wire.exchanges) >= 14


def test_the_whole_documents_of_the_shop_are_in_the_specification(
    base: str, catalogue: Catalogue, specification: Specification
) -> None:
    parent = next(iter(catalogue.parents.values()))
    with httpx.Client(base_url=f"{base}{API}", auth=AUTH) as client:
        orders = client.get("/orders", params={"per_page": 100}).json()
        refunded = next(order["id"] for order in orders if order["refunds"])
        refunds = client.get(f"/orders/{refunded}/refunds").json()
        paths = ["/orders", f"/orders/{refunded}/refunds", "/products", f"/products/{parent}/variations"]
        for path in [*paths, "/orders/99999/refunds", "/products/99999/variations"]:
            answer = client.get(path)
            specification.exchange(answer.request, answer.status_code, answer.json())
        refused = client.get("/orders?per_page=101").json()
    specification.check("answer 400", {"$ref": "#/components/schemas/Error"}, refused)
    (example,) = _examples("order.json")
    for name in ("id", "status", "date_created_gmt", "total", "line_items", "refunds", "billing", "shipping"):
        assert type(orders[0][name]) is type(example[name])
    assert orders[0].keys() <= example.keys()
    assert orders[0]["line_items"][0].keys() == example["line_items"][0].keys()
    assert refunds[0].keys() == _examples("refund.json")[0].keys()


def _examples(name: str) -> list[Any]:
    document = json.loads((SPECS / "examples" / name).read_text())
    if isinstance(document, dict) and "id" not in document:
        return [row for rows in document.values() for row in rows]
    return document if isinstance(document, list) else [document]


@pytest.mark.parametrize("name", ["order.json", "orders_list.json", "order_batch.json"])
def test_the_vendors_orders_are_translated(name: str, specification: Specification) -> None:
    for row in _examples(name):
        specification.check("example", {"$ref": "#/components/schemas/Order"}, row)
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


def test_the_vendors_refund_of_money_takes_no_units_back(specification: Specification) -> None:
    for row in _examples("refund.json"):
        specification.check("example", {"$ref": "#/components/schemas/OrderRefund"}, row)
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
def test_the_vendors_products_are_read(name: str, schema: str, below: bool, specification: Specification) -> None:
    rows = _examples(name)
    for row in rows:
        # One example has a number for the id of a download, which the vendor's own table calls a text.
        plain = {key: value for key, value in row.items() if key != "downloads"}
        specification.check("example", {"$ref": f"#/components/schemas/{schema}"}, plain)

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
