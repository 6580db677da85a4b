"""What is expected, what arrives of it in cartons, and what does not fit."""

from datetime import timedelta
from typing import Any

import pytest
from goods_stage import FOLDER, GoodsStage, why
from ledger_stage import START, assert_sound, balances, clear_outbox, dirty, incidents, order, rows, sell
from sqlalchemy import Engine

from adapters.seller_csv import CsvError
from inventory.goods.expected_stock import inbound, overdue, promises
from tasks.goods.expect import ExpectedReport, NotUsable, expect_goods
from tasks.goods.receive import ReceiptReport, receive
from tasks.goods.write_off import write_off

ORDER = "purchase,supplier,sku,quantity,location,promised_on\n"
HEAD = "purchase,sku,quantity,damaged,quarantined\n"


class Dock(GoodsStage):
    def expect(self, lines: str, head: str = ORDER) -> ExpectedReport:
        return expect_goods(self.runtime, head + lines, folder=FOLDER, actor="Paula")

    def receive(self, lines: str, receipt: str = "R1", head: str = HEAD, **how: Any) -> ReceiptReport:
        return receive(self.runtime, head + lines, receipt=receipt, folder=FOLDER, actor="Otto", **how)


@pytest.fixture
def dock(engine: Engine) -> Dock:
    return Dock(engine)


def test_a_purchase_in_three_cartons(dock: Dock) -> None:
    engine = dock.engine
    report = dock.expect("P1,acme,alpha,10,main,2026-11-05\nP1,acme,B,4,store,\nP1,acme,NONE,1,main,\n")
    assert (report.new, report.changed, report.units, why(report.held)) == (
        2, 0, 14, {4: "the SKU is not in the catalogue"},
    )  # fmt: skip
    assert balances(engine, "A") == {"main available": 20, "main inbound": 10}
    assert dock.expect("P1,acme,A,10,main,2026-11-05\nP1,acme,B,4,store,\n").repeated == 2
    clear_outbox(engine)

    first = dock.receive("P1,A,3,1,\nP1,B,5,,\nP1,C,1,,\nP9,A,1,,\n,NONE,1,,\n,KIT,1,,\n", "R1", location="main")
    assert (first.rows, first.units, first.repeated) == (1, 4, 0)
    assert {row: said[-8:] for row, said in why(first.held).items()} == {
        3: "RCP-010)", 4: "RCP-009)", 5: "RCP-009)", 6: "RCP-002)", 7: "RCP-003)",
    }  # fmt: skip
    assert balances(engine, "A") == {"main available": 23, "main damaged": 1, "main inbound": 6}
    assert dirty(engine) == {"A"}
    assert incidents(engine) == {("quarantined_rows", "receipts/R1"): 1}

    again = dock.receive("P1,A,3,1,\nP1,B,4,,\n")
    assert (again.rows, again.units, again.repeated, again.held) == (1, 4, 1, [])
    assert incidents(engine) == {}
    assert balances(engine, "B") == {"main available": 5, "store available": 4}
    assert "RCP-011" in dock.receive("P1,A,4,1,\n").held[0]["why"]
    assert "RCP-010" in dock.receive("P1,B,1,,\n", "R2").held[0]["why"]

    with engine.connect() as connection:
        assert [(one.sku, one.units, one.purchase) for one in inbound(connection, ["A", "B"])] == [("A", 6, "P1")]
        soon = promises(connection, ["A"], now=START, by=START + timedelta(days=9))
        assert [(one.units, one.source, one.by.day) for one in soon] == [(6, "purchase:P1", 5)]
        assert promises(connection, ["A"], now=START, by=START + timedelta(days=1)) == []
        late = START + timedelta(days=9)
        assert promises(connection, ["A"], now=late, by=late + timedelta(days=9)) == [], "a date that is past"
        assert [one.purchase for one in overdue(connection, before=late)] == ["P1"]

    over = dock.receive("P1,A,5,,2\n", "R3", approved_by="Wanda")
    assert (over.units, over.held) == (7, [])
    assert balances(engine, "A") == {"main available": 28, "main damaged": 1, "main quarantined": 2}
    assert rows(engine, "SELECT over, actor FROM receipt_line WHERE receipt = 'R3'") == [(1, "Otto, approved by Wanda")]
    assert rows(engine, "SELECT received, ordered FROM purchase_line WHERE sku = 'A'") == [(10, 10)]
    assert_sound(engine)


