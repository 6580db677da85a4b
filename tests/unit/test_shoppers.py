"""Shoppers against the sandbox's own shops, with and without a wire, and against shops that misbehave."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette

from adapters.sandbox.control import control_routes
from adapters.sandbox.demand import demand_of, hottest, scaled, stock_for
from adapters.sandbox.generator import cancellations_for, generate
from adapters.sandbox.purchases import Outcome
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.shoppers import Rush, Shoppers
from adapters.sandbox.timetable import Storefront, storefront_of
from adapters.sandbox.trace import Trace, TraceCancellation, TraceLine, TraceOrder, read_trace
from inventory.skus import is_non_stock

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "online_retail"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded trace is not there: {DATA}")
NINE = datetime(2026, 11, 2, 9, tzinfo=UTC)
TWO = [Storefront("red", "http://red.example"), Storefront("blue", "http://blue.example")]
ONE = [Storefront("red", "http://red.example")]


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


def order(name: str, minute: float, *lines: tuple[str, int], customer: str | None = None) -> TraceOrder:
    at = NINE + timedelta(minutes=minute)
    return TraceOrder(name, at, tuple(TraceLine(i, s, q) for i, (s, q) in enumerate(lines, start=1)), customer)


def cancel(minute: float, sku: str, quantity: int, matched: tuple[str, int] | None) -> TraceCancellation:
    return TraceCancellation(f"c{minute}{sku}", NINE + timedelta(minutes=minute), sku, quantity, None, matched)


def transport(shops: dict[str, Shop]) -> httpx.MockTransport:
    """Shops without a wire, on the control endpoints' format."""

    def handle(request: httpx.Request) -> httpx.Response:
        shop = shops[request.url.host.removesuffix(".example")]
        body = json.loads(request.content)
        if request.url.path == "/sandbox/cancel":
            lines = body["lines"]
            pairs = None if lines is None else [(int(x["line_id"]), x["quantity"]) for x in lines]
            shop.cancel(int(body["order_id"]), pairs, restock=body["restock"], reason=body["reason"])
            return httpx.Response(200, json={})
        done = shop.checkout([(x["sku"], x["quantity"]) for x in body["lines"]])
        sold = done.order.lines if done.order else []
        answer = {
            "order_id": done.order.number if done.order else None,
            "placed_at": done.order.placed_at.isoformat() if done.order else None,
            "accepted": [{"sku": x.sku, "quantity": x.quantity, "line_id": str(x.number)} for x in sold],
            "refused": [{"sku": sku, "quantity": quantity} for sku, quantity in done.refused],
        }
        return httpx.Response(200, json=answer)

    return httpx.MockTransport(handle)


def shop_with(**stock: int) -> Shop:
    shop = Shop()
    for sku, quantity in stock.items():
        shop.add_product(sku, sku, quantity)
    return shop


def shoppers(shop: Shop, day: Trace, **options: Any) -> Shoppers:
    clock = Time()
    client = httpx.Client(transport=transport({"red": shop}))
    return Shoppers(ONE, day, seconds=60, client=client, clock=clock, sleep=clock.sleep, **options)


def answering(handle: Callable[[httpx.Request], httpx.Response], day: Trace) -> Shoppers:
    clock = Time()
    client = httpx.Client(transport=httpx.MockTransport(handle))
    return Shoppers(ONE, day, seconds=1, client=client, clock=clock, sleep=clock.sleep)


DAY = Trace(
    (
        order("A", 0, ("X", 6), ("POST", 1), ("X", 2)),
        order("B", 10, ("X", 5), ("Y", 1)),
        order("C", 20, ("POST", 1)),
        order("D", 30, ("Z", 1)),
        order("E", 60, ("X", 1)),
    ),
    (cancel(40, "X", 7, ("A", 1)), cancel(50, "Z", 1, ("D", 1)), cancel(50, "Q", 1, None)),
)


