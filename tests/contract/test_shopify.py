"""The Shopify adapter against the sandbox shop, over real HTTP on loopback."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from adapters.channels.protocol import Change, ChangeStatus, Channel
from adapters.channels.shopify import Shopify
from adapters.channels.shopify_client import MAX_WAIT_S
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.faults import Fault, FaultKind, Operation
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Order, Shop
from adapters.sandbox.shopify import LOCATION_ID, create_app

TOKEN = "shpat_0123456789abcdef"
OTHER_LOCATION = "gid://shopify/Location/2"
DAWN = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
EVER = DAWN - timedelta(days=1)


@dataclass
class Clock:
    """The shop's clock and the bucket's, moved by hand; sleeping moves it."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return DAWN + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass
class Stage:
    shop: Shop
    clock: Clock
    url: str
    channel: Shopify

    def ref(self, sku: str) -> str:
        return self.shop.naming.listing(self.shop.product(sku).number)

    def buy(self, *lines: tuple[str, int]) -> Order:
        self.clock.seconds += 1
        order = self.shop.checkout(lines).order
        assert order is not None
        return order

    def pull(self, since: datetime = EVER) -> list[dict[str, Any]]:
        return [order for page in self.channel.pull_orders(since) for order in page.orders]

    def only(self) -> dict[str, Any]:
        (document,) = self.pull()
        return document

    def quantity(self, sku: str) -> int:
        return self.shop.product(sku).quantity

    def fault(self, kind: FaultKind, **how: Any) -> None:
        self.shop.faults.replace([Fault(kind, **how)])


class Address:
    """One served address for the whole module; each test puts its own shop behind it."""

    def __init__(self) -> None:
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[Address, str]]:
    address = Address()
    with serve(address) as url:
        yield address, url


@pytest.fixture
def staged(address: tuple[Address, str]) -> Any:
    def at_the_address(**options: Any) -> Any:
        return _staged(*address, **options)

    return at_the_address


@contextmanager
def _staged(
    address: Address, url: str, *, restore_rate: float = 10_000.0, maximum: float = 20_000.0, **options: Any
) -> Iterator[Stage]:
    clock = Clock()
    shop = Shop(now=clock.now, monotonic=clock.monotonic)
    address.app = create_app(
        shop,
        access_token=TOKEN,
        location_ids=(LOCATION_ID, OTHER_LOCATION),
        maximum_available=maximum,
        restore_rate=restore_rate,
        clock=clock.monotonic,
    )
    for sku in "ABCDE":
        shop.add_product(sku, f"Thing {sku}", 1000)
    channel = Shopify(
        "shop",
        base_url=url,
        access_token=SecretStr(options.pop("token", TOKEN)),
        location_id=LOCATION_ID,
        sleep=clock.sleep,
        clock=clock.monotonic,
        **options,
    )
    try:
        yield Stage(shop, clock, url, channel)
    finally:
        channel.close()


@pytest.fixture
def stage(staged: Any) -> Iterator[Stage]:
    with staged(orders_per_page=3, lines_per_page=2, lines_per_call=50, timeout_s=0.5) as built:
        yield built


def is_a_channel(channel: Shopify) -> Channel:
    """Checked by mypy: the class fits the protocol."""
    return channel


# Orders


def test_an_order_has_all_keys_and_what_was_sold(stage: Stage) -> None:
    order = stage.buy(("A", 2), ("B", 1))
    assert stage.only() == {
        "order_id": f"gid://shopify/Order/{order.number}",
        "placed_at": "2026-11-20T06:00:01Z",
        "updated_at": "2026-11-20T06:00:01Z",
        "cancelled": False,
        "test": False,
        "lines": [
            {
                "line_id": f"gid://shopify/LineItem/{line.number}",
                "listing_ref": stage.ref(line.sku),
                "sku": line.sku,
                "quantity": line.quantity,
            }
            for line in order.lines
        ],
        "reversals": [],
    }


def test_pages_lose_nothing_at_their_borders_though_orders_change_between_them(stage: Stage) -> None:
    placed = {f"gid://shopify/Order/{stage.buy(('A', 1)).number}" for _ in range(10)}
    pages = stage.channel.pull_orders(EVER)
    seen = [order["order_id"] for order in next(pages).orders]
    assert len(seen) == 3
    stage.clock.seconds += 1
    # One already read and one still to come change; one more is placed: all of them move or come last.
    numbers = sorted(stage.shop.orders)
    stage.shop.touch(numbers[0])
    stage.shop.touch(numbers[4])
    placed.add(f"gid://shopify/Order/{stage.buy(('B', 1)).number}")
    seen += [order["order_id"] for page in pages for order in page.orders]
    assert set(seen) == placed
    assert len(seen) == len(placed) + 1


