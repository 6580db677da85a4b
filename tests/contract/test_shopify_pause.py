"""What is Shopify's own about reading single orders, the catalogue and a pause; the rest is in the contract suite."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from shopify_stage import LOCATION_ID, OTHER_LOCATION, TOKEN, Place, Stage, scripted, served

from adapters.channels.protocol import CatalogueEntry
from adapters.channels.shopify.shopify import Shopify
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.faults import FaultKind
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.shopify.shopify import create_app


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[Stage]:
    with place.stage(orders_per_page=3, lines_per_page=2, lines_per_call=50) as built:
        yield built


@contextmanager
def small_shop(**locations: Any) -> Iterator[tuple[Shop, Shopify, list[str]]]:
    """Of one location, if nothing else is said."""
    shop = Shop()
    for sku in "ABC":
        shop.add_product(sku, f"Thing {sku}", 10)
    with serve(create_app(shop, access_token=TOKEN, **locations)) as base:
        channel = Shopify("shop", base_url=base, access_token=SecretStr(TOKEN), location_id=LOCATION_ID)
        yield shop, channel, [shop.naming.listing(number) for number in shop.products]
        channel.close()


def test_single_orders_are_the_documents_of_the_pull(stage: Stage) -> None:
    orders = [stage.buy(("A", 2), ("B", 1), ("C", 3)) for _ in range(8)]
    stage.shop.cancel(orders[0].number, [(orders[0].lines[0].number, 1)])
    stage.shop.cancel(orders[1].number, reason="inventory")
    pulled = {document["order_id"]: document for document in stage.pull()}
    unknown = ["gid://shopify/Order/999999", "gid://shopify/Customer/1", "nonsense", "", "gid://shopify/Order/1\n"]
    page = stage.channel.read_orders([*unknown, *pulled, *pulled])
    assert page.defects == []
    assert {document["order_id"]: document for document in page.orders} == pulled
    assert len(page.orders) == 8
    assert stage.channel.read_orders(unknown[1:]).orders == []


def test_the_catalogue_tells_what_the_audit_asks(stage: Stage) -> None:
    stage.shop.product("B").oversell_allowed = True
    stage.shop.product("C").tracked = False
    stage.shop.product("D").listed = False
    entries = {entry.sku: entry for page in stage.channel.read_catalogue() for entry in page.entries}
    assert entries["A"] == CatalogueEntry(stage.ref("A"), "A", "Thing A", 1000, True, False, True, True)
    assert [entries[sku].oversell_allowed for sku in "ABC"] == [False, True, False]
    assert (entries["C"].tracked, entries["D"].on_sale) == (False, False)


def variant(**item: Any) -> dict[str, Any]:
    level = {"isActive": True, "quantities": [{"name": "available", "quantity": 4}]}
    return {
        "id": "v1",
        "sku": "S",
        "displayName": "Shirt - Red",
        "inventoryPolicy": "DENY",
        "product": {"status": "ACTIVE", "publishedAt": "2026-01-01T00:00:00Z"},
        "inventoryItem": {"id": "i1", "tracked": True, "inventoryLevel": level, **item},
    }


def catalogue_of(*nodes: Any, cursor: str | None = None) -> dict[str, Any]:
    info = {"hasNextPage": cursor is not None, "endCursor": cursor}
    return {"data": {"productVariants": {"nodes": list(nodes), "pageInfo": info}}}


def test_strange_variants_are_defects_and_same_skus_stay_apart() -> None:
    elsewhere = variant(id="i2", inventoryLevel=None)
    unlisted = {**variant(id="i3"), "sku": None, "product": {"status": "UNLISTED", "publishedAt": "x"}}
    hidden = {**variant(id="i4"), "product": {"status": "ACTIVE", "publishedAt": None}}
    strange = [None, {}, variant(id=None), variant(inventoryLevel={"quantities": None})]
    (page,) = scripted(catalogue_of(variant(), elsewhere, unlisted, hidden, *strange)).read_catalogue()
    assert [(entry.listing_ref, entry.sku) for entry in page.entries] == [
        ("i1", "S"),
        ("i2", "S"),
        ("i3", ""),
        ("i4", "S"),
    ]
    assert [entry.stocked_here for entry in page.entries] == [True, False, True, True]
    assert [entry.quantity for entry in page.entries] == [4, None, 4, 4]
    assert [entry.on_sale for entry in page.entries] == [True, True, True, False]
    assert len(page.defects) == 4
    stuck = scripted(catalogue_of(cursor="c"), catalogue_of(cursor="c"), catalogue_of(cursor="c"))
    with pytest.raises(ChannelFault, match="does not go on"):
        list(stuck.read_catalogue())


# Pause


def test_one_switch_stops_the_location_and_is_put_back(stage: Stage) -> None:
    refs = [stage.ref(sku) for sku in "ABCDE"]
    state = stage.channel.pause(refs)
    assert state == {"location_id": LOCATION_ID, "switched_off": True, "continued": {}, "by_switch": True}
    assert stage.shop.checkout([("A", 1)]).order is None
    assert stage.quantity("A") == 1000
    assert stage.channel.pause(refs)["switched_off"] is False
    stage.channel.resume(state)
    assert stage.shop.checkout([("A", 1)]).order is not None


@pytest.mark.parametrize("kind", [FaultKind.ERROR_AFTER, FaultKind.TIMEOUT_AFTER, FaultKind.MALFORMED])
def test_a_switch_whose_answer_was_lost_is_looked_at(place: Place, kind: FaultKind) -> None:
    with place.stage(timeout_s=2.0) as stage:
        stage.fault(kind, operation="write", times=1, delay_s=4.0)
        state = stage.channel.pause([])
        assert state["switched_off"] is True
        stage.channel.resume(state)
        assert not stage.shop.closed


def test_a_switch_that_was_not_turned_is_a_fault(stage: Stage) -> None:
    stage.fault(FaultKind.ERROR_BEFORE, operation="write", times=1)
    with pytest.raises(ChannelFault) as caught:
        stage.channel.pause([])
    assert caught.value.resolution is Resolution.UNKNOWN
    assert not stage.shop.closed


def test_a_fulfilment_services_location_cannot_be_paused() -> None:
    locations = {"location_ids": (LOCATION_ID, OTHER_LOCATION), "service_locations": {LOCATION_ID}}
    with small_shop(**locations) as (shop, channel, refs):
        with pytest.raises(ChannelFault, match="fulfilment service's and stays on online sale") as caught:
            channel.pause(refs)
        assert caught.value.resolution is Resolution.REJECT
        assert [product.quantity for product in shop.products.values()] == [10, 10, 10]


def test_the_only_location_stays_on_and_its_listings_are_stopped_one_by_one() -> None:
    with small_shop() as (shop, channel, refs):
        shop.product("B").oversell_allowed = True
        state = channel.pause([*refs, "gid://shopify/InventoryItem/99"])
        assert state["switched_off"] is False
        assert [len(variants) for variants in state["continued"].values()] == [1]
        assert shop.checkout([(sku, 1) for sku in "ABC"]).order is None
        channel.resume(channel.pause(refs))
        assert shop.checkout([(sku, 1) for sku in "ABC"]).order is None
        channel.resume(state)
        assert [shop.product(sku).oversell_allowed for sku in "ABC"] == [False, True, False]
        assert [shop.product(sku).quantity for sku in "ABC"] == [0, 0, 0]


def test_what_is_sold_uncounted_at_the_only_location_is_told_and_nothing_is_touched() -> None:
    with small_shop() as (shop, channel, refs):
        shop.product("B").tracked = False
        with pytest.raises(ChannelFault, match="without a count") as caught:
            channel.pause(refs)
        assert refs[1] in str(caught.value) and caught.value.resolution is Resolution.REJECT
        assert [product.quantity for product in shop.products.values()] == [10, 10, 10]


def test_a_pause_that_breaks_off_forgets_no_policy() -> None:
    with small_shop() as (shop, channel, refs):
        for sku in "AB":
            shop.product(sku).oversell_allowed = True
        run, calls = channel._client.run, []

        def breaks_off(operation: Any, variables: Any) -> Any:
            if operation.name == "SetPolicies":
                calls.append(variables)
                if len(calls) == 2:
                    raise ChannelFault("shop", Resolution.UNKNOWN, "no answer")
            return run(operation, variables)

        channel._client.run = breaks_off  # type: ignore[method-assign]
        with pytest.raises(ChannelFault, match="no answer"):
            channel.pause(refs)
        assert [shop.product(sku).oversell_allowed for sku in "ABC"] == [True, True, False]


def test_what_is_no_state_of_a_pause_is_our_mistake(stage: Stage) -> None:
    for state in ({}, {"location_id": 4, "continued": {}}, {"location_id": LOCATION_ID}):
        with pytest.raises(ValueError, match="state of a pause"):
            stage.channel.resume(state)


@pytest.mark.parametrize(
    ("bodies", "resolution"),
    [
        ([{"location": None}], Resolution.REJECT),
        ([{"location": {}}], Resolution.MALFORMED),
        ([{"location": {"fulfillsOnlineOrders": True}}, {"locationEdit": None}, {"location": {}}], "malformed"),
        (
            [
                {"location": {"fulfillsOnlineOrders": True}},
                {"locationEdit": {"location": {"fulfillsOnlineOrders": True}, "userErrors": []}},
                {"location": {"fulfillsOnlineOrders": True}},
            ],
            Resolution.UNKNOWN,
        ),
    ],
)
def test_strange_answers_to_a_pause_are_faults(bodies: list[Any], resolution: str) -> None:
    with pytest.raises(ChannelFault) as caught:
        scripted(*[{"data": body} for body in bodies]).pause(["i1"])
    assert caught.value.resolution == resolution
