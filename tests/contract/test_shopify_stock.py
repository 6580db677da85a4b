"""Quantities of the sandbox shop read and set through the Shopify adapter, over real HTTP on loopback."""

from collections.abc import Iterator
from typing import Any

import pytest
from shopify_stage import LOCATION_ID, OTHER_LOCATION, Place, Stage, scripted, served, statuses

from adapters.channels.protocol import Change, ChangeStatus


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[Stage]:
    with place.stage(orders_per_page=3, lines_per_page=2, lines_per_call=50) as built:
        yield built


# Reads


def test_reads_what_the_storefront_shows_at_the_location(stage: Stage) -> None:
    stage.buy(("A", 4))
    stage.shop.product("A").elsewhere[OTHER_LOCATION] = 50
    stage.shop.product("B").oversell_allowed = True
    stage.shop.product("C").tracked = False
    refs = [stage.ref(sku) for sku in "ABC"] + ["gid://shopify/InventoryItem/999999"]
    readings = {reading.listing_ref: reading for reading in stage.channel.read_quantities(refs)}
    assert set(readings) == set(refs[:3])
    assert (readings[refs[0]].quantity, readings[refs[0]].tracked) == (996, True)
    assert [readings[ref].tracked for ref in refs[1:3]] == [False, False]
    assert stage.channel.read_locations(refs[:1]) == {
        refs[0]: {
            LOCATION_ID: {"available": 996, "on_hand": 1000, "committed": 4},
            OTHER_LOCATION: {"available": 50, "on_hand": 50, "committed": 0},
        }
    }
    assert stage.channel.read_locations(refs[3:]) == {}


def test_an_item_not_stocked_at_our_location_is_absent(stage: Stage) -> None:
    body = {"data": {"nodes": [{"id": "i1", "tracked": True, "variants": None, "inventoryLevel": None}]}}
    assert scripted(body).read_quantities(["i1"]) == []


# Writes


def test_a_sale_in_between_makes_its_row_stale_and_only_its_row(stage: Stage) -> None:
    stage.buy(("B", 1), ("D", 2))
    changes = [Change(stage.ref(sku), 500, 1000) for sku in "ABCDE"]
    results = stage.channel.set_quantities(changes, "k1")
    assert statuses(results) == ["done", "stale", "done", "stale", "done"]
    assert "CHANGE_FROM_QUANTITY_STALE" in results[1].reason
    assert [stage.quantity(sku) for sku in "ABCDE"] == [500, 999, 500, 998, 500]
    assert stage.shop.calls["write"] == 2


def test_a_row_that_the_shop_refuses_is_named_and_the_others_go(stage: Stage) -> None:
    changes = [Change(stage.ref("A"), -1, 1000), Change("gid://shopify/InventoryItem/9", 1, 0)]
    results = stage.channel.set_quantities([*changes, Change(stage.ref("B"), 5, 1000)], "k1")
    assert statuses(results) == ["rejected", "rejected", "done"]
    assert results[0].reason.startswith("INVALID_QUANTITY_NEGATIVE: ")
    assert stage.quantity("A") == 1000


def test_splits_are_bounded(stage: Stage, monkeypatch: Any) -> None:
    """A row that sells before each new call makes another split: at last the rest is held back."""
    run = stage.channel._client.run
    hot = iter("ABCDE")

    def run_after_a_sale(operation: Any, variables: Any) -> Any:
        stage.buy((next(hot), 1))
        return run(operation, variables)

    monkeypatch.setattr(stage.channel._client, "run", run_after_a_sale)
    stage.shop.add_product("F", "quiet", 1000)
    results = stage.channel.set_quantities([Change(stage.ref(sku), 5, 1000) for sku in "ABCDEF"], "k1")
    assert statuses(results) == ["stale"] * 6
    assert stage.quantity("F") == 1000


def test_a_key_is_carried_out_once(stage: Stage) -> None:
    change = Change(stage.ref("A"), 7, None)
    assert statuses(stage.channel.set_quantities([change], "k1")) == ["done"]
    stage.shop.set_quantity(stage.shop.product("A").number, 3, by="somebody else")
    assert statuses(stage.channel.set_quantities([change], "k1")) == ["done"]
    assert stage.quantity("A") == 3
    (result,) = stage.channel.set_quantities([Change(stage.ref("A"), 9, None)], "k1")
    assert result.status is ChangeStatus.REJECTED
    assert "IDEMPOTENCY_KEY_PARAMETER_MISMATCH" in result.reason
    stage.clock.seconds += 24 * 3600
    assert statuses(stage.channel.set_quantities([Change(stage.ref("A"), 9, None)], "k1")) == ["done"]


def test_a_key_whose_attempt_failed_is_replaced(stage: Stage) -> None:
    stage.buy(("A", 1))
    change = Change(stage.ref("A"), 7, 1000)
    assert statuses(stage.channel.set_quantities([change], "k1")) == ["stale"]
    assert statuses(stage.channel.set_quantities([change], "k1")) == ["stale"]
    assert stage.quantity("A") == 999


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ({"userErrors": [{"code": "IDEMPOTENCY_CONCURRENT_REQUEST", "field": None, "message": "m"}]}, "unknown"),
        ({"userErrors": [{"code": "CHANGE_FROM_QUANTITY_STALE", "field": None, "message": "m"}]}, "stale"),
        ({"userErrors": [{"code": None, "field": ["input", "name"], "message": "m"}]}, "rejected"),
        ({"userErrors": [{"code": "X", "field": None}], "inventoryAdjustmentGroup": {"id": "g"}}, "unknown"),
        ({"userErrors": None}, "unknown"),
        (None, "unknown"),
    ],
)
def test_errors_about_the_whole_call(payload: Any, status: str) -> None:
    channel = scripted({"data": {"inventorySetQuantities": payload}})
    assert statuses(channel.set_quantities([Change("i1", 1, 1), Change("i2", 1, 1)], "k")) == [status, status]


def test_a_call_that_could_never_be_right_is_our_mistake(stage: Stage) -> None:
    change = Change(stage.ref("A"), 1, 1)
    for changes, key in (([change, change], "k"), ([change], " "), ([Change(str(n), 1, 1) for n in range(251)], "k")):
        with pytest.raises(ValueError, match="250"):
            stage.channel.set_quantities(changes, key)
    assert stage.channel.set_quantities([], "k") == []
