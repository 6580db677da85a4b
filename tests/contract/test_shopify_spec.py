"""Our operations and the sandbox's answers, judged by the vendor's own schema (when it is at hand)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import graphql
import pytest
from pydantic import SecretStr
from shopify_stage import load_spec
from spec_graphql import GraphQlSpec

from adapters.channels.protocol import Change
from adapters.channels.shopify.shopify import Shopify
from adapters.channels.shopify.shopify_catalogue import VARIANTS_PER_PAGE
from adapters.channels.shopify.shopify_pauses import ITEMS_PER_READ
from adapters.channels.shopify.shopify_queries import (
    MOST_POINTS,
    OPERATIONS,
    REFUNDS_IN_PAGE,
    REFUNDS_MOST,
    Operation,
    pull_cost,
)
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.shopify.shopify import LOCATION_ID, create_app
from adapters.sandbox.shopify.shopify_cost import CostModel
from adapters.sandbox.shopify.shopify_sdl import SDL

PERSONAL = re.compile(r"email|phone|name|address|customer|note|ip|tag|attribute|location\w*Name", re.IGNORECASE)
HARMLESS = {"name"}
"""`InventoryQuantity.name` is "available", not a person."""


@pytest.fixture(scope="module")
def vendor() -> GraphQlSpec:
    spec = load_spec()
    assert isinstance(spec, GraphQlSpec)
    return spec


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operations_are_valid(vendor: GraphQlSpec, operation: Operation) -> None:
    assert vendor.operation_errors(operation.text) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operations_ask_for_no_personal_data(operation: Operation) -> None:
    asked = {token for token in re.findall(r"^\s*(\w+)|\{ ?(\w+)", operation.text, re.MULTILINE)}
    names = {name for pair in asked for name in pair if name} - HARMLESS
    assert not [name for name in names if PERSONAL.fullmatch(name)]


def test_page_sizes_in_the_text_are_the_constants() -> None:
    texts = {operation.name: operation.text for operation in OPERATIONS}
    assert f"refunds(first: {REFUNDS_IN_PAGE})" in texts["PullOrders"]
    assert f"refunds(first: {REFUNDS_MOST})" in texts["OrderRefunds"]


def test_the_sandbox_schema_is_a_part_of_the_vendors(vendor: GraphQlSpec) -> None:
    ours = graphql.build_schema(SDL)
    assert [problem for name, kind in ours.type_map.items() for problem in strays(name, kind, vendor.schema)] == []


def strays(name: str, ours: graphql.GraphQLNamedType, vendor: graphql.GraphQLSchema) -> Iterator[str]:
    """What our type has and the vendor's has not."""
    if name.startswith("__"):
        return
    theirs = vendor.type_map.get(name)
    if type(theirs) is not type(ours):
        yield name
    elif isinstance(ours, graphql.GraphQLEnumType) and isinstance(theirs, graphql.GraphQLEnumType):
        yield from (f"{name}.{value}" for value in ours.values if value not in theirs.values)
    elif isinstance(ours, graphql.GraphQLInputObjectType) and isinstance(theirs, graphql.GraphQLInputObjectType):
        for key in ours.fields.keys() | theirs.fields.keys():
            mine, given = ours.fields.get(key), theirs.fields.get(key)
            unasked = mine is None and given is not None and not graphql.is_required_input_field(given)
            if not unasked and str(getattr(mine, "type", None)) != str(getattr(given, "type", None)):
                yield f"{name}.{key}"
    elif isinstance(ours, graphql.GraphQLObjectType) and isinstance(theirs, graphql.GraphQLObjectType):
        for key, field in ours.fields.items():
            same = theirs.fields.get(key)
            if same is None or str(same.type) != str(field.type):
                yield f"{name}.{key}"
            elif not field.args.keys() <= same.args.keys():
                yield f"{name}.{key}(…)"


