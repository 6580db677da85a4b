"""Returns: quarantined until inspected, told by channel and parcel in any order, moved once, never more than sold."""

import random
from datetime import timedelta
from typing import Any

import pytest
from goods_stage import FOLDER, GoodsStage, why
from ledger_stage import assert_sound, balances, clear_outbox, dirty, incidents, order, receive, reversal, rows, sell
from sqlalchemy import Engine

from inventory.goods.inspections import waiting_parcels
from inventory.holds.hold_terms import ship
from inventory.ledger.ledger import Move
from inventory.ledger.stock import move_stock
from inventory.words import MovementReason, ReversalKind, StockState
from tasks.goods.expect import NotUsable
from tasks.goods.take_back import ReturnsReport, inspect_returns, take_back

HEAD = "parcel,sku,quantity,damaged,channel,order_id\n"
SHEET = "parcel,sku,available,damaged,written_off\n"
RETURN = ReversalKind.RETURN


class ReturnsDesk(GoodsStage):
    def back(self, lines: str, head: str = HEAD, location: str = "main") -> ReturnsReport:
        return take_back(self.runtime, head + lines, folder=FOLDER, actor="Rita", location=location)

    def inspect(self, lines: str, sheet: str = "S1") -> ReturnsReport:
        return inspect_returns(self.runtime, SHEET + lines, sheet=sheet, folder=FOLDER, actor="Ines")


@pytest.fixture
def desk(engine: Engine) -> ReturnsDesk:
    return ReturnsDesk(engine)


def test_a_parcel_is_inspected_before_it_is_sold(desk: ReturnsDesk) -> None:
    engine = desk.engine
    sell(engine, "web", order("O1", ("A", 4), ("KIT", 2)))
    clear_outbox(engine)
    first = desk.back("RMA1,alpha,3,1,web,O1\nRMA1,B,1,,web,O1\nRMA2,A,6,,web,O1\nRMA3,B,2,,,\nRMA4,A,1,,web,O9\n")
    assert (first.rows, first.units, first.on_sale) == (2, 5, 0)
    assert why(first.held) == {
        3: "the ledger knows no such sale of it: look the order up, or leave it empty",
        4: "5 of it can still come back of this sale",
        6: "the ledger knows no such sale of it: look the order up, or leave it empty",
    }
    assert balances(engine, "A") == {
        "main available": 12, "main reserved": 5, "main quarantined": 2, "main damaged": 1,
    }  # fmt: skip
    assert balances(engine, "B") == {"main available": 5, "main quarantined": 2}
    assert dirty(engine) == {"A", "B"}
    assert desk.back("RMA1,A,3,1,web,O1\n").repeated == 1
    assert "brought 3 of it already" in desk.back("RMA1,A,2,,web,O1\n").held[0]["why"]

    with engine.connect() as connection:
        found = waiting_parcels(connection)
        assert [(one.parcel, one.sku, one.units) for one in found] == [("RMA1", "A", 2), ("RMA3", "B", 2)]
        assert waiting_parcels(connection, before=desk.clock.at - timedelta(days=1)) == []

    looked = desk.inspect("RMA1,A,1,1,\nRMA3,B,1,0,2\nRMA9,A,1,,\nRMA3,C,1,,\n")
    assert (looked.rows, looked.units) == (1, 2)
    assert why(looked.held) == {
        3: "2 of it wait for an inspection", 4: "this parcel brought none of it", 5: "this parcel brought none of it",
    }  # fmt: skip
    assert desk.inspect("RMA1,A,1,1,\nRMA3,B,1,,1\n").repeated == 1
    assert "decided otherwise" in desk.inspect("RMA1,A,2,,\n").held[0]["why"]
    assert balances(engine, "A") == {"main available": 13, "main reserved": 5, "main damaged": 2}
    assert balances(engine, "B") == {"main available": 6}
    assert rows(engine, "SELECT quantity, actor FROM movement WHERE to_state = 'written_off'") == [(1, "Ines")]
    assert_sound(engine)


def tell(engine: Engine, name: str, sku: str, sold: int, told: int, number: int, **how: Any) -> None:
    back = reversal(f"{name}-back{number}", told, kind=RETURN, restocked=None, minute=10 + number, **how)
    sell(engine, "web", order(name, (sku, sold), updated=10 + number, back=[back]), minute=60 + number)


