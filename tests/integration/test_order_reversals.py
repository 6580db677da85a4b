"""Cancellations, refunds and returns: where the units go, and never more of them than were sold."""

import pytest
from ledger_stage import assert_sound, balances, business, incidents, lines, order, reversal, rows, sell
from sqlalchemy import Engine

from inventory.orders.reversals import destination
from inventory.words import ReversalKind, ReversalReason, StockState


@pytest.fixture
def ten(engine: Engine) -> Engine:
    """Ten of A at one location, sold by one channel."""
    business(engine, stock_at={"A": {"main": 10}})
    return engine


def test_part_of_a_line_comes_back(ten: Engine) -> None:
    applied = sell(ten, "web", order("1", ("A", 6), back=[reversal("r", 2)]))
    assert (applied.reversals, applied.units_returned) == (1, 2)
    assert balances(ten, "A") == {"main available": 6, "main reserved": 4}
    assert_sound(ten)


def test_more_reversed_than_sold_is_an_incident_and_no_stock(ten: Engine) -> None:
    sell(ten, "web", order("1", ("A", 3), back=[reversal("r", 2), reversal("s", 2, minute=6)]))
    assert balances(ten, "A") == {"main available": 10}
    assert incidents(ten) == {("excess_reversal", "order:web:1/1"): 1}
    assert rows(ten, "SELECT reversal_id, applied, status FROM reversal ORDER BY 1") == [
        ("r", 2, "applied"),
        ("s", 1, "excess"),
    ]
    assert_sound(ten)


def test_a_reversal_before_its_line_waits_for_it(ten: Engine) -> None:
    sell(ten, "web", order("1", ("A", 1), back=[reversal("r", 2, line="2")]))
    assert balances(ten, "A") == {"main available": 9, "main reserved": 1}
    assert incidents(ten) == {("unmatched_reversal", "order:web:1/2"): 1}
    sell(ten, "web", order("1", ("A", 1), ("A", 2), updated=9))
    assert balances(ten, "A") == {"main available": 9, "main reserved": 1}
    assert rows(ten, "SELECT status, applied FROM reversal") == [("applied", 2)]
    assert incidents(ten) == {}
    assert_sound(ten)


@pytest.mark.parametrize(
    ("reason", "restocked", "state"),
    [
        (ReversalReason.CUSTOMER, True, "available"),
        (ReversalReason.CUSTOMER, None, "available"),
        (ReversalReason.CUSTOMER, False, "quarantined"),
        (ReversalReason.INVENTORY, True, "quarantined"),
        (ReversalReason.DAMAGED, True, "damaged"),
        (ReversalReason.PAYMENT, False, "available"),
        (ReversalReason.OTHER, False, "quarantined"),
    ],
)
def test_the_reason_decides_where_units_go(
    ten: Engine, reason: ReversalReason, restocked: bool | None, state: str
) -> None:
    sell(ten, "web", order("1", ("A", 10), back=[reversal("r", 3, reason=reason, restocked=restocked)]))
    assert balances(ten, "A") == {"main reserved": 7, f"main {state}": 3}
    expected = {("unit_not_found", "A"): 1} if reason is ReversalReason.INVENTORY else {}
    assert incidents(ten) == expected
    assert_sound(ten)


@pytest.mark.parametrize("restocked", [True, False, None])
def test_a_return_waits_for_inspection_unless_it_is_on_the_shelf(restocked: bool | None) -> None:
    state = destination(ReversalKind.RETURN, ReversalReason.CUSTOMER, restocked)
    assert state is (StockState.AVAILABLE if restocked else StockState.QUARANTINED)


def test_what_never_existed_is_cancelled_first(ten: Engine) -> None:
    sell(ten, "web", order("1", ("A", 12), back=[reversal("r", 3)]))
    assert lines(ten) == {("order:web:1", "A", "main"): (9, 0)}
    assert balances(ten, "A") == {"main available": 1, "main reserved": 9}
    assert_sound(ten)


def test_a_cancelled_bundle_gives_back_all_its_pieces(engine: Engine) -> None:
    business(engine, stock_at={"CUP": {"main": 8}, "POT": {"main": 2}}, bundles={"SET": {"CUP": 4, "POT": 1}})
    sell(engine, "web", order("1", ("SET", 2), back=[reversal("r", 1)]))
    assert balances(engine, "CUP") == {"main available": 4, "main reserved": 4}
    assert balances(engine, "POT") == {"main available": 1, "main reserved": 1}


def test_a_bundle_that_changed_since_is_reversed_as_it_was_sold(engine: Engine) -> None:
    business(engine, stock_at={"CUP": {"main": 8}}, bundles={"SET": {"CUP": 4}})
    sell(engine, "web", order("1", ("SET", 2)))
    business(engine, stock_at={"CUP": {}}, bundles={"SET": {"CUP": 1}})
    sell(engine, "web", order("1", ("SET", 2), updated=9, back=[reversal("r", 2)]))
    assert balances(engine, "CUP") == {"main available": 8}


def test_what_is_cancelled_covers_who_waits(ten: Engine) -> None:
    sell(ten, "web", order("1", ("A", 8)), order("2", ("A", 5), minute=2, back=[]))
    assert lines(ten)["order:web:2", "A", ""] == (0, 3)
    sell(ten, "web", order("1", ("A", 8), updated=9, back=[reversal("r", 4)]))
    assert lines(ten) == {("order:web:1", "A", "main"): (4, 0), ("order:web:2", "A", "main"): (5, 0)}
    assert balances(ten, "A") == {"main available": 1, "main reserved": 9}
    assert_sound(ten)