def test_no_operation_asks_for_more_points_than_one_may() -> None:
    sizes: dict[str, dict[str, Any]] = {
        "PullOrders": {"first": 25, "lines": 10},
        "OrderLines": {"first": 250},
        "Refunds": {"ids": ["x"] * 5, "first": 50},
        "RefundLines": {"first": 250},
        "ReadQuantities": {"ids": ["x"] * Shopify.capabilities.read_batch},
        "ReadLocations": {"first": 100},
        "ReadOrders": {"ids": ["x"] * 25, "lines": 10},
        "ReadCatalogue": {"first": VARIANTS_PER_PAGE},
        "ReadPolicies": {"ids": ["x"] * ITEMS_PER_READ},
    }
    schema = graphql.build_schema(SDL)
    costs = {
        operation.name: CostModel(schema, graphql.parse(operation.text)).requested(sizes.get(operation.name, {}))
        for operation in OPERATIONS
    }
    assert costs["PullOrders"] == pull_cost(25, 10)
    assert {name: cost for name, cost in costs.items() if cost > MOST_POINTS} == {}
    with pytest.raises(ValueError, match="too much"):
        Shopify("s", base_url="http://s.test", access_token=SecretStr("t"), location_id="l", orders_per_page=27)


# Answers


@pytest.fixture
def exchanged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Operation, Any]]]:
    """Every kind of call once, against a shop with every kind of order: (operation, data)."""
    shop = Shop(now=lambda: datetime(2026, 11, 20, 6, 0, tzinfo=UTC))
    # With one location, so that a pause cannot be had by one switch.
    app = create_app(shop, access_token="t", maximum_available=1e6, restore_rate=1e6)
    for sku in "ABC":
        shop.add_product(sku, sku, 500)
    with serve(app) as url:
        channel = Shopify("shop", base_url=url, access_token=SecretStr("t"), location_id=LOCATION_ID, lines_per_page=2)
        seen: list[tuple[Operation, Any]] = []
        run = channel._client.run

        def record(operation: Operation, variables: Any) -> Any:
            data = run(operation, variables)
            seen.append((operation, data))
            return data

        monkeypatch.setattr(channel._client, "run", record)
        trade(shop)
        shop.product("B").oversell_allowed = True
        exercise(channel, [shop.naming.listing(number) for number in shop.products])
        channel.close()
    yield seen


def trade(shop: Shop) -> None:
    big = shop.checkout([("A", 2)] * 60).order
    small = shop.checkout([("B", 1)]).order
    edited = shop.checkout([("C", 3)]).order
    assert big and small and edited
    shop.cancel(edited.number, [(edited.lines[0].number, 1)], how="remove")
    shop.cancel(edited.number, [(edited.lines[0].number, 1)], how="return")
    shop.cancel(small.number, reason="fraud", restock=False)
    for line in big.lines[:REFUNDS_IN_PAGE]:
        shop.cancel(big.number, [(line.number, 1)])
    shop.cancel(big.number, reason="inventory")


def exercise(channel: Shopify, refs: list[str]) -> None:
    pages = list(channel.pull_orders(datetime(2026, 1, 1, tzinfo=UTC)))
    assert sum(len(page.orders) for page in pages) == 3
    assert not [defect for page in pages for defect in page.defects]
    channel.read_quantities([*refs, "gid://shopify/InventoryItem/1"])
    channel.read_locations(refs[:1])
    channel.set_quantities([Change(refs[0], 5, None), Change(refs[1], 5, -77), Change(refs[2], -5, None)], "k1")
    ids = [order["order_id"] for page in pages for order in page.orders]
    assert len(channel.read_orders([*ids, "gid://shopify/Order/1"]).orders) == 3
    assert [len(page.entries) for page in channel.read_catalogue()] == [len(refs)]
    channel.resume(channel.pause(refs))


def test_the_sandbox_answers_as_the_vendors_schema_says(
    vendor: GraphQlSpec, exchanged: list[tuple[Operation, Any]]
) -> None:
    assert {operation.name for operation, _ in exchanged} == {operation.name for operation in OPERATIONS}
    assert [problem for operation, data in exchanged for problem in vendor.misfits(operation.text, data)] == []