def test_channel_and_parcel_tell_of_the_same_units_in_any_order(desk: ReturnsDesk) -> None:
    """However the two interleave, the sale gives back as many units as the one that told of more."""
    chance = random.Random(7)
    engine = desk.engine
    receive(engine, "A", 100)
    for case in range(14):
        name, sold = f"O{case}", chance.randint(1, 3)
        sell(engine, "web", order(name, ("A", sold)))
        steps = [("told", part) for part in split(chance, chance.randint(0, sold))]
        steps += [("parcel", part) for part in split(chance, chance.randint(0, sold))]
        chance.shuffle(steps)
        if case % 2:
            with engine.begin() as connection:
                ship(connection, [f"order:web:{name}"], now=desk.clock.at)
        before = balances(engine, "A").get("main quarantined", 0)
        told = arrived = 0
        for number, (kind, part) in enumerate(steps):
            if kind == "told":
                told += part
                tell(engine, name, "A", sold, part, number)
            else:
                arrived += part
                report = desk.back(f"P{case}-{number},A,{part},,web,{name}\n")
                assert (report.held, report.units) == ([], part)
            moved = balances(engine, "A").get("main quarantined", 0) - before
            assert moved == max(told, arrived), (case, steps[: number + 1])
        assert desk.back(f"P{case}-more,A,{sold - arrived + 1},,web,{name}\n").held
        waiting = rows(
            engine, "SELECT coalesce(sum(waiting), 0) FROM return_line WHERE holder = :h", h=f"order:web:{name}"
        )
        assert waiting == [(arrived,)]
    assert incidents(engine) == {}
    assert_sound(engine)


def split(chance: random.Random, units: int) -> list[int]:
    parts = []
    while units:
        parts.append(chance.randint(1, units))
        units -= parts[-1]
    return parts


def test_what_the_channel_restocked_by_itself_is_told(desk: ReturnsDesk) -> None:
    engine = desk.engine
    sell(engine, "web", order("O1", ("A", 2)))
    back = reversal("R", 2, kind=RETURN, restocked=True)
    sell(engine, "web", order("O1", ("A", 2), updated=9, back=[back]), minute=70)
    report = desk.back("P1,A,2,1,web,O1\n")
    assert (report.units, report.on_sale) == (2, 2)
    assert balances(engine, "A") == {"main available": 20}
    assert desk.inspect("P1,A,2,,\n").held[0]["why"] == "0 of it wait for an inspection"


def test_a_parcel_may_come_to_another_location(desk: ReturnsDesk) -> None:
    engine = desk.engine
    sell(engine, "web", order("O1", ("A", 3)))
    tell(engine, "O1", "A", 3, 1, 0)
    assert desk.back("P1,A,3,,web,O1\n", location="store").units == 3
    assert balances(engine, "A") == {"main available": 17, "store quarantined": 3}
    # Somebody releases them past the inspection: then there is nothing left to decide.
    with engine.begin() as connection:
        gone = Move(
            "A", "store", StockState.QUARANTINED, StockState.AVAILABLE, 2, MovementReason.ADJUSTMENT, "test", "k",
            desk.clock.at,
        )  # fmt: skip
        move_stock(connection, [gone], now=desk.clock.at)
    assert desk.inspect("P1,A,3,,\n").held[0]["why"].startswith("1 of it are quarantined at store")
    with engine.connect() as connection:
        assert [one.units for one in waiting_parcels(connection)] == [1]
    assert_sound(engine)


NONSENSE = ["P1,A,0,,,", "P1,A,-1,,,", "P1,A,1.5,,,", "P1,A,1,2,,", "P1,A,99999,,,", "P1,,1,,,", "P1,KIT,1,,,",
            ",A,1,,,", "P1,A,1,,web,", "P1,A,1,,,O1", "P1,A,one,,,", "P1,A,1,x,,", f"{'P' * 81},A,1,,,"]  # fmt: skip


def test_nonsense_is_held_and_named(desk: ReturnsDesk) -> None:
    for line in NONSENSE:
        report = desk.back(f"{line}\nGOOD-{NONSENSE.index(line)},B,1,,,\n")
        assert (list(why(report.held)), report.units) == ([2], 1), line
    assert desk.back("P1,A,1,,,\n", location="attic").held[0]["why"] == "the location is none of ours"
    assert desk.back("P1,A,1,,,\n", location="").held
    assert sorted(why(desk.back("P1,A,1,,,\nP1,a,1,,,\nP2,B,1,,,\n").held)) == [2, 3]
    for line in ("P2,B,,,", "P2,B,-1,,", "P2,B,x,,", "P2,B,0,0,0", "P2,NONE,1,,", ",B,1,,", "P2,B,1.0,,"):
        report = desk.inspect(f"{line}\n")
        assert (list(why(report.held)), report.units) == ([2], 0), line
    with pytest.raises(NotUsable, match="sheet"):
        desk.inspect("P2,B,1,,\n", sheet="")
    assert_sound(desk.engine)