def test_a_day_in_its_order_and_what_the_shop_answered() -> None:
    shop = shop_with(X=10, Y=1)
    book = shoppers(shop, DAY).run()
    purchases = book.purchases()
    assert [p.reference for p in purchases] == ["A", "B", "D", "E"]
    assert [[(s.sku, s.quantity) for s in p.sold] for p in purchases] == [
        [("X", 6), ("X", 2)], [("X", 2), ("Y", 1)], [], [("X", 1)],
    ]  # fmt: skip
    assert [p.refused for p in purchases] == [(), (("X", 3),), (("Z", 1),), ()]
    assert [p.outcome for p in purchases] == [Outcome.DONE, Outcome.DONE, Outcome.REFUSED, Outcome.DONE]
    assert [p.order_id for p in purchases if p.sold] == [str(number) for number in shop.orders]
    (withdrawal,) = book.withdrawals()
    assert [(line.quantity, withdrawal.whole_order) for line in withdrawal.lines] == [(6, False), (1, False)]
    progress = book.progress()
    assert (progress.orders_planned, progress.orders_tried, progress.orders_without_goods) == (5, 4, 1)
    assert (progress.units_asked, progress.units_sold, progress.units_refused) == (16, 12, 4)
    assert (progress.cancellations_done, progress.cancellations_skipped, progress.units_cancelled) == (1, 2, 7)
    assert progress.lines_refused == 2
    assert {p.sku: p.quantity for p in shop.products.values()} == {"X": 6, "Y": 0}
    assert book.units_sold() == Counter(X=11, Y=1)


def test_a_whole_order_is_cancelled_as_one() -> None:
    shop = shop_with(X=9, Y=9)
    day = Trace((order("A", 0, ("X", 6), ("Y", 2)),), (cancel(5, "X", 6, ("A", 1)), cancel(5, "Y", 2, ("A", 2))))
    (withdrawal,) = shoppers(shop, day).run().withdrawals()
    assert withdrawal.whole_order
    assert next(iter(shop.orders.values())).cancelled_at


def test_time_is_compressed() -> None:
    clock, seen = Time(), []
    inner = transport({"red": shop_with(X=99)})

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(clock.now)
        return inner.handle_request(request)

    day = Trace(tuple(order(str(m), m, ("X", 1)) for m in (0, 15, 45, 60)))
    client = httpx.Client(transport=httpx.MockTransport(handle))
    Shoppers(ONE, day, seconds=120, client=client, clock=clock, sleep=clock.sleep).run()
    assert seen == [0, 30, 90, 120]


def test_who_is_late_catches_up() -> None:
    clock, seen = Time(), []
    inner = transport({"red": shop_with(X=99)})

    def slow(request: httpx.Request) -> httpx.Response:
        seen.append(clock.now)
        clock.now += 50 if len(seen) == 1 else 0
        return inner.handle_request(request)

    day = Trace(tuple(order(str(m), m, ("X", 1)) for m in (0, 15, 20, 60)))
    client = httpx.Client(transport=httpx.MockTransport(slow))
    Shoppers(ONE, day, seconds=60, client=client, clock=clock, sleep=clock.sleep).run()
    assert seen == [0, 50, 50, 60]
    assert clock.sleeps == [10]


def test_quantities_can_be_scaled_down() -> None:
    assert [scaled(q, 0.1) for q in (1, 4, 24, 100)] == [1, 1, 2, 10]
    shop = shop_with(X=99)
    day = Trace((order("A", 0, ("X", 60)),), (cancel(1, "X", 60, ("A", 1)),))
    book = shoppers(shop, day, quantity_scale=0.1).run()
    assert book.purchases()[0].asked == (("X", 6),)
    assert book.withdrawals()[0].whole_order


def test_customers_keep_to_their_shop_and_weights_hold() -> None:
    shops = [Storefront("red", "r", 3), Storefront("blue", "b", 1)]
    chosen = Counter(storefront_of(f"customer {n}", shops).code for n in range(4000))
    assert chosen["red"] / 4000 == pytest.approx(0.75, abs=0.03)
    assert all(storefront_of("x", shops) is storefront_of("x", shops) for _ in range(3))
    assert storefront_of("customer 7", ONE) is ONE[0]


