"""Orders and reversals of the imitated shop through the WooCommerce adapter, over real HTTP on loopback."""

import json
from collections.abc import Iterator

import httpx
import pytest
from woocommerce_stage import SECRET, START, Bench, Meddling, Place, served


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def bench(place: Place) -> Iterator[Bench]:
    with place.bench() as bench:
        yield bench


# Orders


def test_an_order_is_translated(bench: Bench) -> None:
    order = bench.shop.checkout([("SKU-1", 2), ("SHIRT-RED", 3)]).order
    assert order is not None
    (found,) = bench.pull()
    assert found == {
        "order_id": str(order.number),
        "placed_at": "2026-11-20T10:00:00+00:00",
        "updated_at": "2026-11-20T10:00:00+00:00",
        "cancelled": False,
        "test": False,
        "lines": [
            {"line_id": str(line.number), "listing_ref": bench.ref(line.sku), "sku": line.sku, "quantity": quantity}
            for line, quantity in zip(order.lines, (2, 3), strict=True)
        ],
        "reversals": [],
    }
    assert "/" in found["lines"][1]["listing_ref"]


def test_nothing_is_lost_at_page_borders(bench: Bench) -> None:
    numbers = []
    for _ in range(57):
        bench.clock.pass_(0.5)
        numbers.append(str(bench.sell("SKU-1").number))
    for size in (2, 7, 19, 57, 100):
        channel = bench.adapter(page_size=size)
        pages = list(channel.pull_orders(START))
        assert [order["order_id"] for page in pages for order in page.orders] == numbers
        assert max(len(page.orders) for page in pages) <= size


def test_nothing_is_lost_when_orders_change_while_we_page(bench: Bench) -> None:
    orders = []
    for _ in range(45):
        bench.clock.pass_(1)
        orders.append(bench.sell("SKU-1"))
    changing = iter(orders)

    def change_two(request: httpx.Request) -> None:
        bench.clock.pass_(2)
        for _ in range(2):
            if (order := next(changing, None)) is not None:
                bench.shop.touch(order.number)

    channel = bench.adapter(page_size=10, transport=Meddling(before=change_two))
    found = bench.pull(channel=channel)
    assert {order["order_id"] for order in found} == {str(order.number) for order in orders}, "none left the window"


# Reversals


def test_a_cancelled_order_gives_back_what_is_left(bench: Bench) -> None:
    order = bench.shop.checkout([("SKU-1", 5), ("SKU-2", 1)]).order
    assert order is not None
    bench.shop.cancel(order.number, [(order.lines[0].number, 2)], restock=False, reason="damaged")
    bench.clock.pass_(3)
    bench.shop.cancel(order.number)
    (found,) = bench.pull()
    assert found["cancelled"] is True
    assert [line["quantity"] for line in found["lines"]] == [5, 1], "the ordered numbers stay"
    one, two = (str(line.number) for line in order.lines)
    told = [(r["line_id"], r["quantity"], r["kind"], r["reason"], r["restocked"]) for r in found["reversals"]]
    assert told == [
        (one, 2, "refund", "damaged", None),
        (one, 3, "cancellation", "customer", False),
        (two, 1, "cancellation", "customer", True),
    ]
    assert found["reversals"][0]["occurred_at"] == "2026-11-20T10:00:00+00:00"
    assert found["reversals"][1]["occurred_at"] == "2026-11-20T10:00:03+00:00"


@pytest.mark.parametrize(
    ("status", "cancelled", "reversed_units", "reason"),
    [
        ("pending", False, 0, None),
        ("on-hold", False, 0, None),
        ("processing", False, 0, None),
        ("completed", False, 0, None),
        ("cancelled", True, 4, "customer"),
        ("failed", True, 4, "payment"),
        ("trash", True, 4, "other"),
        ("refunded", False, 4, "customer"),
    ],
)
def test_each_status(bench: Bench, status: str, cancelled: bool, reversed_units: int, reason: str | None) -> None:
    order = bench.sell("SKU-1", 4)
    bench.status(order, status)
    (found,) = bench.pull()
    assert found["cancelled"] is cancelled
    assert sum(reversal["quantity"] for reversal in found["reversals"]) == reversed_units
    assert {reversal["reason"] for reversal in found["reversals"]} == ({reason} if reason else set())
    assert [line["quantity"] for line in found["lines"]] == [4]


