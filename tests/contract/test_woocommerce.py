"""The WooCommerce adapter against the imitated shop, over real HTTP on loopback."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.channels.protocol import Change, ChangeStatus, OrderDocument
from adapters.channels.woocommerce import WooCommerce
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.faults import Fault, FaultKind, Operation
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Order, Shop
from adapters.sandbox.woocommerce import create_app
from adapters.sandbox.woocommerce_documents import Catalogue

START = datetime(2026, 11, 20, 10, 0, 0, 250_000, tzinfo=UTC)
SECRET = "cs_9f1c-very-secret"


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


class Bench:
    """A shop that is served, its clock, and the adapter that looks at it."""

    def __init__(self, clock: Clock, shop: Shop, catalogue: Catalogue, base: str) -> None:
        self.clock, self.shop, self.catalogue, self.base = clock, shop, catalogue, base
        self.opened: list[WooCommerce] = []
        self.channel = self.adapter()

    def adapter(self, **changes: Any) -> WooCommerce:
        """Closed at the end of the test."""
        settings: dict[str, Any] = {
            "base_url": self.base,
            "consumer_key": SecretStr("ck_1"),
            "consumer_secret": SecretStr(SECRET),
            "timeout_s": 5.0,
        }
        self.opened.append(WooCommerce("woo", **{**settings, **changes}))
        return self.opened[-1]

    def pull(self, since: datetime = START, channel: WooCommerce | None = None) -> list[OrderDocument]:
        pages = list((channel or self.channel).pull_orders(since))
        assert not [defect for page in pages for defect in page.defects]
        return [order for page in pages for order in page.orders]

    def sell(self, sku: str, quantity: int = 1) -> Order:
        order = self.shop.checkout([(sku, quantity)]).order
        assert order is not None
        return order

    def status(self, order: Order, status: str) -> None:
        body = {"order_id": str(order.number), "status": status}
        httpx.post(f"{self.base}/sandbox/status", json=body).raise_for_status()

    def fault(self, kind: FaultKind, operation: Operation, times: int | None = 1, **more: Any) -> None:
        self.shop.faults.replace([Fault(kind, operation, times=times, **more)])

    def ref(self, sku: str) -> str:
        return self.catalogue.listing_ref(self.shop.product(sku).number)

    def set(self, sku: str, quantity: int, channel: WooCommerce | None = None) -> ChangeStatus:
        change = Change(self.ref(sku), quantity, None)
        (result,) = (channel or self.channel).set_quantities([change], "key")
        assert result.listing_ref == change.listing_ref
        return result.status


class Stage:
    """One server for all tests of this file; each test puts its own shop on it."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Stage, str]]:
    made = Stage()
    with serve(Starlette(routes=[Mount("/", app=made)])) as base:
        yield made, base


@pytest.fixture
def bench(stage: tuple[Stage, str]) -> Iterator[Bench]:
    clock, catalogue = Clock(), Catalogue()
    shop = Shop(now=clock)
    for number in range(6):
        shop.add_product(f"SKU-{number}", f"Thing {number}", 1000)
    parent = shop.take_number()
    for colour in ("RED", "BLUE"):
        catalogue.parents[shop.add_product(f"SHIRT-{colour}", f"Shirt {colour}", 50).number] = parent
    family = shop.add_product("FAMILY", "Shared by its variations", 33)
    catalogue.shared[shop.take_number()] = family.number
    shop.add_product("LOOSE", "Not counted", 0, tracked=False)
    shop.add_product("BACK", "May go below zero", 5, oversell_allowed=True)
    stage[0].app = create_app(shop, consumer_key="ck_1", consumer_secret=SECRET, catalogue=catalogue)
    made = Bench(clock, shop, catalogue, stage[1])
    yield made
    for channel in made.opened:
        channel.close()