def test_many_orders_of_one_second_are_all_read(stage: Stage) -> None:
    for _ in range(8):
        stage.shop.checkout([("A", 1)])
    assert len({order["order_id"] for order in stage.pull()}) == 8


def test_incremental_pull_reads_from_the_whole_second_on(stage: Stage) -> None:
    for _ in range(5):
        stage.buy(("A", 1))
    since = DAWN + timedelta(seconds=3, microseconds=900_000)
    assert [order["placed_at"][-3:] for order in stage.pull(since)] == ["03Z", "04Z", "05Z"]
    assert stage.pull(since.astimezone(UTC) + timedelta(seconds=10)) == []
    with pytest.raises(ValueError, match="time zone"):
        stage.pull(datetime(2026, 11, 20))  # noqa: DTZ001


def test_an_order_of_1112_lines_is_read_whole(staged: Any) -> None:
    with staged() as stage:
        for number in range(1112):
            stage.shop.add_product(f"W{number}", "wholesale", 5)
        order = stage.buy(*((f"W{number}", 1 + number % 5) for number in range(1112)))
        document = stage.only()
        assert [line["quantity"] for line in document["lines"]] == [line.quantity for line in order.lines]
        assert len({line["line_id"] for line in document["lines"]}) == 1112
        stage.shop.cancel(order.number, reason="inventory", restock=False)
        document = stage.only()
        assert len(document["reversals"]) == 1112
        assert sum(reversal["quantity"] for reversal in document["reversals"]) == sum(x.quantity for x in order.lines)


def test_late_orders_appear_with_an_old_time(stage: Stage) -> None:
    stage.fault(FaultKind.LATE, delay_s=30)
    stage.buy(("A", 1))
    assert stage.pull() == []
    stage.clock.seconds += 30
    assert stage.only()["placed_at"] == "2026-11-20T06:00:01Z"


def test_a_repeated_page_brings_duplicates_and_no_loss(stage: Stage) -> None:
    placed = {f"gid://shopify/Order/{stage.buy(('A', 1)).number}" for _ in range(9)}
    stage.fault(FaultKind.REPEAT, operation=Operation.ORDERS, times=3)
    seen = [order["order_id"] for order in stage.pull()]
    assert set(seen) == placed
    assert len(seen) > len(placed)


def test_a_shop_that_repeats_for_ever_is_given_up(stage: Stage) -> None:
    for _ in range(9):
        stage.buy(("A", 1))
    stage.fault(FaultKind.REPEAT, operation=Operation.ORDERS)
    with pytest.raises(ChannelFault) as caught:
        stage.pull()
    assert caught.value.resolution is Resolution.MALFORMED


# Reversals


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("inventory", "inventory"),
        ("customer", "customer"),
        ("fraud", "fraud"),
        ("payment", "payment"),
        ("damaged", "other"),
        ("other", "other"),
    ],
)
def test_a_cancelled_order_says_why_and_what_was_put_back(stage: Stage, reason: str, told: str) -> None:
    order = stage.buy(("A", 3))
    stage.clock.seconds += 5
    stage.shop.cancel(order.number, reason=reason, restock=reason == "customer")
    document = stage.only()
    (reversal,) = document["reversals"]
    assert document["cancelled"] is True
    assert (reversal["quantity"], reversal["kind"], reversal["reason"]) == (3, "cancellation", told)
    assert reversal["restocked"] is (reason == "customer")
    assert reversal["occurred_at"] == "2026-11-20T06:00:06Z"
    assert reversal["line_id"] == document["lines"][0]["line_id"]
    assert document["lines"][0]["quantity"] == 3


def test_refunds_returns_and_removals_have_stable_ids(stage: Stage) -> None:
    order = stage.buy(("A", 10), ("B", 4))
    a, b = (line.number for line in order.lines)
    stage.shop.cancel(order.number, [(a, 2)], restock=False)
    stage.shop.cancel(order.number, [(a, 1)], restock=True, how="return")
    stage.shop.cancel(order.number, [(b, 1)], restock=True)
    stage.shop.cancel(order.number, [(a, 2)], how="remove")
    first = stage.only()["reversals"]
    kinds = [(reversal["kind"], reversal["quantity"], reversal["restocked"]) for reversal in first]
    assert kinds == [
        ("refund", 2, False),
        ("return", 1, True),
        ("cancellation", 1, True),
        ("cancellation", 1, None),
        ("cancellation", 1, None),
    ]
    stage.shop.cancel(order.number, [(a, 1)], how="remove")
    second = {reversal["reversal_id"]: reversal for reversal in stage.only()["reversals"]}
    assert len(second) == len(first) + 1
    assert {reversal["reversal_id"] for reversal in first} < set(second)
    assert sum(reversal["quantity"] for reversal in second.values()) == sum(line.reversed for line in order.lines)