@pytest.mark.parametrize(
    ("answer", "outcome", "counter"),
    [
        (httpx.Response(500), Outcome.UNKNOWN, "orders_unknown"),
        (httpx.Response(504, text="<html>"), Outcome.UNKNOWN, "orders_unknown"),
        (httpx.Response(429), Outcome.FAILED, "orders_failed"),
        (httpx.Response(400, json={"error": "no"}), Outcome.FAILED, "orders_failed"),
        (httpx.Response(200, text="<html>"), Outcome.UNKNOWN, "orders_unknown"),
        (httpx.Response(200, json=[]), Outcome.UNKNOWN, "orders_unknown"),
        (httpx.Response(200, json={"order_id": 1}), Outcome.UNKNOWN, "orders_unknown"),
        (httpx.Response(200, json={"order_id": 1, "accepted": [], "refused": []}), Outcome.UNKNOWN, "orders_unknown"),
        (httpx.ReadTimeout("late"), Outcome.UNKNOWN, "orders_unknown"),
        (httpx.RemoteProtocolError("cut"), Outcome.UNKNOWN, "orders_unknown"),
        (httpx.ConnectError("down"), Outcome.FAILED, "orders_failed"),
    ],
)
def test_a_shop_that_fails_is_counted_and_the_day_goes_on(
    answer: httpx.Response | Exception, outcome: Outcome, counter: str
) -> None:
    calls = []

    def handle(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        if isinstance(answer, Exception):
            raise answer
        return answer

    day = Trace((order("A", 0, ("X", 1)), order("B", 1, ("X", 1))), (cancel(2, "X", 1, ("A", 1)),))
    book = answering(handle, day).run()
    assert calls == ["/sandbox/checkout"] * 2, "nothing is sent twice"
    assert [p.outcome for p in book.purchases()] == [outcome, outcome]
    assert getattr(book.progress(), counter) == 2
    assert book.progress().cancellations_skipped == 1


def test_a_cancellation_without_an_answer_is_unknown_and_not_repeated() -> None:
    inner, cancels = transport({"red": shop_with(X=9)}), []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/sandbox/cancel":
            cancels.append(json.loads(request.content))
            raise httpx.ReadTimeout("late")
        return inner.handle_request(request)

    day = Trace((order("A", 0, ("X", 4)),), (cancel(1, "X", 3, ("A", 1)), cancel(2, "X", 3, ("A", 1))))
    book = answering(handle, day).run()
    assert [c["lines"][0]["quantity"] if c["lines"] else None for c in cancels] == [3, None]
    assert [w.lines[0].quantity for w in book.withdrawals()] == [3, 1]
    assert book.progress().cancellations_unknown == 2
    assert book.progress().units_cancelled == 0


def test_a_bug_is_not_swallowed() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answering(handle, DAY).run()


def test_stop_ends_the_day_at_once() -> None:
    client = httpx.Client(transport=transport({"red": shop_with(X=99)}))
    out = Shoppers(ONE, DAY, seconds=600, client=client)
    out.start()
    with pytest.raises(RuntimeError):
        out.start()
    assert not out.join(0.05)
    out.stop()
    assert out.join(5)
    assert out.progress().orders_tried == 1


def test_both_shops_are_hit_at_once() -> None:
    inside = threading.Barrier(2)
    inner = transport({"red": shop_with(X=9), "blue": shop_with(X=9)})

    def handle(request: httpx.Request) -> httpx.Response:
        inside.wait(10)
        return inner.handle_request(request)

    names = {storefront_of(name, TWO).code: name for name in map(str, range(50))}
    day = Trace(tuple(order(name, 0, ("X", 1)) for name in names.values()))
    book = Shoppers(TWO, day, seconds=1, client=httpx.Client(transport=httpx.MockTransport(handle))).run()
    assert {p.shop for p in book.purchases()} == {"red", "blue"}


def test_a_rush_fights_for_the_last_units() -> None:
    shops = {"red": shop_with(HOT=7), "blue": shop_with(HOT=5)}
    client = httpx.Client(transport=transport(shops))
    day = Trace((order("A", 0, ("HOT", 1)), order("B", 1, ("HOT", 1))))
    rush = Rush(("HOT",), at=(0.5,), racers=3, attempts=5)
    book = Shoppers(TWO, day, seconds=0.2, client=client, rush=rush).run()
    assert book.units_sold()["HOT"] == 12
    assert all(p.quantity == 0 for shop in shops.values() for p in shop.products.values())
    assert {p.shop for p in book.purchases() if p.reference.startswith("rush-1-")} == {"red", "blue"}
    assert book.progress().orders_planned == 2


@pytest.mark.parametrize(
    "options",
    [
        {"seconds": 0}, {"quantity_scale": 0}, {"quantity_scale": 2}, {"storefronts": []}, {"storefronts": ONE * 2},
        {"storefronts": [Storefront("red", "r", 0)]}, {"rush": Rush((), at=(2.0,))}, {"rush": Rush((), racers=0)},
    ],
)  # fmt: skip
def test_arguments_without_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"zero|shop|racer"):
        Shoppers(**{"storefronts": ONE, "day": DAY, "seconds": 1, **options})


