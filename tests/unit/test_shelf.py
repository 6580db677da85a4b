"""The decision about stock as pure functions: no database needed to see who gets which unit."""

from datetime import UTC, datetime, timedelta

from inventory.ledger.shelf import NOWHERE, Cause, Line, Shelf, Waiting
from inventory.words import MovementReason, StockState

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
SALE = Cause("sale", MovementReason.SALE, "web", START)
BACK = Cause("back", MovementReason.CANCELLATION, "web", START)


def shelf(**units: int) -> Shelf:
    """Units of A by location; `web` may sell from each, in the order given."""
    balances = {("A", place, "available"): count for place, count in units.items()}
    return Shelf.of(balances, {"web": tuple(units), "one": tuple(units)[:1]})


def test_locations_are_emptied_in_their_order() -> None:
    stage = shelf(near=2, far=5)
    assert stage.take("h", "web", "A", 4, START, SALE) == 0
    assert {place: line.held for place, line in stage.lines["h", "A"].items()} == {"near": 2, "far": 2}
    assert stage.free("A", "web") == 3
    assert stage.free("A", "one") == 0
    assert stage.free("A", "nobody") == stage.free("B", "web") == 0


def test_what_is_short_lies_nowhere_and_moves_nothing() -> None:
    stage = shelf(near=1)
    assert stage.take("h", "web", "A", 3, START, SALE) == 2
    assert stage.lines["h", "A"][NOWHERE] == Line(0, 2)
    assert sum(move.quantity for move in stage.moves) == 1


def test_the_first_promised_is_covered_first_whoever_came_later() -> None:
    stage = shelf(near=0)
    stage.take("late", "web", "A", 2, START + timedelta(minutes=1), SALE)
    stage.take("early", "web", "A", 2, START, SALE)
    stage.put("A", "near", 3, BACK)
    assert stage.lines["early", "A"] == {NOWHERE: Line(0, 0), "near": Line(2, 0)}
    assert stage.lines["late", "A"] == {NOWHERE: Line(0, 1), "near": Line(1, 0)}
    assert stage.free("A", "web") == 0


def test_cover_is_added_to_what_is_held_already() -> None:
    stage = shelf(near=3)
    stage.take("h", "web", "A", 5, START, SALE)
    stage.put("A", "near", 9, BACK)
    assert stage.lines["h", "A"]["near"] == Line(5, 0)
    assert stage.free("A", "web") == 7


def test_who_cannot_sell_from_there_is_passed_over() -> None:
    stage = shelf(near=0, far=0)
    stage.take("first", "one", "A", 1, START, SALE)
    stage.take("second", "web", "A", 1, START + timedelta(minutes=1), SALE)
    stage.put("A", "far", 1, BACK)
    assert stage.lines["second", "A"]["far"] == Line(1, 0)
    assert stage.waiting["A"][0] == Waiting(START, "first", "one")


def test_promises_end_before_real_units_but_not_of_what_was_sent() -> None:
    stage = shelf(near=3)
    stage.take("h", "web", "A", 5, START, SALE)
    assert stage.give_back("h", "A", 3, StockState.AVAILABLE, BACK) == 1
    assert stage.lines["h", "A"] == {NOWHERE: Line(0, 0), "near": Line(2, 0)}
    sent = shelf(near=3)
    sent.take("h", "web", "A", 5, START, SALE)
    sent.lines["h", "A"]["near"].sent = 2
    assert sent.give_back("h", "A", 3, StockState.QUARANTINED, BACK, StockState.SHIPPED) == 2
    assert sent.lines["h", "A"] == {NOWHERE: Line(0, 2), "near": Line(3, 0)}


def test_what_is_not_routed_is_given_back_first() -> None:
    stage = shelf(near=3)
    stage.take("h", "web", "A", 3, START, SALE)
    stage.lines["h", "A"]["near"].allocated = 2
    assert stage.hand_over("h", "other", "A", 3) == 1
    stage.lines["h", "A"]["near"].held += 1
    assert stage.give_back("h", "A", 2, StockState.QUARANTINED, BACK) == 2
    assert stage.lines["h", "A"]["near"] == Line(1, 0, allocated=1)
    assert [(move.from_state, move.quantity) for move in stage.moves[-2:]] == [("reserved", 1), ("allocated", 1)]
    assert len({move.event_key for move in stage.moves}) == len(stage.moves)


def test_nothing_comes_back_twice() -> None:
    stage = shelf(near=3)
    stage.take("h", "web", "A", 2, START, SALE)
    assert stage.give_back("h", "A", 99, StockState.AVAILABLE, BACK) == 2
    assert stage.give_back("h", "A", 99, StockState.AVAILABLE, BACK) == 0
    assert stage.free("A", "web") == 3


def test_every_movement_of_one_event_has_a_key_of_its_own() -> None:
    stage = shelf(near=2, far=2)
    stage.take("h", "web", "A", 4, START, SALE)
    stage.take("w", "web", "A", 3, START, Cause("other", MovementReason.SALE, "web", START))
    stage.give_back("h", "A", 4, StockState.AVAILABLE, BACK)
    keys = [move.event_key for move in stage.moves]
    assert len(keys) == len(set(keys))