def test_an_order_that_shrinks_and_goods_that_nobody_ordered(dock: Dock) -> None:
    engine = dock.engine
    dock.expect("P1,acme,A,10,main,\nP2,acme,B,2,main,\n")
    dock.receive("P1,A,4,,\n")
    cut = dock.expect("P1,acme,A,3,main,\nP2,acme,B,0,main,\nP3,acme,D,0,main,\nP1,acme,B,1,attic,\n")
    assert why(cut.held) == {
        2: "4 of it have been received already", 4: "nothing of it is ordered", 5: "the location is none of ours",
    }  # fmt: skip
    assert dock.expect("P1,acme,A,4,store,\n").held[0]["why"].startswith("it is expected at main")
    assert dock.expect("P1,acme,A,5,main,2026-12-01\n").units == -5
    assert balances(engine, "A") == {"main available": 24, "main inbound": 1}
    assert balances(engine, "B") == {"main available": 5}
    gift = dock.receive(",D,2,,,store\n,D,1,,,\n", "R2", head=HEAD.strip() + ",location\n")
    assert [one["row"] for one in gift.held] == [3]
    assert balances(engine, "D") == {"main available": 3, "store available": 2}
    elsewhere = dock.receive("P1,A,1,,,store\n", "R4", head=HEAD.strip() + ",location\n")
    assert elsewhere.units == 1 and balances(engine, "A") == {"main available": 24, "store available": 1}
    assert_sound(engine)


def test_goods_serve_who_waits_first(dock: Dock) -> None:
    sell(dock.engine, "web", order("O1", ("B", 7)))
    dock.receive(",B,3,,\n", location="main")
    assert balances(dock.engine, "B") == {"main available": 1, "main reserved": 7}


NONSENSE = [
    ("A,2.5", "RCP-005"), ("A,", "RCP-005"), ('A,"1,000"', "RCP-005"), ("A,five", "RCP-005"), ("A,-1", "RCP-006"),
    ("A,0", "RCP-007"), ("A,4006381333931", "RCP-007"), ("A,99999999999999999999", "RCP-005"), (",1", "RCP-002"),
    ("A,٣", "RCP-005"),
    ("A,1,000", "has 3 cells"), ("A", "has 1 of 2"), ('A,"1', "quote"),
]  # fmt: skip


def test_nonsense_is_held_and_named(dock: Dock) -> None:
    head = "sku,quantity\n"
    lines = "".join(f"{line}\n" for line, _ in NONSENSE)
    report = dock.receive(f"B,1\n{lines}C,1\nC,2\n", head=head, location="main")
    found = why(report.held)
    for number, (line, rule) in enumerate(NONSENSE, start=3):
        assert rule in found[number], line
    assert all("RCP-008" in found[len(NONSENSE) + at] for at in (3, 4))
    assert (report.rows, report.units) == (1, 1)
    assert not report.blocked
    unknown = "".join(f"X{number},1\n" for number in range(20))
    blocked = dock.receive(unknown, "R2", head=head, location="main")
    assert blocked.blocked and ("batch_blocked", "receipts/R2") in incidents(dock.engine)
    with pytest.raises(CsvError, match="no column sku"):
        dock.receive("x\n", head="code\n")
    for how in ({"receipt": " "}, {"receipt": "a\x00"}, {"receipt": "x" * 81}):
        with pytest.raises(NotUsable, match="receipt"):
            dock.receive("A,1\n", head=head, location="main", **how)
    with pytest.raises(NotUsable, match="no rows"):
        dock.receive("", head=head)
    assert "RCP-004" in dock.receive("A,1\n", "R5", head=head, location="attic").held[0]["why"]
    bad = dock.expect(
        "P1,acme,A,-1,main,\nP1,acme,B,1.5,main,\nP1,acme,C,1,main,soon\nP1,acme,D,1,main,2026-02-30\n"
        "P2,,A,1,main,\nP3,acme,KIT,1,main,\nP4,acme,A,1,main,\nP4,acme,a,1,main,\nP5,acme,A,9999999,main,\n"
        ",acme,A,1,main,\n"
    )
    assert sorted(why(bad.held)) == list(range(2, 12)) and bad.new == 0
    assert_sound(dock.engine)


def test_what_is_gone_is_written_off_once(dock: Dock) -> None:
    dock.receive(",A,1,2,\n", location="main")
    text = "sku,location,state,quantity\nA,main,damaged,2\nB,main,available,1\nB,main,reserved,1\nC,main,available,1\n"
    text += "D,main,available,1\nD,main,AVAILABLE,2\nA,main,quarantined,1\nZ,main,damaged,1\nA,main,damaged,0\n"
    first = write_off(dock.runtime, text, reference="flood", folder=FOLDER, actor="Wanda", reason="water")
    assert (first.rows, first.units) == (2, 3)
    assert sorted(why(first.held)) == [4, 5, 6, 7, 8, 9, 10]
    again = write_off(dock.runtime, text, reference="flood", folder=FOLDER, actor="Wanda", reason="water")
    assert (again.rows, again.repeated) == (0, 2)
    other = write_off(
        dock.runtime, "sku,location,state,quantity\nB,main,available,2\n", reference="flood", folder=FOLDER,
        actor="W", reason="more water",
    )  # fmt: skip
    assert other.held[0]["why"].startswith("flood wrote 1 of it off already")
    assert balances(dock.engine, "A") == {"main available": 21}
    assert balances(dock.engine, "B") == {"main available": 4}
    with pytest.raises(NotUsable, match="reason is empty"):
        write_off(dock.runtime, text, reference="x", folder=FOLDER, actor="Wanda", reason=" ")
    assert_sound(dock.engine)