class Meddling(httpx.BaseTransport):
    """The real wire, and a hand on it: `before` sees each request, `change` may alter each JSON answer."""

    def __init__(
        self,
        change: Callable[[str, Any], Any] = lambda path, body: body,
        before: Callable[[httpx.Request], None] = lambda request: None,
        headers: Callable[[dict[str, str]], dict[str, str]] = lambda headers: headers,
    ) -> None:
        self._wire = httpx.HTTPTransport()
        self._change, self._before, self._headers = change, before, headers
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._before(request)
        self.requests.append(request)
        answer = self._wire.handle_request(request)
        body = json.loads(answer.read())
        names = ("x-wp-total", "x-wp-totalpages", "date")
        kept = {name: answer.headers[name] for name in names if name in answer.headers}
        answer.close()
        return httpx.Response(
            answer.status_code, headers=self._headers(kept), json=self._change(request.url.path, body)
        )

    def close(self) -> None:
        self._wire.close()


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


def test_pulls_with_overlap_lose_nothing_and_reach_into_the_current_second(bench: Bench) -> None:
    placed, seen = set(), set()
    since = START
    for _ in range(12):
        bench.clock.pass_(0.35)
        placed.add(str(bench.sell("SKU-1").number))
        pulled = bench.pull(since)
        seen |= {order["order_id"] for order in pulled}
        since = max(datetime.fromisoformat(order["updated_at"]) for order in pulled)
        assert seen == placed
    assert len(bench.pull(since)) <= 3


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
    first = bench.pull(channel=channel)
    since = max(datetime.fromisoformat(order["updated_at"]) for order in first)
    second = bench.pull(since)
    assert {order["order_id"] for order in first + second} == {str(order.number) for order in orders}
    assert len(first) < len(orders), "some left the window, or this test proves nothing"


def test_oldest_change_first(bench: Bench) -> None:
    orders = [bench.sell("SKU-1") for _ in range(5)]
    for order in reversed(orders):
        bench.clock.pass_(1)
        bench.shop.touch(order.number)
    assert [order["order_id"] for order in bench.pull()] == [str(order.number) for order in reversed(orders)]


def test_a_repeated_page_costs_nothing(bench: Bench) -> None:
    for _ in range(30):
        bench.sell("SKU-1")
    bench.fault(FaultKind.REPEAT, Operation.ORDERS, times=4)
    channel = bench.adapter(page_size=10)
    assert len({order["order_id"] for order in bench.pull(channel=channel)}) == 30
    bench.fault(FaultKind.REPEAT, Operation.ORDERS, times=None)
    with pytest.raises(ChannelFault) as caught:
        bench.pull(channel=channel)
    assert caught.value.resolution is Resolution.MALFORMED


def test_an_order_that_shows_late_is_found_by_the_overlap(bench: Bench) -> None:
    hidden = [0.0]
    bench.shop.monotonic = lambda: hidden[0]
    bench.fault(FaultKind.LATE, Operation.ORDERS, delay_s=30.0)
    late = bench.sell("SKU-1")
    bench.clock.pass_(5)
    soon = bench.sell("SKU-2")
    assert [order["order_id"] for order in bench.pull()] == [str(soon.number)]
    hidden[0] = 31.0
    overlap = timedelta(minutes=10)
    assert {order["order_id"] for order in bench.pull(bench.clock.now - overlap)} == {
        str(late.number),
        str(soon.number),
    }


@pytest.mark.parametrize("skew", [timedelta(hours=-3), timedelta(minutes=7), timedelta(days=400)])
def test_a_wrong_clock_at_the_shop_loses_nothing(bench: Bench, skew: timedelta) -> None:
    bench.clock.now += skew
    since = bench.clock.now
    orders = [bench.sell("SKU-1") for _ in range(3)]
    assert {order["order_id"] for order in bench.pull(since)} == {str(order.number) for order in orders}
    with pytest.raises(ValueError, match="offset"):
        bench.channel.pull_orders(datetime(2026, 1, 1))  # noqa: DTZ001


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
    raw = httpx.get(f"{bench.base}/wp-json/wc/v3/orders", auth=("ck_1", SECRET)).text
    assert private[0] in raw, "the shop has personal data, or this test proves nothing"


def _broken(name: str, value: Any) -> Callable[[str, Any], Any]:
    def change(path: str, body: Any) -> Any:
        if path.endswith("/orders") and body and "line_items" in body[0]:
            if name == "row":
                body[0] = value
            elif name in ("product_id", "quantity", "sku"):
                body[0]["line_items"][0][name] = value
            else:
                body[0][name] = value
        return body

    return change


