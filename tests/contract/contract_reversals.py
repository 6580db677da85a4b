"""The contract of cancellations, refunds and returns: what units, why, once, and never more than were ordered."""

from datetime import timedelta
from typing import Any

import pytest
from channel_stage import Stage
from contract_orders import at

from adapters.channels.protocol import OrderDocument
from adapters.sandbox.shop import Order
from inventory.words import ReversalKind, ReversalReason

KEYS = {"reversal_id", "line_id", "quantity", "kind", "reason", "restocked", "occurred_at"}
SINGLE = ("refund", "return", "remove")


def reversals(document: OrderDocument) -> dict[str, dict[str, Any]]:
    """By id; and each has all of its keys, in our words."""
    for row in document["reversals"]:
        assert row.keys() == KEYS
        assert row["kind"] in set(ReversalKind)
        assert row["reason"] in set(ReversalReason)
        assert row["restocked"] in (True, False, None)
        assert row["quantity"] > 0
        at(row["occurred_at"])
    found = {row["reversal_id"]: row for row in document["reversals"]}
    assert len(found) == len(document["reversals"]), "one id for two reversals"
    return found


def units_by_line(document: OrderDocument) -> dict[str, int]:
    units: dict[str, int] = {}
    for row in document["reversals"]:
        units[row["line_id"]] = units.get(row["line_id"], 0) + row["quantity"]
    return units


def truth(stage: Stage, order: Order) -> dict[str, int]:
    return {stage.shop.naming.line(line.number): line.reversed for line in order.lines if line.reversed}


def sold(stage: Stage, *units: int) -> Order:
    """One order of the given units of A, B, …"""
    lines = [(stage.add(sku, 100).sku, number) for sku, number in zip("ABCDE", units, strict=False)]
    return stage.buy(*lines)


class ReversalsContract:
    def test_a_cancelled_order_gives_all_its_units_back(self, stage: Stage) -> None:
        order = sold(stage, 3, 2)
        stage.clock.seconds += 60
        stage.shop.cancel(order.number)
        (document,) = stage.pull()
        assert document["cancelled"] is True
        assert sorted(line["quantity"] for line in document["lines"]) == [2, 3], "what was ordered stays"
        found = reversals(document).values()
        assert units_by_line(document) == truth(stage, order)
        assert {row["kind"] for row in found} == {"cancellation"}
        assert all(abs(at(row["occurred_at"]) - order.updated_at) < timedelta(seconds=1) for row in found)

    @pytest.mark.parametrize("restock", [True, False])
    def test_a_cancelled_order_says_whether_units_went_back(self, stage: Stage, restock: bool) -> None:
        order = sold(stage, 3)
        stage.shop.cancel(order.number, restock=restock)
        (document,) = stage.pull()
        told = {row["restocked"] for row in reversals(document).values()}
        assert told == ({restock} if stage.traits.tells_restocked else {None})

    @pytest.mark.parametrize("reason", [reason.value for reason in ReversalReason])
    def test_a_cancelled_order_says_why(self, stage: Stage, reason: str) -> None:
        order = sold(stage, 1)
        stage.shop.cancel(order.number, reason=reason, restock=reason == "customer")
        (document,) = stage.pull()
        (row,) = reversals(document).values()
        if reason in stage.traits.cancel_reasons:
            assert row["reason"] == reason

    def test_a_cancelled_order_comes_with_the_next_pull(self, stage: Stage) -> None:
        order = sold(stage, 1)
        stage.buy(("A", 1))
        stage.clock.seconds += 3600
        since = stage.clock.shop_now()
        stage.shop.cancel(order.number)
        (document,) = stage.pull(since)
        assert (document["order_id"], document["cancelled"]) == (stage.order_id(order), True)

    @pytest.mark.parametrize("how", SINGLE)
    def test_single_units_are_reversed_on_their_line(self, stage: Stage, how: Any) -> None:
        """Where the vendor does not tell of it, nothing is made up."""
        order = sold(stage, 5, 4)
        stage.clock.seconds += 60
        since = stage.clock.shop_now()
        stage.shop.cancel(order.number, [(order.lines[1].number, 3)], how=how, restock=False)
        (document,) = stage.pull(since)
        assert document["cancelled"] is False
        assert {row["restocked"] for row in reversals(document).values()} <= {False, None}
        if how in stage.traits.reversals:
            assert units_by_line(document) == truth(stage, order)
        else:
            assert units_by_line(document).items() <= truth(stage, order).items()

    @pytest.mark.parametrize("how", SINGLE)
    def test_several_reversals_keep_their_ids(self, stage: Stage, how: Any) -> None:
        self.need(stage, how)
        order = sold(stage, 6, 2)
        first, second = (line.number for line in order.lines)
        before: dict[str, dict[str, Any]] = {}
        for lines in ([(first, 2)], [(first, 1), (second, 1)], [(first, 1)]):
            stage.clock.seconds += 60
            stage.shop.cancel(order.number, lines, how=how)
            (document,) = stage.pull()
            now = reversals(document)
            assert {key: row["quantity"] for key, row in before.items()}.items() <= {
                key: row["quantity"] for key, row in now.items()
            }.items()
            assert units_by_line(document) == truth(stage, order)
            assert stage.pull() == [document], "the same again gives the same"
            before = now

    @pytest.mark.parametrize("how", SINGLE)
    def test_what_is_left_is_cancelled_and_nothing_twice(self, stage: Stage, how: Any) -> None:
        self.need(stage, how)
        order = sold(stage, 5, 1)
        stage.shop.cancel(order.number, [(order.lines[0].number, 2)], how=how, restock=False, reason="damaged")
        stage.clock.seconds += 60
        (document,) = stage.pull()
        before = reversals(document)
        stage.shop.cancel(order.number)
        (document,) = stage.pull()
        assert document["cancelled"] is True
        assert before.keys() < reversals(document).keys()
        assert sorted(units_by_line(document).values()) == [1, 5], "never more than was ordered"

    def test_every_way_at_once_adds_up(self, stage: Stage) -> None:
        ways = [how for how in SINGLE if how in stage.traits.reversals]
        if len(ways) < 2:
            pytest.skip("the vendor knows one way at most to reverse single units")
        order = sold(stage, 9)
        for how in ways:
            stage.clock.seconds += 60
            stage.shop.cancel(order.number, [(order.lines[0].number, 2)], how=how)
        (document,) = stage.pull()
        reversals(document)
        assert units_by_line(document) == truth(stage, order)

    def need(self, stage: Stage, how: str) -> None:
        if how not in stage.traits.reversals:
            pytest.skip(f"the vendor does not tell of single units by {how}")