def test_demand_and_stock() -> None:
    day = generate(11)
    demand = demand_of(day)
    stock = stock_for(day, 1.5, np.random.default_rng(1))
    assert stock == stock_for(day, 1.5, np.random.default_rng(1))
    assert set(stock) == set(demand)
    short = {sku for sku in stock if stock[sku] < demand[sku]}
    assert len(short) == round(0.1 * len(stock))
    assert all(1 <= stock[sku] <= 3 for sku in short)
    assert all(stock[sku] == max(1, round(1.5 * demand[sku])) for sku in stock if sku not in short)
    orders = Counter(sku for o in day.orders for sku in {line.sku for line in o.lines})
    assert all(orders[sku] >= 2 for sku in short)
    top = hottest(day, 5)
    assert [orders[sku] for sku in top] == sorted(orders.values(), reverse=True)[:5]
    with pytest.raises(ValueError, match="cover"):
        stock_for(day, 0, np.random.default_rng(1))


def play(day: Trace, seconds: float) -> None:
    """On two shops over loopback; the book must equal the shops' own state."""
    stock = stock_for(day, 0.7, np.random.default_rng(3))
    shops = {"red": Shop(), "blue": Shop()}
    with ExitStack() as stack:
        doors = []
        for code, shop in shops.items():
            for sku, quantity in stock.items():
                shop.add_product(sku, sku, quantity // 2)
            doors.append(Storefront(code, stack.enter_context(serve(Starlette(routes=control_routes(shop))))))
        rush = Rush(tuple(hottest(day, 2)))
        out = Shoppers(doors, day, seconds=seconds, rush=rush)
        book = out.run()
    for code, shop in shops.items():
        assert {p.order_id for p in book.purchases(code) if p.order_id} == {str(number) for number in shop.orders}
        sold: Counter[str] = Counter()
        for placed in shop.orders.values():
            for line in placed.lines:
                sold[line.sku] += line.quantity
        assert book.units_sold(code) == sold
        reversed_units = sum(r.quantity for placed in shop.orders.values() for r in placed.reversals)
        assert out.progress(code).units_cancelled == reversed_units > 0
    progress = out.progress()
    goods = [o for o in day.orders if any(not is_non_stock(line.sku) for line in o.lines)]
    assert progress.orders_planned == len(day.orders)
    assert progress.orders_without_goods == len(day.orders) - len(goods)
    assert len([p for p in book.purchases() if not p.reference.startswith("rush")]) == len(goods)
    assert progress.orders_unknown == progress.orders_failed == 0
    assert progress.units_asked == progress.units_sold + progress.units_refused
    assert progress.units_refused > 0


def test_a_generated_day_over_the_wire() -> None:
    play(generate(5, orders=40), seconds=0.5)


@needs_data
def test_a_recorded_day_over_the_wire() -> None:
    day = read_trace(DATA / "busiest_week.csv.gz").day(1)
    cancellations = (*day.cancellations, *cancellations_for(day.orders, np.random.default_rng(2)))
    play(Trace(day.orders, cancellations), seconds=0.5)