@pytest.mark.parametrize("value", [None, -3, 0, 2.5, "two", True, 10**12])
def test_a_strange_quantity_is_passed_on_as_it_came(bench: Bench, value: Any) -> None:
    bench.sell("SKU-1")
    channel = bench.adapter(transport=Meddling(_broken("quantity", value)))
    (found,) = bench.pull(channel=channel)
    assert found["lines"][0]["quantity"] == value


def test_other_strange_values_are_passed_on(bench: Bench) -> None:
    bench.sell("SKU-1")
    for name, value, key in (("date_modified_gmt", "soon", "updated_at"), ("date_created_gmt", None, "placed_at")):
        channel = bench.adapter(transport=Meddling(_broken(name, value)))
        assert bench.pull(channel=channel)[0][key] == value
    channel = bench.adapter(transport=Meddling(_broken("product_id", 0)))
    assert bench.pull(channel=channel)[0]["lines"][0]["listing_ref"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("row", "Jane Doe"),
        ("id", None),
        ("id", "x"),
        ("status", 7),
        ("line_items", {"a": "Jane Doe"}),
        ("line_items", ["Jane Doe"]),
        ("line_items", None),
        ("quantity", {"of": "Jane Doe"}),
    ],
)
def test_an_untranslatable_order_is_a_defect_and_the_rest_comes(bench: Bench, name: str, value: Any) -> None:
    bench.sell("SKU-1")
    good = bench.sell("SKU-2")
    channel = bench.adapter(transport=Meddling(_broken(name, value)))
    (page,) = channel.pull_orders(START)
    assert [order["order_id"] for order in page.orders] == [str(good.number)]
    (defect,) = page.defects
    assert defect.key and defect.reason and "Jane" not in f"{defect}"


# A page that cannot be read


@pytest.mark.parametrize(
    ("kind", "resolution"),
    [
        (FaultKind.THROTTLE, Resolution.RATE_LIMITED),
        (FaultKind.ERROR_BEFORE, Resolution.RETRY),
        (FaultKind.ERROR_AFTER, Resolution.RETRY),
        (FaultKind.MALFORMED, Resolution.MALFORMED),
        (FaultKind.HTML, Resolution.MALFORMED),
    ],
)
def test_a_fault_in_a_read_is_raised_and_never_an_end(bench: Bench, kind: FaultKind, resolution: Resolution) -> None:
    bench.sell("SKU-1")
    for operation, read in (
        (Operation.ORDERS, bench.pull),
        (Operation.READ, lambda: bench.channel.read_quantities([bench.ref("SKU-1")])),
    ):
        bench.fault(kind, operation, times=None)
        with pytest.raises(ChannelFault) as caught:
            read()
        assert caught.value.resolution is resolution
        assert SECRET not in repr(caught.value) and "Wilhelmina" not in repr(caught.value)
        if kind is FaultKind.THROTTLE:
            assert caught.value.retry_after == 1.0
        bench.shop.faults.replace([])
    assert len(bench.pull()) == 1


def test_a_read_that_times_out_is_raised(bench: Bench) -> None:
    bench.fault(FaultKind.TIMEOUT_BEFORE, Operation.ORDERS, delay_s=3.0)
    channel = bench.adapter(timeout_s=0.2)
    with pytest.raises(ChannelFault) as caught:
        bench.pull(channel=channel)
    assert caught.value.resolution is Resolution.RETRY


@pytest.mark.parametrize("lost", ["rows", "total", "date", "object"])
def test_an_answer_that_does_not_add_up_is_malformed(bench: Bench, lost: str) -> None:
    for _ in range(5):
        bench.sell("SKU-1")

    def change(path: str, body: Any) -> Any:
        return body[:-1] if lost == "rows" and len(body) > 1 else {"code": "odd"} if lost == "object" else body

    gone = {"total": "x-wp-total", "date": "date"}.get(lost)
    headers = lambda kept: {name: text for name, text in kept.items() if name != gone}  # noqa: E731
    channel = bench.adapter(transport=Meddling(change, headers=headers))
    with pytest.raises(ChannelFault) as caught:
        bench.pull(channel=channel)
    assert caught.value.resolution is Resolution.MALFORMED


