"""The journal and its balances: what the database itself refuses, and that nothing is ever half done."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from ledger_stage import START, assert_sound, balances, business, incidents, lines, order, receive, rows, sell
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from adapters.database import in_transaction
from inventory import setup
from inventory.ledger.ledger import InsufficientStock, Move, post
from inventory.ledger.stock import UnknownItem, move_stock
from inventory.ledger.stock import receive as receive_goods
from inventory.words import MovementReason, StockState

OUT = Move(
    sku="A",
    location="main",
    from_state=StockState.AVAILABLE,
    to_state=StockState.WRITTEN_OFF,
    quantity=4,
    reason=MovementReason.WRITE_OFF,
    source="operator",
    event_key="off:1",
    occurred_at=START,
)


@pytest.fixture
def ten(engine: Engine) -> Engine:
    """Ten of A at one location, sold by one channel."""
    business(engine, stock_at={"A": {"main": 10}})
    return engine


def move(engine: Engine, *moves: Move) -> set[str]:
    return in_transaction(engine, lambda connection: move_stock(connection, moves, now=START))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE movement SET quantity = quantity",
        "DELETE FROM movement",
        "TRUNCATE movement",
        "TRUNCATE movement CASCADE",
        "INSERT INTO movement SELECT * FROM movement ON CONFLICT (id) DO UPDATE SET quantity = 1",
    ],
)
def test_the_database_refuses_to_change_the_journal(ten: Engine, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"):
        in_transaction(ten, lambda connection: connection.execute(text(statement)))
    assert rows(ten, "SELECT quantity FROM movement") == [(10,)]


@pytest.mark.parametrize(
    "state", [state.value for state in StockState if state.value not in ("supplier", "shipped", "written_off")][:7]
)
def test_no_physical_state_is_ever_negative(ten: Engine, state: str) -> None:
    statement = text("INSERT INTO balance VALUES ('A', 'main', :state, -1) ON CONFLICT (sku, location, state) DO UPDATE SET quantity = -1")  # fmt: skip  # noqa: E501
    with pytest.raises(IntegrityError, match="balance_never_negative"):
        in_transaction(ten, lambda connection: connection.execute(statement, {"state": state}))


def test_an_event_counts_once(ten: Engine) -> None:
    assert move(ten, OUT, OUT) == {"A"}
    assert move(ten, OUT) == set()
    assert balances(ten, "A") == {"main available": 6}
    with ten.begin() as connection:
        assert post(connection, [OUT], now=START) == set()
    assert_sound(ten)


@pytest.mark.parametrize("way", [move_stock, post])
def test_all_or_nothing(ten: Engine, way: Callable[..., set[str]]) -> None:
    moves = [OUT, replace(OUT, event_key="off:2", quantity=7)]
    with pytest.raises(InsufficientStock, match="nothing was changed"):
        in_transaction(ten, lambda connection: way(connection, moves, now=START))
    assert balances(ten, "A") == {"main available": 10}
    assert rows(ten, "SELECT count(*) FROM movement") == [(1,)]


def test_states_that_have_no_units_cannot_give_any(ten: Engine) -> None:
    with pytest.raises(InsufficientStock):
        move(ten, replace(OUT, from_state=StockState.DAMAGED))


@pytest.mark.parametrize("quantity", [0, -3])
def test_a_movement_of_no_units_is_refused(ten: Engine, quantity: int) -> None:
    with pytest.raises(IntegrityError):
        move(ten, replace(OUT, quantity=quantity))


def test_a_movement_to_where_it_comes_from_is_refused(ten: Engine) -> None:
    with pytest.raises(IntegrityError, match="goes_somewhere"):
        move(ten, replace(OUT, to_state=StockState.AVAILABLE))


def test_an_unknown_item_changes_nothing(ten: Engine) -> None:
    with pytest.raises(UnknownItem, match="NONE"):
        move(ten, OUT, replace(OUT, sku="NONE", event_key="off:2"))
    assert balances(ten, "A") == {"main available": 10}


def test_a_transfer_between_locations_serves_who_waits_there(engine: Engine) -> None:
    business(engine, stock_at={"A": {"east": 5, "west": 0}}, channels={"web": ("east",), "fair": ("west",)})
    sell(engine, "fair", order("1", ("A", 2)))
    transfer = replace(
        OUT, location="east", to_location="west", to_state=StockState.AVAILABLE, reason=MovementReason.TRANSFER
    )
    move(engine, transfer)
    assert balances(engine, "A") == {"east available": 1, "west available": 2, "west reserved": 2}
    assert lines(engine) == {("order:fair:1", "A", "west"): (2, 0)}
    assert_sound(engine)


def test_a_receipt_adds_up_its_lines_and_counts_once(ten: Engine) -> None:
    """Two pallets of one SKU are two lines of one receipt."""
    delivery = [("A", "main", 5), ("A", "main", 7), ("A", "main", 0)]
    for _ in range(2):
        in_transaction(ten, lambda connection: receive_goods(connection, delivery, receipt="pallets", now=START))
    assert balances(ten, "A") == {"main available": 22}


def test_balances_say_where_units_came_from(ten: Engine) -> None:
    move(ten, OUT)
    receive(ten, "A", 3)
    outside = rows(ten, "SELECT state, quantity FROM balance WHERE state IN ('supplier', 'written_off') ORDER BY 1")
    assert outside == [("supplier", -13), ("written_off", 4)]
    assert rows(ten, "SELECT sum(quantity) FROM balance") == [(0,)], "every unit is somewhere"
    assert incidents(ten) == {}


def test_concurrent_movements_neither_lose_nor_invent_units(ten: Engine) -> None:
    """Forty threads' worth of write-offs of 1 race for ten units; receipts of new SKUs race for their rows."""
    refused: list[str] = []

    def work(worker: int) -> None:
        for n in range(5):
            key = f"off:{worker}:{n}"
            try:
                move(ten, replace(OUT, quantity=1, event_key=key))
            except InsufficientStock:
                refused.append(key)
            in_transaction(
                ten,
                lambda connection, name=f"{worker}-{n}": receive_goods(  # type: ignore[misc]
                    connection, [("NEW", "main", 1)], receipt=name, now=START
                ),
            )

    in_transaction(ten, lambda connection: setup.add_items(connection, {"NEW": "new"}))
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 30
    assert balances(ten, "A") == {}
    assert balances(ten, "NEW") == {"main available": 40}
    assert_sound(ten)


def test_a_large_catalogue_is_set_up_in_one_call(engine: Engine) -> None:
    in_transaction(engine, lambda connection: setup.add_items(connection, {f"S{i}": "" for i in range(20_000)}))
    assert rows(engine, "SELECT count(*) FROM item") == [(20_000,)]
