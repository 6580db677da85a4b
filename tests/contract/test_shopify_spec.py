"""Our operations and the sandbox's answers, judged by the vendor's own schema (when it is at hand)."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import graphql
import pytest
from pydantic import SecretStr

from adapters.channels.protocol import Change
from adapters.channels.shopify import Shopify
from adapters.channels.shopify_queries import (
    MOST_POINTS,
    OPERATIONS,
    REFUNDS_IN_PAGE,
    REFUNDS_MOST,
    Operation,
    pull_cost,
)
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.shopify import LOCATION_ID, create_app
from adapters.sandbox.shopify_cost import CostModel
from adapters.sandbox.shopify_schema import SDL

SPEC = Path(__file__).parents[3] / "shared/specs/shopify/sdl/admin_2026-10.nodesc.graphql"
PERSONAL = re.compile(r"email|phone|name|address|customer|note|ip|tag|attribute|location\w*Name", re.IGNORECASE)
HARMLESS = {"name"}
"""`InventoryQuantity.name` is "available", not a person."""

needs_spec = pytest.mark.skipif(not SPEC.exists(), reason=f"the vendor's schema is not at {SPEC.name}")


@pytest.fixture(scope="module")
def vendor() -> graphql.GraphQLSchema:
    # The vendor's own schema breaks a rule that graphql-core 3.3 enforces; our documents are what is judged.
    return graphql.build_schema(SPEC.read_text(), assume_valid=True)


@needs_spec
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operations_are_valid(vendor: graphql.GraphQLSchema, operation: Operation) -> None:
    assert graphql.validate(vendor, graphql.parse(operation.text)) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operations_ask_for_no_personal_data(operation: Operation) -> None:
    asked = {token for token in re.findall(r"^\s*(\w+)|\{ ?(\w+)", operation.text, re.MULTILINE)}
    names = {name for pair in asked for name in pair if name} - HARMLESS
    assert not [name for name in names if PERSONAL.fullmatch(name)]


def test_page_sizes_in_the_text_are_the_constants() -> None:
    texts = {operation.name: operation.text for operation in OPERATIONS}
    assert f"refunds(first: {REFUNDS_IN_PAGE})" in texts["PullOrders"]
    assert f"refunds(first: {REFUNDS_MOST})" in texts["OrderRefunds"]


@needs_spec
def test_the_sandbox_schema_is_a_part_of_the_vendors(vendor: graphql.GraphQLSchema) -> None:
    ours = graphql.build_schema(SDL)
    assert [problem for name, kind in ours.type_map.items() for problem in strays(name, kind, vendor)] == []


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
        yield from (
            f"{name}.{key}"
            for key in ours.fields.keys() | theirs.fields.keys()
            if str(getattr(ours.fields.get(key), "type", None)) != str(getattr(theirs.fields.get(key), "type", None))
        )
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


@needs_spec
def test_the_sandbox_answers_as_the_vendors_schema_says(
    vendor: graphql.GraphQLSchema, exchanged: list[tuple[Operation, Any]]
) -> None:
    assert {operation.name for operation, _ in exchanged} == {operation.name for operation in OPERATIONS}
    assert [problem for operation, data in exchanged for problem in misfits(vendor, operation, data)] == []


@needs_spec
def test_the_checker_sees_what_does_not_fit(vendor: graphql.GraphQLSchema) -> None:
    (operation,) = [operation for operation in OPERATIONS if operation.name == "OrderRefunds"]
    for data in ({}, {"order": {}}, {"order": {"refunds": None}}, {"order": {"refunds": [{"id": None}]}}):
        assert misfits(vendor, operation, data)
    assert misfits(vendor, operation, {"order": {"refunds": [], "more": 1}})
    assert misfits(vendor, operation, {"order": None}) == []


SCALARS: dict[str, Callable[[Any], bool]] = {
    "Int": lambda value: type(value) is int and -(2**31) <= value < 2**31,
    "ID": lambda value: isinstance(value, str) and value.startswith("gid://shopify/"),
    "String": lambda value: isinstance(value, str),
    "Boolean": lambda value: isinstance(value, bool),
    "DateTime": lambda value: bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(value))),
}


def misfits(vendor: graphql.GraphQLSchema, operation: Operation, data: Any) -> list[str]:
    """Where the data does not fit the selection under the vendor's types."""
    document = graphql.parse(operation.text)
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, graphql.FragmentDefinitionNode)}
    (definition,) = [d for d in document.definitions if isinstance(d, graphql.OperationDefinitionNode)]
    root = vendor.mutation_type if operation.writes else vendor.query_type

    def fields(selection: Any, kind: Any) -> Iterator[tuple[Any, Any]]:
        for node in selection.selections:
            if isinstance(node, graphql.FieldNode):
                yield node, kind
            elif isinstance(node, graphql.InlineFragmentNode):
                yield from fields(node.selection_set, vendor.type_map[node.type_condition.name.value])
            else:
                fragment = fragments[node.name.value]
                yield from fields(fragment.selection_set, vendor.type_map[fragment.type_condition.name.value])

    def check_object(selection: Any, kind: Any, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{path}: no object"
            return
        expected = list(fields(selection, kind))
        yield from (f"{path}.{name}: not asked" for name in value.keys() - {node.name.value for node, _ in expected})
        for node, owner in expected:
            name = node.name.value
            if name not in value:
                yield f"{path}.{name}: missing"
            else:
                yield from check(owner.fields[name].type, node.selection_set, value[name], f"{path}.{name}")

    def check(kind: Any, selection: Any, value: Any, path: str) -> Iterator[str]:
        if isinstance(kind, graphql.GraphQLNonNull):
            if value is None:
                yield f"{path}: null"
            else:
                yield from check(kind.of_type, selection, value, path)
        elif value is None:
            return
        elif isinstance(kind, graphql.GraphQLList):
            if not isinstance(value, list):
                yield f"{path}: no list"
                return
            for index, item in enumerate(value):
                yield from check(kind.of_type, selection, item, f"{path}[{index}]")
        elif isinstance(kind, graphql.GraphQLEnumType):
            if value not in kind.values:
                yield f"{path}: {value!r} is no {kind}"
        elif isinstance(kind, graphql.GraphQLScalarType):
            if not SCALARS[kind.name](value):
                yield f"{path}: {value!r} is no {kind}"
        else:
            yield from check_object(selection, kind, value, path)

    return list(check_object(definition.selection_set, root, data, operation.name))