def test_units_of_an_order_cancelled_without_a_refund_are_reversed_once(stage: Stage) -> None:
    order = stage.buy(("A", 3))
    stage.shop.cancel(order.number, [(order.lines[0].number, 1)], how="remove")
    before = {reversal["reversal_id"] for reversal in stage.only()["reversals"]}
    stage.shop.cancel(order.number, how="remove", reason="payment")
    document = stage.only()
    assert document["cancelled"] is True
    assert len(document["reversals"]) == 3
    assert before < {reversal["reversal_id"] for reversal in document["reversals"]}
    assert {reversal["reason"] for reversal in document["reversals"]} == {"payment"}


def test_more_refunds_and_refund_lines_than_a_page_holds(stage: Stage) -> None:
    order = stage.buy(*[("A", 8)] * 60)
    for line in order.lines[:7]:
        stage.shop.cancel(order.number, [(line.number, 1)])
    stage.shop.cancel(order.number, reason="customer")
    reversals = stage.only()["reversals"]
    assert sum(reversal["quantity"] for reversal in reversals) == 480
    assert len({reversal["reversal_id"] for reversal in reversals}) == 67


def test_a_refund_between_two_pages_of_lines_is_not_counted_twice(stage: Stage, monkeypatch: Any) -> None:
    order = stage.buy(*[("A", 2)] * 5)
    run = stage.channel._client.run

    def run_and_refund(operation: Any, variables: Any) -> Any:
        if operation.name == "OrderLines":
            stage.shop.cancel(order.number, [(order.lines[-1].number, 1)])
        return run(operation, variables)

    monkeypatch.setattr(stage.channel._client, "run", run_and_refund)
    reversals = stage.only()["reversals"]
    assert [":gone:" in reversal["reversal_id"] for reversal in reversals] == [False]


def test_no_personal_data_leaves_the_adapter(stage: Stage) -> None:
    orders = [stage.buy(("A", 1), ("B", 2), ("C", 1)) for _ in range(4)]
    stage.shop.cancel(orders[0].number, reason="customer")
    stage.shop.cancel(orders[1].number, [(orders[1].lines[0].number, 1)])
    said = json.dumps(stage.pull())
    secrets = [text for order in orders for text in order.buyer.strings()]
    assert secrets
    assert not [text for text in secrets if text in said]


# Strange answers, by a transport that says what it is told


def scripted(*bodies: Any) -> Shopify:
    answers = iter(bodies)
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=next(answers)))
    return Shopify(
        "shop", base_url="http://shop.test", access_token=SecretStr(TOKEN), location_id=LOCATION_ID, transport=transport
    )


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


# Quantities


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


def test_reads_in_batches(stage: Stage) -> None:
    refs = [
        stage.shop.naming.listing(stage.shop.add_product(f"N{number}", "many", number).number) for number in range(250)
    ]
    assert [reading.quantity for reading in stage.channel.read_quantities(refs)] == list(range(250))
    assert stage.shop.calls["read"] == 3


# Writes


def statuses(results: Any) -> list[str]:
    return [result.status.value for result in results]


def test_sets_when_the_expected_quantity_is_live(stage: Stage) -> None:
    results = stage.channel.set_quantities([Change(stage.ref("A"), 7, 1000), Change(stage.ref("B"), 8, None)], "k1")
    assert statuses(results) == ["done", "done"]
    assert [result.listing_ref for result in results] == [stage.ref("A"), stage.ref("B")]
    assert (stage.quantity("A"), stage.quantity("B")) == (7, 8)


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


# Faults of the wire


@pytest.mark.parametrize(
    ("kind", "status", "applied"),
    [
        (FaultKind.TIMEOUT_BEFORE, "unknown", False),
        (FaultKind.TIMEOUT_AFTER, "unknown", True),
        (FaultKind.ERROR_BEFORE, "unknown", False),
        (FaultKind.ERROR_AFTER, "unknown", True),
        (FaultKind.MALFORMED, "unknown", True),
        (FaultKind.HTML, "unknown", False),
    ],
)
def test_a_write_whose_answer_is_lost_is_unknown(stage: Stage, kind: FaultKind, status: str, applied: bool) -> None:
    stage.fault(kind, operation=Operation.WRITE, times=1, delay_s=2)
    assert statuses(stage.channel.set_quantities([Change(stage.ref("A"), 7, 1000)], "k1")) == [status]
    assert (stage.quantity("A") == 7) is applied
    assert stage.shop.calls["write"] == 1


