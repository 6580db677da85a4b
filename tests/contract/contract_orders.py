"""The contract of reading orders: nothing lost, at no border, by no clock; and the same by either way of reading."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from channel_stage import Stage
from contract_place import MOST_CALLS, Place

from adapters.channels.protocol import OrderDocument
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.faults import FaultKind, Operation
from adapters.sandbox.shop import Order

KEYS = {"order_id", "placed_at", "updated_at", "cancelled", "test", "lines", "reversals"}
LINE_KEYS = {"line_id", "listing_ref", "sku", "quantity"}
OVERLAP = timedelta(minutes=10)


def at(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.utcoffset() is not None, "a time without its offset"
    return moment


def by_id(documents: list[OrderDocument]) -> dict[str, OrderDocument]:
    """The last of each, as the ledger keeps it."""
    return {document["order_id"]: document for document in documents}


def ids(stage: Stage, orders: list[Order]) -> set[str]:
    return {stage.order_id(order) for order in orders}


def some_orders(stage: Stage, count: int, *, apart_s: float = 0.0) -> list[Order]:
    stage.add("MANY", 1000)
    orders = []
    for _ in range(count):
        order = stage.shop.checkout([("MANY", 1)]).order
        assert order is not None
        orders.append(order)
        stage.clock.seconds += apart_s
    stage.clock.seconds += 1
    return orders


class OrdersContract:
    def test_an_order_says_all_that_was_sold(self, stage: Stage) -> None:
        products = [stage.add("A", 10), stage.add("B", 10)]
        order = stage.buy(("A", 2), ("B", 3), ("A", 4))
        (document,) = stage.pull()
        assert KEYS <= document.keys() <= {*KEYS, "hold"}
        assert document["order_id"] == stage.order_id(order)
        assert (document["cancelled"], document["test"], document["reversals"]) == (False, False, [])
        for key in ("placed_at", "updated_at"):
            assert abs(at(document[key]) - order.placed_at) < timedelta(seconds=1)
        refs = {product.sku: stage.ref(product) for product in products}
        assert all(line.keys() == LINE_KEYS for line in document["lines"])
        told = [(line["listing_ref"], line["sku"], line["quantity"]) for line in document["lines"]]
        assert sorted(told) == [(refs[sku], sku, units) for sku, units in sorted([("A", 2), ("A", 4), ("B", 3)])]
        assert len({line["line_id"] for line in document["lines"]}) == 3

    def test_no_orders_are_no_documents_and_no_fault(self, stage: Stage) -> None:
        assert stage.pull() == []

    @pytest.mark.parametrize("surplus", [-1, 0, 1])
    def test_nothing_is_lost_at_page_borders(self, stage: Stage, surplus: int) -> None:
        orders = some_orders(stage, 3 * stage.traits.orders_per_page + surplus, apart_s=2)
        pages = list(stage.channel.pull_orders(stage.clock.shop_now() - timedelta(days=1)))
        assert [order["order_id"] for page in pages for order in page.orders] == [*map(stage.order_id, orders)]
        assert max(len(page.orders) for page in pages) <= stage.traits.orders_per_page

    def test_orders_of_one_instant_are_all_read(self, stage: Stage) -> None:
        orders = some_orders(stage, 3 * stage.traits.orders_per_page + 1)
        assert {document["order_id"] for document in stage.pull()} == ids(stage, orders)

    def test_an_order_of_many_lines_is_read_whole(self, stage: Stage) -> None:
        wanted = [(stage.add(f"LINE-{number}", 9).sku, 1 + number % 4) for number in range(60)]
        stage.buy(*wanted)
        (document,) = stage.pull()
        assert sorted((line["sku"], line["quantity"]) for line in document["lines"]) == sorted(wanted)
        assert len({line["line_id"] for line in document["lines"]}) == len(wanted)

    def test_pulls_one_after_another_lose_nothing(self, stage: Stage) -> None:
        """With no overlap at all: each begins where the last order seen was changed, often in the same second."""
        placed: list[Order] = []
        seen: set[str] = set()
        since = stage.clock.shop_now()
        stage.add("MANY", 1000)
        for _ in range(9):
            stage.clock.seconds += 0.35
            order = stage.shop.checkout([("MANY", 1)]).order
            assert order is not None
            placed.append(order)
            documents = stage.pull(since)
            seen |= {document["order_id"] for document in documents}
            assert seen == ids(stage, placed)
            since = max(at(document["updated_at"]) for document in documents)

    def test_a_pull_begins_where_it_is_told(self, stage: Stage) -> None:
        stage.add("A", 100)
        stage.buy(("A", 1))
        stage.clock.seconds += 3600
        since = stage.clock.shop_now()
        late = stage.buy(("A", 2))
        assert {document["order_id"] for document in stage.pull(since)} == {stage.order_id(late)}
        stage.clock.seconds += 3600
        assert stage.pull(stage.clock.shop_now()) == []
        with pytest.raises(ValueError):
            stage.pull(since.replace(tzinfo=None))

    def test_a_changed_order_comes_again_and_last(self, stage: Stage) -> None:
        first, second = some_orders(stage, 2, apart_s=60)
        stage.clock.seconds += 3600
        since = stage.clock.shop_now()
        stage.shop.touch(first.number)
        (document,) = stage.pull(since)
        assert document["order_id"] == stage.order_id(first)
        assert at(document["updated_at"]) > at(document["placed_at"]) + timedelta(minutes=30)
        assert [row["order_id"] for row in stage.pull()] == [stage.order_id(second), stage.order_id(first)]

    def test_orders_that_change_while_pages_are_read_are_not_lost(self, stage: Stage, place: Place) -> None:
        orders = some_orders(stage, 4 * stage.traits.orders_per_page, apart_s=1)
        changing = iter(orders[:6] + orders[-6:])

        def meanwhile(call: int) -> None:
            stage.clock.seconds += 2
            order = next(changing, None)
            if order is not None:
                stage.shop.touch(order.number)
                if call % 2:
                    orders.append(stage.buy(("MANY", 1)))

        place.before = meanwhile
        first = stage.pull()
        place.before = lambda call: None  # what is sold from here on belongs to a third pull
        second = stage.pull(max(at(document["updated_at"]) for document in first))
        assert by_id(first + second).keys() == ids(stage, orders)
        last: dict[str, datetime] = {}
        for document in first + second:
            when = at(document["updated_at"])
            assert when >= last.setdefault(document["order_id"], when), "an older state after a newer one"
            last[document["order_id"]] = when

    def test_a_cancellation_while_pages_are_read_is_told_in_the_end(self, stage: Stage, place: Place) -> None:
        orders = some_orders(stage, 3 * stage.traits.orders_per_page, apart_s=1)

        def cancel_the_first(call: int) -> None:
            if call == 2:
                stage.clock.seconds += 2
                stage.shop.cancel(orders[0].number)

        place.before = cancel_the_first
        first = stage.pull()
        second = stage.pull(max(at(document["updated_at"]) for document in first))
        told = by_id(first + second)
        assert told.keys() == ids(stage, orders)
        assert [key for key, document in told.items() if document["cancelled"]] == [stage.order_id(orders[0])]

    def test_a_repeated_page_brings_duplicates_and_no_loss(self, stage: Stage) -> None:
        orders = some_orders(stage, 4 * stage.traits.orders_per_page, apart_s=1)
        stage.fault(FaultKind.REPEAT, Operation.ORDERS, times=3)
        assert by_id(stage.pull()).keys() == ids(stage, orders)

    def test_a_shop_that_repeats_its_page_for_ever_is_given_up(self, stage: Stage, place: Place) -> None:
        orders = some_orders(stage, 4 * stage.traits.orders_per_page, apart_s=1)
        stage.fault(FaultKind.REPEAT, Operation.ORDERS, times=None)
        try:
            assert by_id(stage.pull()).keys() == ids(stage, orders)
        except ChannelFault as fault:
            assert fault.resolution is Resolution.MALFORMED
        assert place.calls < MOST_CALLS

    def test_an_order_that_shows_late_is_found_by_the_overlap(self, stage: Stage) -> None:
        stage.add("A", 100)
        stage.fault(FaultKind.LATE, delay_s=30)
        late = stage.buy(("A", 1))
        soon = stage.buy(("A", 1))
        seen = stage.pull()
        assert {document["order_id"] for document in seen} == {stage.order_id(soon)}
        stage.clock.seconds += 30
        again = stage.pull(at(seen[-1]["updated_at"]) - OVERLAP)
        assert {document["order_id"] for document in again} == ids(stage, [late, soon])

    @pytest.mark.parametrize("hours_ahead", [-3.0, 0.1, 24.0 * 400])
    def test_a_shop_whose_clock_is_wrong_loses_nothing(self, stage: Stage, hours_ahead: float) -> None:
        stage.clock.shop_error = hours_ahead * 3600
        since = stage.clock.shop_now()
        orders = some_orders(stage, stage.traits.orders_per_page + 1, apart_s=1)
        found = stage.pull(since)
        assert {document["order_id"] for document in found} == ids(stage, orders)
        orders.append(stage.buy(("MANY", 1)))
        found += stage.pull(max(at(document["updated_at"]) for document in found))
        assert {document["order_id"] for document in found} == ids(stage, orders)

    def test_a_test_order_is_marked(self, stage: Stage) -> None:
        if not stage.traits.tells_test_orders:
            pytest.skip("the vendor does not tell a test order from a real one")
        stage.add("A", 10)
        stage.buy(("A", 1), test=True)
        stage.buy(("A", 1))
        assert [document["test"] for document in stage.pull()] == [True, False]

    def test_single_orders_read_as_in_a_pull(self, stage: Stage) -> None:
        orders = some_orders(stage, 2 * stage.traits.orders_per_page + 1, apart_s=1)
        stage.shop.cancel(orders[0].number, reason="customer")
        how = next(iter(sorted(stage.traits.reversals - {"cancel"})), None)
        if how is not None:
            stage.add("B", 10)
            orders.append(stage.buy(("MANY", 2), ("B", 3)))
            stage.shop.cancel(orders[-1].number, [(orders[-1].lines[0].number, 1)], how=how)
        page = stage.channel.read_orders([stage.order_id(order) for order in orders])
        assert page.defects == []
        assert by_id(page.orders) == by_id(stage.pull())
        assert len(page.orders) == len(orders)

    def test_an_unknown_order_is_absent(self, stage: Stage) -> None:
        (order,) = some_orders(stage, 1)
        page = stage.channel.read_orders([stage.traits.unknown_order, stage.order_id(order)])
        assert [document["order_id"] for document in page.orders] == [stage.order_id(order)]
        assert page.defects == []
        assert stage.channel.read_orders([stage.traits.unknown_order]).orders == []

    def test_no_single_orders_need_no_call(self, stage: Stage, place: Place) -> None:
        assert stage.channel.read_orders([]).orders == []
        assert place.calls == 0
