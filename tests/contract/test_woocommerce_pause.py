"""What is WooCommerce's own about single orders, the catalogue and a pause; the rest is in the contract suite."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from woocommerce_stage import Bench, Meddling, Place, served

from adapters.channels.protocol import CatalogueEntry, Change
from adapters.channels.woocommerce.woocommerce_orders import UntranslatableError, translate_order
from adapters.http import ChannelFault, Resolution


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def bench(place: Place) -> Iterator[Bench]:
    with place.bench() as made:
        yield made


def refs_of(bench: Bench) -> list[str]:
    shared = [f"{parent}/{number}" for number, parent in bench.catalogue.shared.items()]
    return [bench.ref(product.sku) for product in bench.shop.products.values()] + shared


# Single orders


def test_single_orders_are_the_documents_of_the_pull(bench: Bench) -> None:
    orders = [bench.sell("SKU-1", 3) for _ in range(7)]
    bench.clock.pass_(60)
    bench.shop.cancel(orders[1].number, [(orders[1].lines[0].number, 1)], reason="inventory")
    bench.status(orders[2], "trash")
    bench.status(orders[3], "checkout-draft")
    pulled = {document["order_id"]: document for document in bench.pull()}
    page = bench.channel.read_orders(["999999", "nonsense", "", "1\n", "-4", *(str(order.number) for order in orders)])
    assert page.defects == []
    assert {document["order_id"]: document for document in page.orders} == pulled
    assert len(page.orders) == 6


def test_an_order_that_leaves_the_trash_meanwhile_is_found(bench: Bench) -> None:
    order = bench.sell("SKU-1")
    bench.status(order, "trash")

    def restore(request: httpx.Request) -> None:
        if request.url.params.get("status") == "trash":
            bench.status(order, "processing")

    channel = bench.adapter(transport=Meddling(before=restore))
    (document,) = channel.read_orders([str(order.number)]).orders
    assert document["cancelled"] is False


def test_the_hold_is_all_that_is_read_of_the_meta_data(bench: Bench) -> None:
    order, other = bench.sell("SKU-1"), bench.sell("SKU-2")
    order.hold = "hold-7"
    documents = {document["order_id"]: document for document in bench.pull()}
    assert documents[str(order.number)]["hold"] == "hold-7"
    assert "hold" not in documents[str(other.number)]
    raw = {"id": 5, "status": "processing", "line_items": []}
    meta = [{"id": 1, "key": "_vat", "value": "Jane Doe"}, {"id": 2, "key": "_onhand_hold", "value": {"name": "Jane"}}]
    with pytest.raises(UntranslatableError) as caught:
        translate_order({**raw, "meta_data": meta}, [], "row 0")
    assert "Jane" not in str(caught.value)
    for none in ([], None, [None], [{"key": "_onhand_hold", "value": ""}], [{"key": "hold", "value": "x"}]):
        document = translate_order({**raw, "meta_data": none}, [], "row 0")
        assert document is not None and "hold" not in document


# Catalogue


def test_the_catalogue_tells_what_the_audit_asks(bench: Bench) -> None:
    bench.shop.product("SKU-3").listed = False
    entries = {entry.listing_ref: entry for page in bench.channel.read_catalogue() for entry in page.entries}
    assert entries.keys() == set(refs_of(bench))
    plain = entries[bench.ref("SKU-1")]
    assert plain == CatalogueEntry(plain.listing_ref, "SKU-1", "Thing 1", 1000, True, False, True, True)
    assert entries[bench.ref("SHIRT-RED")].title.endswith("Shirt RED")
    assert entries[bench.ref("BACK")].oversell_allowed is True
    loose = entries[bench.ref("LOOSE")]
    assert (loose.tracked, loose.quantity, loose.stocked_here) == (False, None, None)
    assert entries[bench.ref("SKU-3")].on_sale is False
    ((number, parent),) = bench.catalogue.shared.items()
    below, above = entries[f"{parent}/{number}"], entries[str(parent)]
    assert (below.quantity, below.tracked, below.stocked_here) == (33, True, False)
    assert (above.quantity, above.sku, above.stocked_here) == (33, "FAMILY", True)


def test_groups_and_products_of_other_shops_are_no_listings(bench: Bench) -> None:
    kinds = iter(["grouped", "external", {"a": 1}])

    def strange(path: str, body: Any) -> Any:
        if path.endswith("/products"):
            for row in [row for row in body if row["type"] == "simple"][:2]:
                row["type"] = next(kinds, row["type"])
        return body

    channel = bench.adapter(transport=Meddling(strange))
    entries = [entry for page in channel.read_catalogue() for entry in page.entries]
    assert len(entries) == len(refs_of(bench)) - 2


# Pause


def test_a_pause_turns_each_switch_and_resuming_turns_it_back(bench: Bench) -> None:
    refs = refs_of(bench)
    frame = str(next(iter(bench.catalogue.parents.values())))
    state = bench.channel.pause([*refs, frame, "999999", "nonsense", "999999/3"])
    assert frame not in state["listings"]
    back, loose = bench.shop.product("BACK"), bench.shop.product("LOOSE")
    assert {product.quantity for product in bench.shop.products.values()} == {0}
    assert bench.shop.checkout([(product.sku, 1) for product in bench.shop.products.values()]).order is None
    ((number, parent),) = bench.catalogue.shared.items()
    assert f"{parent}/{number}" not in state["listings"] and str(parent) in state["listings"]
    again = bench.channel.pause(refs)
    bench.channel.resume(again)
    assert bench.shop.checkout([(product.sku, 1) for product in bench.shop.products.values()]).order is None
    bench.channel.resume(state)
    assert (back.tracked, back.oversell_allowed, loose.tracked) == (True, True, False)
    assert {product.quantity for product in bench.shop.products.values()} == {0}
    assert bench.shop.checkout([("LOOSE", 1)]).order and bench.shop.checkout([("BACK", 1)]).order
    assert bench.shop.checkout([("SKU-1", 1)]).order is None


def test_what_was_sold_out_by_hand_stays_so(bench: Bench) -> None:
    ref = bench.ref("LOOSE")
    rows = {"update": [{"id": int(ref), "stock_status": "outofstock"}]}
    auth = ("ck_1", "cs_9f1c-very-secret")
    httpx.post(f"{bench.base}/wp-json/wc/v3/products/batch", json=rows, auth=auth, timeout=60).raise_for_status()
    assert bench.shop.checkout([("LOOSE", 1)]).order is None
    bench.channel.resume(bench.channel.pause([ref]))
    assert not bench.shop.product("LOOSE").tracked
    assert bench.shop.checkout([("LOOSE", 1)]).order is None


def test_a_pause_is_a_hundred_listings_a_call(bench: Bench) -> None:
    refs = [str(bench.shop.add_product(f"N-{number}", "many", 5).number) for number in range(230)]
    bench.channel.pause(refs)
    assert bench.shop.calls["write"] == 3
    assert {bench.shop.products[int(ref)].quantity for ref in refs} == {0}


def test_a_pause_that_breaks_off_forgets_no_switch(bench: Bench) -> None:
    """The variations come after the products: their call fails, and the products are put back."""

    def refuse(path: str, body: Any) -> Any:
        if path.endswith("/variations/batch"):
            return {"update": [{"id": row["id"], "error": {"code": "not_today"}} for row in body["update"]]}
        return body

    channel = bench.adapter(transport=Meddling(refuse))
    with pytest.raises(ChannelFault, match="not_today") as caught:
        channel.pause(refs_of(bench))
    assert caught.value.resolution is Resolution.REJECT
    assert bench.shop.product("BACK").oversell_allowed
    assert not bench.shop.product("LOOSE").tracked


def test_a_listing_that_is_gone_is_no_trouble(bench: Bench) -> None:
    state = bench.channel.pause([bench.ref("BACK"), bench.ref("SKU-1")])
    gone = bench.shop.products.pop(int(bench.ref("BACK")))
    bench.channel.resume({"listings": {**state["listings"], "77/78": {"manage_stock": False, "backorders": "no"}}})
    assert not gone.oversell_allowed


def test_the_number_may_come_as_a_text(bench: Bench) -> None:
    def texts(path: str, body: Any) -> Any:
        for row in body.get("update", []) if isinstance(body, dict) else []:
            row["stock_quantity"] = str(row["stock_quantity"])
        return body

    channel = bench.adapter(transport=Meddling(texts))
    assert channel.pause([bench.ref("SKU-1")])["listings"] == {
        bench.ref("SKU-1"): {"manage_stock": True, "backorders": "no"}
    }
    assert bench.channel.set_quantities([Change(bench.ref("SKU-1"), 4, None)], "k")[0].status.value == "done"


@pytest.mark.parametrize("switch", [{"backorders": "junk"}, {"manage_stock": None}, {"backorders": ["no"]}])
def test_switches_that_make_no_sense_stop_the_pause(bench: Bench, switch: dict[str, Any]) -> None:
    channel = bench.adapter(transport=Meddling(lambda path, body: [{**row, **switch} for row in body]))
    with pytest.raises(ChannelFault) as caught:
        channel.pause([bench.ref("SKU-1")])
    assert caught.value.resolution is Resolution.MALFORMED
    assert bench.shop.product("SKU-1").quantity == 1000


def test_what_is_no_state_of_a_pause_is_our_mistake(bench: Bench) -> None:
    with pytest.raises(ValueError, match="state of a pause"):
        bench.channel.resume({})