def test_wrong_credentials(bench: Bench) -> None:
    channel = bench.adapter(consumer_secret=SecretStr("cs_wrong-one"))
    change = [Change(bench.ref("SKU-1"), 1, None)]
    for attempt in (
        lambda: channel.pull_orders(START),
        lambda: channel.read_quantities([bench.ref("SKU-1")]),
        lambda: channel.set_quantities(change, "key"),
    ):
        with pytest.raises(ChannelFault) as caught:
            attempt()
        assert caught.value.resolution is Resolution.REAUTHENTICATE
        assert caught.value.status == 401
        assert "cs_wrong-one" not in f"{caught.value!r} {channel!r} {caught.value.__cause__!r}"
    assert bench.shop.written == []


def test_what_cannot_be_a_shop_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="https"):
        bench.adapter(base_url="http://shop.example")
    for size in (1, 101):
        with pytest.raises(ValueError, match="page_size"):
            bench.adapter(page_size=size)


# Quantities


def test_quantities_are_read_with_and_without_variations(bench: Bench) -> None:
    bench.sell("SHIRT-RED", 4)
    (shared, family) = next(iter(bench.catalogue.shared.items()))
    refs = [bench.ref(sku) for sku in ("SKU-1", "SHIRT-RED", "SHIRT-BLUE", "LOOSE", "BACK")]
    refs += [f"{family}/{shared}", str(family), "999999", f"{family}/888888", "777777/1", "no-such", refs[0]]
    found = {
        reading.listing_ref: (reading.quantity, reading.tracked) for reading in bench.channel.read_quantities(refs)
    }
    assert found == {
        refs[0]: (1000, True),
        refs[1]: (46, True),
        refs[2]: (50, True),
        refs[3]: (0, False),
        refs[4]: (5, False),
        refs[5]: (33, True),
        refs[6]: (33, True),
    }


def test_more_than_a_batch_is_read_and_written(bench: Bench) -> None:
    refs = [bench.catalogue.listing_ref(bench.shop.add_product(f"M-{n}", "m", n).number) for n in range(230)]
    assert [reading.quantity for reading in _sorted(bench.channel.read_quantities(refs), refs)] == list(range(230))
    before = bench.shop.calls["write"]
    results = bench.channel.set_quantities([Change(ref, 7, None) for ref in refs], "key")
    assert [result.listing_ref for result in results] == refs
    assert {result.status for result in results} == {ChangeStatus.DONE}
    assert bench.shop.calls["write"] - before == 3
    assert {reading.quantity for reading in bench.channel.read_quantities(refs)} == {7}


def _sorted(readings: list[Any], refs: list[str]) -> list[Any]:
    return sorted(readings, key=lambda reading: refs.index(reading.listing_ref))


def test_writes_are_absolute_and_put_sold_units_back(bench: Bench) -> None:
    assert bench.set("SKU-1", 10) is ChangeStatus.DONE
    bench.sell("SKU-1", 4)
    assert bench.set("SKU-1", 10) is ChangeStatus.DONE
    assert bench.shop.product("SKU-1").quantity == 10
    assert bench.set("SHIRT-RED", 3) is ChangeStatus.DONE
    assert bench.shop.product("SHIRT-RED").quantity == 3


def test_rows_fail_singly(bench: Bench) -> None:
    (shared, family) = next(iter(bench.catalogue.shared.items()))
    refs = [bench.ref("SKU-1"), "999999", bench.ref("LOOSE"), bench.ref("SHIRT-RED"), f"{family}/{shared}", "x"]
    results = bench.channel.set_quantities([Change(ref, 9, 1000) for ref in refs], "key")
    assert [result.listing_ref for result in results] == refs
    done, rejected = ChangeStatus.DONE, ChangeStatus.REJECTED
    assert [result.status for result in results] == [done, rejected, rejected, done, rejected, rejected]
    assert results[1].reason == "woocommerce_rest_product_invalid_id"
    assert "not managed" in results[2].reason and "parent" in results[4].reason
    assert bench.shop.product("FAMILY").quantity == 33
    with pytest.raises(ValueError, match="twice"):
        bench.channel.set_quantities([Change("1", 1, None), Change("1", 2, None)], "key")