@pytest.mark.parametrize(
    ("kind", "resolution"),
    [
        (FaultKind.TIMEOUT_BEFORE, Resolution.RETRY),
        (FaultKind.ERROR_BEFORE, Resolution.RETRY),
        (FaultKind.MALFORMED, Resolution.MALFORMED),
        (FaultKind.HTML, Resolution.MALFORMED),
    ],
)
def test_a_read_whose_answer_is_lost_raises(stage: Stage, kind: FaultKind, resolution: Resolution) -> None:
    for _ in range(5):
        stage.buy(("A", 1))
    pages = stage.channel.pull_orders(EVER)
    next(pages)
    stage.fault(kind, delay_s=2)
    with pytest.raises(ChannelFault) as caught:
        next(pages)
    assert caught.value.resolution is resolution
    assert caught.value.channel == "shop"


def test_a_wrong_token_needs_a_person_and_is_not_told(staged: Any) -> None:
    with staged(token="shpat_wrong_secret") as stage:
        with pytest.raises(ChannelFault) as caught:
            stage.pull()
        assert caught.value.resolution is Resolution.REAUTHENTICATE
        with pytest.raises(ChannelFault) as caught:
            stage.channel.set_quantities([Change(stage.ref("A"), 1, 1)], "k")
        assert caught.value.resolution is Resolution.REAUTHENTICATE
        assert "secret" not in f"{caught.value} {caught.value!r} {vars(stage.channel)}"


def test_a_shop_that_is_not_there_was_certainly_not_written() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    channel = Shopify(
        "shop", base_url=f"http://127.0.0.1:{port}", access_token=SecretStr(TOKEN), location_id=LOCATION_ID
    )
    with pytest.raises(ChannelFault) as caught:
        channel.set_quantities([Change("i1", 1, 1)], "k")
    channel.close()
    assert caught.value.resolution is Resolution.RETRY


# Throttling


def test_a_throttled_call_waits_and_is_sent_again(stage: Stage) -> None:
    stage.fault(FaultKind.THROTTLE, times=1)
    assert statuses(stage.channel.set_quantities([Change(stage.ref("A"), 7, 1000)], "k1")) == ["done"]
    assert stage.shop.calls["write"] == 2
    assert len(stage.clock.slept) == 1


def test_waits_before_it_is_throttled(staged: Any) -> None:
    """Twice the bucket's content is asked for; only the first call can come too early."""
    with staged(restore_rate=100.0, maximum=1000.0) as stage:
        for _ in range(30):
            stage.buy(("A", 1))
        for _ in range(20):
            assert len(stage.pull()) == 30
        assert stage.shop.calls["orders"] == 40
        assert sum(stage.clock.slept) > 5
        assert max(stage.clock.slept) <= 10


def test_gives_up_waiting_in_the_end(stage: Stage) -> None:
    stage.fault(FaultKind.THROTTLE)
    with pytest.raises(ChannelFault) as caught:
        stage.channel.set_quantities([Change(stage.ref("A"), 7, 1000)], "k1")
    assert caught.value.resolution is Resolution.RATE_LIMITED
    assert caught.value.retry_after is not None
    assert sum(stage.clock.slept) <= MAX_WAIT_S
    assert stage.quantity("A") == 1000


# What the vendor demands and its schema does not tell


def raw(stage: Stage, text: str, variables: Any) -> Any:
    answer = httpx.post(
        f"{stage.url}/admin/api/2026-10/graphql.json",
        json={"query": text, "variables": variables},
        headers={"x-shopify-access-token": TOKEN},
        trust_env=False,
    )
    assert answer.status_code == 200
    return answer.json()


def test_the_sandbox_demands_what_the_vendor_demands(stage: Stage) -> None:
    text = "mutation($i: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $i) %s { userErrors { code } } }"
    row = {"inventoryItemId": stage.ref("A"), "locationId": LOCATION_ID, "quantity": 1}
    given: dict[str, Any] = {"name": "available", "reason": "correction", "quantities": [row]}
    assert "changeFromQuantity" in raw(stage, text % '@idempotent(key: "k1")', {"i": given})["errors"][0]["message"]
    row["changeFromQuantity"] = None
    assert "@idempotent" in raw(stage, text % "", {"i": given})["errors"][0]["message"]
    twice = given | {"quantities": [row, row]}
    payload = raw(stage, text % '@idempotent(key: "k2")', {"i": twice})["data"]["inventorySetQuantities"]
    assert payload["userErrors"] == [{"code": "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"}]
    many = given | {"quantities": [row] * 251}
    assert "250" in raw(stage, text % '@idempotent(key: "k3")', {"i": many})["errors"][0]["message"]
    assert stage.quantity("A") == 1000
    costly = "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { id } } } } }"
    assert raw(stage, costly, {})["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


def test_the_sandbox_has_personal_data_to_lose(stage: Stage) -> None:
    order = stage.buy(("A", 1))
    text = "{ orders(first: 1) { nodes { email phone note customer { displayName } shippingAddress { address1 } } } }"
    said = json.dumps(raw(stage, text, {}), ensure_ascii=False)
    assert all(secret in said for secret in order.buyer.strings())