def test_a_failed_order_is_restocked_only_where_the_shop_did_it(bench: Bench) -> None:
    by_hand, declined = bench.sell("SKU-1", 2), bench.sell("SKU-2", 2)
    bench.status(by_hand, "failed")
    bench.shop.cancel(declined.number, reason="payment")
    assert [bench.shop.product(sku).quantity for sku in ("SKU-1", "SKU-2")] == [998, 1000]
    told = {order["order_id"]: order["reversals"][0] for order in bench.pull()}
    assert [told[str(order.number)]["restocked"] for order in (by_hand, declined)] == [False, True]
    assert {reversal["reason"] for reversal in told.values()} == {"payment"}


def test_more_refunds_than_fit_one_page(bench: Bench) -> None:
    order = bench.sell("SKU-1", 130)
    for _ in range(120):
        bench.shop.cancel(order.number, [(order.lines[0].number, 1)], reason="inventory")
    (found,) = bench.pull()
    assert len({reversal["reversal_id"] for reversal in found["reversals"]}) == 120
    bench.shop.cancel(order.number)
    assert sum(reversal["quantity"] for reversal in bench.pull()[0]["reversals"]) == 130


def test_a_cart_is_no_sale_yet(bench: Bench) -> None:
    order = bench.sell("SKU-1")
    bench.status(order, "checkout-draft")
    assert bench.pull() == []


def test_one_reversal_keeps_one_id_through_all_closed_statuses(bench: Bench) -> None:
    order = bench.sell("SKU-1", 2)
    ids = set()
    for status in ("failed", "cancelled", "trash", "refunded"):
        bench.status(order, status)
        for _ in range(2):
            (found,) = bench.pull()
            ids |= {reversal["reversal_id"] for reversal in found["reversals"]}
    assert ids == {f"closed:{order.lines[0].number}"}


def test_partial_refunds_add_up_and_their_text_stays_outside(bench: Bench) -> None:
    order = bench.sell("SHIRT-BLUE", 6)
    line = order.lines[0].number
    for reason in ("customer", "inventory", "other"):
        bench.shop.cancel(order.number, [(line, 2)], reason=reason, restock=reason == "customer")
    (found,) = bench.pull()
    assert found["cancelled"] is False
    told = sorted((r["quantity"], r["reason"], r["kind"], r["restocked"]) for r in found["reversals"])
    assert told == [(2, reason, "refund", None) for reason in ("customer", "inventory", "other")]
    assert len({reversal["reversal_id"] for reversal in found["reversals"]}) == 3
    assert all(reversal["reversal_id"].startswith("refund:") for reversal in found["reversals"])
    assert "agreed" not in json.dumps(found)


def test_no_document_holds_personal_data(bench: Bench) -> None:
    private = []
    for how in ("cancel", "refund", None):
        order = bench.sell("SKU-1", 2)
        private += order.buyer.strings()
        if how == "cancel":
            bench.shop.cancel(order.number)
        if how == "refund":
            bench.shop.cancel(order.number, [(order.lines[0].number, 1)], reason="other")
    watched = Meddling()
    channel = bench.adapter(transport=watched)
    text = json.dumps(bench.pull(channel=channel))
    assert not [words for words in private if words in text]
    listed = [request.url.params["_fields"] for request in watched.requests]
    assert listed and not [fields for fields in listed if "billing" in fields or "customer" in fields]
    raw = httpx.get(f"{bench.base}/wp-json/wc/v3/orders", auth=("ck_1", SECRET), timeout=60).text
    assert private[0] in raw, "the shop has personal data, or this test proves nothing"