@pytest.mark.parametrize(
    ("kind", "applied"),
    [
        (FaultKind.TIMEOUT_BEFORE, False),
        (FaultKind.TIMEOUT_AFTER, True),
        (FaultKind.ERROR_BEFORE, False),
        (FaultKind.ERROR_AFTER, True),
        (FaultKind.MALFORMED, True),
        (FaultKind.HTML, False),
    ],
)
def test_an_answer_that_never_came_is_unknown_for_its_own_rows(bench: Bench, kind: FaultKind, applied: bool) -> None:
    channel = bench.adapter(timeout_s=0.3)
    bench.fault(kind, Operation.WRITE, delay_s=2.0)
    changes = [Change(bench.ref("SKU-1"), 8, None), Change(bench.ref("SHIRT-RED"), 8, None)]
    first, second = channel.set_quantities(changes, "key")
    assert (first.status, second.status) == (ChangeStatus.UNKNOWN, ChangeStatus.DONE)
    assert first.reason and SECRET not in first.reason
    assert bench.shop.product("SKU-1").quantity == (8 if applied else 1000)
    assert bench.shop.product("SHIRT-RED").quantity == 8
    (reading,) = channel.read_quantities([bench.ref("SKU-1")])
    assert reading.quantity == (8 if applied else 1000)


def test_a_throttled_write_was_not_applied(bench: Bench) -> None:
    bench.fault(FaultKind.THROTTLE, Operation.WRITE)
    with pytest.raises(ChannelFault) as caught:
        bench.set("SKU-1", 8)
    assert (caught.value.resolution, caught.value.retry_after) == (Resolution.RATE_LIMITED, 1.0)
    assert bench.shop.written == []
    changes = [Change(bench.ref("SKU-1"), 8, None), Change(bench.ref("SHIRT-RED"), 8, None)]
    bench.shop.faults.replace([Fault(FaultKind.SLOW, Operation.WRITE, times=1, delay_s=0.0)])
    bench.shop.faults._faults += (Fault(FaultKind.THROTTLE, Operation.WRITE),)
    bench.shop.faults._left += [None]
    results = bench.channel.set_quantities(changes, "key")
    assert [result.status for result in results] == [ChangeStatus.DONE, ChangeStatus.REJECTED]
    assert results[1].reason == "not sent: rate_limited"
    assert bench.shop.product("SHIRT-RED").quantity == 50


def test_the_shop_refuses_what_the_vendor_refuses(bench: Bench) -> None:
    api, auth = f"{bench.base}/wp-json/wc/v3", ("ck_1", SECRET)
    for query in ({"per_page": 101}, {"orderby": "modified"}, {"modified_after": "yesterday"}, {"status": "open"}):
        answer = httpx.get(f"{api}/orders", params=query, auth=auth)
        assert (answer.status_code, answer.json()["code"]) == (400, "rest_invalid_param")
    rows = [{"id": n, "stock_quantity": 1} for n in range(1, 102)]
    assert httpx.post(f"{api}/products/batch", json={"update": rows}, auth=auth).status_code == 413
    answer = httpx.get(f"{api}/orders", params={"per_page": 1}, auth=("ck_1", "no"))
    assert (answer.status_code, answer.json()["code"]) == (401, "woocommerce_rest_cannot_view")
    bench.sell("SKU-1"), bench.sell("SKU-1")
    answer = httpx.get(f"{api}/orders", params={"per_page": 1, "_fields": "id"}, auth=auth)
    assert answer.headers["x-wp-totalpages"] == "2" and 'rel="next"' in answer.headers["link"]
    assert list(answer.json()[0]) == ["id"]
    # Without dates_are_gmt the site's own time counts, an hour ahead of UTC here.
    for gmt, count in (("true", 0), ("false", 2)):
        params = {"modified_after": "2026-11-20T10:30:00", "dates_are_gmt": gmt}
        assert len(httpx.get(f"{api}/orders", params=params, auth=auth).json()) == count
