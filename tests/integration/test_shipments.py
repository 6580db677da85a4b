"""Shipments: a table, through the gate, to the orders that hold the units; and what a channel says was sent."""

from datetime import timedelta
from typing import Any

import pytest
from goods_stage import FOLDER, GoodsStage, why
from ledger_stage import (
    START,
    assert_sound,
    at,
    balances,
    clear_outbox,
    dirty,
    incidents,
    lines,
    order,
    receive,
    reversal,
    rows,
    sell,
)
from sqlalchemy import Engine

from adapters.seller_csv import CsvError
from inventory import setup
from inventory.orders.orders import Sale
from inventory.words import ReversalKind
from tasks.goods.expect import NotUsable
from tasks.selling.apply import apply_events
from tasks.selling.ship import ShipmentReport, ship

HEAD = "channel,order_id,sku,quantity,location,shipment,shipped_at,step\n"
REFUND, RETURN = ReversalKind.REFUND, ReversalKind.RETURN


class ShippingDesk(GoodsStage):
    def post(self, table: str, head: str = HEAD, **how: Any) -> ShipmentReport:
        self.clock.at += timedelta(minutes=1)
        return ship(self.runtime, head + table, folder=FOLDER, actor="Wanda", **how)


@pytest.fixture
def desk(engine: Engine) -> ShippingDesk:
    return ShippingDesk(engine)


def shipped(engine: Engine) -> dict[str, int]:
    return dict(rows(engine, "SELECT sku, sum(quantity)::int FROM balance WHERE state = 'shipped' GROUP BY 1"))


def test_an_order_leaves_in_parts_and_what_cannot_leave_is_named(desk: ShippingDesk) -> None:
    engine = desk.engine
    sell(engine, "web", order("O1", ("A", 4), ("KIT", 2)), order("O2", ("D", 5)), order("O3", ("C", 1), ("B", 2)))
    desk.clock.at = at(120)
    clear_outbox(engine)
    first = desk.post(
        "web,O1,alpha,3,,S1,,\n"
        "web,O1,KIT,1,,S1,2026-11-02T09:30:00+00:00,ship\n"
        "web,O1,A,1,,S2,,SHIP\n"
        "web,O1,KIT,2,,S2,,\n"
        "web,O9,A,1,,S1,,\n"
        "web,O3,A,1,,S1,,\n"
        "web,O2,D,5,,S1,,\n"
        "web,O1,A,1,,,,\n"
        "web,O3,B,1,,S3,,allocate\n"
        "web,O3,B,2,main,S3,,allocate\n"
    )
    assert (first.rows, first.units, first.moved, first.repeated) == (4, 7, 8, 0)
    assert why(first.held) == {
        5: "1 of it can still be sent: 2 ordered, 0 cancelled or returned, 1 sent",
        6: "the ledger knows the order: pull the channel first, then post it again (SHP-003)",
        7: "this order has none of it",
        8: "2 of D were sold short: book what was found, or name the location it lay at",
        9: "the shipment has a name: without one nobody knows whether it was posted before (SHP-009)",
        10: "the step is allocate or ship, and what is allocated says at which location (SHP-007)",
    }
    assert balances(engine, "A") == {"main available": 12, "main reserved": 2}
    assert balances(engine, "B") == {"main available": 3, "main allocated": 2}
    assert balances(engine, "D") == {"main reserved": 3}
    assert shipped(engine) == {"A": 6}
    assert ("shipment_held", "shipments/web") in incidents(engine)
    moved = rows(engine, "SELECT at, actor FROM shipment_line WHERE sku = 'KIT'")
    assert moved == [(START + timedelta(minutes=30), "Wanda")]
    assert dirty(engine) == {"A", "B"}

    again = desk.post("web,O1,A,3,,S1,,\nweb,O3,B,2,main,S3,,allocate\nweb,O1,A,2,,S1,,\n")
    assert (again.rows, again.repeated) == (0, 1), "of two rows that differ nobody knows which one holds"
    assert again.held[0]["row"] == 2
    assert "SHP-011" in again.held[0]["why"]
    assert "SHP-012" in desk.post("web,O1,A,2,,S1,,\n").held[0]["why"]

    # Routed units leave, and a bundle is sent as such, not in its parts.
    rest = desk.post("web,O3,B,1,,S4,,\nweb,O1,KIT,1,,S4,,\n")
    assert (rest.rows, rest.moved, rest.held) == (2, 3, [])
    assert balances(engine, "B") == {"main available": 3, "main allocated": 1}
    assert balances(engine, "A") == {"main available": 12}
    sell(engine, "web", order("O4", ("KIT", 1)))
    assert why(desk.post("web,O4,A,2,,S5,,\n").held) == {2: "it is part of KIT in this order: name that"}
    assert_sound(engine)
    # What was held back comes through once it is right, and then nobody has to look at it any more.
    sell(engine, "web", order("O9", ("A", 1)))
    receive(engine, "D", 2)
    desk.post("web,O9,A,1,,S1,,\nweb,O2,D,5,,S1,,\n")
    left = rows(engine, "SELECT row_key FROM quarantined_row WHERE suite = 'shipments' AND status = 'open'")
    assert {key for (key,) in left} == {
        "web/O1/KIT/ship/S2@", "web/O3/A/ship/S1@", "web/O3/B/allocate/S3@", "web/O4/A/ship/S5@",
        "web/O1/A/ship/S1@",
    }  # fmt: skip
    assert shipped(engine) == {"A": 9, "B": 1, "D": 5}
    assert_sound(engine)


def test_units_leave_from_where_they_lay(desk: ShippingDesk) -> None:
    """Held at one place and sent from another, sold short and found: no balance lies."""
    engine = desk.engine
    receive(engine, "C", 2, place="store", name="more")
    receive(engine, "C", 4, place="main", name="and more")
    sell(engine, "web", order("O1", ("C", 3)))
    before = lines(engine)
    assert sum(held for held, _ in before.values()) == 3
    place = next(place for _, _, place in before)
    other = {"main": "store", "store": "main"}[place]
    there = balances(engine, "C").get(f"{other} available", 0)
    desk.clock.at = at(200)
    assert desk.post(f"web,O1,C,2,{other},S1,,\n").held == []
    assert balances(engine, "C")[f"{place} reserved"] == 1
    assert balances(engine, "C").get(f"{other} available", 0) == there - 2
    assert desk.post(f"web,O1,C,1,{other},S2,,allocate\n").held == []
    assert balances(engine, "C")[f"{other} allocated"] == 1
    assert "0 of C are not routed yet" in desk.post(f"web,O1,C,1,{place},S3,,allocate\n").held[0]["why"]
    at_place = balances(engine, "C")[f"{place} available"]
    assert desk.post(f"web,O1,C,1,{place},S3,,\n").held == []
    assert balances(engine, "C") == {f"{place} available": at_place - 1, f"{other} available": there - 2}

    sell(engine, "web", order("O2", ("D", 5)))
    assert incidents(engine)[("oversold", "D")] == 1
    assert "sold short" in desk.post("web,O2,D,5,,S1,,\n").held[0]["why"]
    assert "3 of D are held for it at main and 0 are free" in desk.post("web,O2,D,4,main,S1,,\n").held[0]["why"]
    assert desk.post("web,O2,D,3,main,S1,,\n").held == []
    assert lines(engine)[("order:web:O2", "D", "")] == (0, 2)
    receive(engine, "D", 2)
    assert desk.post("web,O2,D,2,,S2,,\n").moved == 2
    with engine.begin() as connection:
        setup.add_listings(connection, "web", [("A-3", "A", 3)])
    sell(engine, "web", order("O3", ("A", 1), ("A-3", 2)))
    packs = desk.post("web,O3,A,2,,S1,,\nweb,O3,A,3,,S2,,\nweb,O3,A,4,,S3,,\nweb,O3,A,4,,S4,,\n")
    assert why(packs.held) == {
        2: "it is sold in packs, and these are no whole ones",
        5: "0 of it can still be sent: 7 ordered, 0 cancelled or returned, 7 sent",
    }
    assert balances(engine, "D") == {}
    assert_sound(engine)


def test_after_it_has_left_it_comes_back_only_as_a_return(desk: ShippingDesk) -> None:
    engine = desk.engine
    sell(engine, "web", order("O1", ("A", 5)))
    desk.clock.at = at(120)
    assert desk.post("web,O1,A,3,,S1,,\n").moved == 3
    money = reversal("m", 1, kind=REFUND, restocked=None, minute=130)
    goods = reversal("g", 2, kind=RETURN, restocked=None, minute=140)
    late = reversal("l", 2, kind=ReversalKind.CANCELLATION, restocked=True, minute=150)
    # What was not sent is cancelled first; a refund of what left moves nothing.
    sell(engine, "web", order("O1", ("A", 5), updated=130, back=[money]), minute=160)
    assert balances(engine, "A") == {"main available": 16, "main reserved": 1}
    sell(engine, "web", order("O1", ("A", 5), updated=140, back=[money, goods]), minute=161)
    assert balances(engine, "A") == {"main available": 16, "main reserved": 1, "main quarantined": 2}
    sell(engine, "web", order("O1", ("A", 5), updated=150, back=[money, goods, late]), minute=162)
    assert balances(engine, "A") == {"main available": 18, "main quarantined": 2}
    assert why(desk.post("web,O1,A,1,,S9,,\n").held) == {
        2: "0 of it can still be sent: 5 ordered, 5 cancelled or returned, 3 sent"
    }
    # A return that is told before the shipment proves that the unit had left: the shipment then moves nothing.
    sell(engine, "web", order("O2", ("B", 1)))
    sell(engine, "web", order("O2", ("B", 1), updated=9, back=[reversal("b", 1, kind=RETURN, restocked=None)]))
    told = desk.post("web,O2,B,1,,S1,,\n")
    assert (told.rows, told.moved, told.held) == (1, 0, [])
    assert balances(engine, "B") == {"main available": 4, "main quarantined": 1}
    assert_sound(engine)


def told(sale: Sale, *fulfilled: tuple[str, int], minute: float = 30, back: Any = ()) -> Sale:
    return Sale(sale.order_id, sale.placed_at, at(minute), sale.lines, tuple(back), None, fulfilled)


def test_the_channel_and_a_table_tell_of_the_same_units(desk: ShippingDesk) -> None:
    engine = desk.engine
    sale = order("O1", ("A", 4), ("D", 5))
    sell(engine, "web", sale)
    sell(engine, "web", told(sale, ("1", 2)))
    assert balances(engine, "A") == {"main available": 16, "main reserved": 2}
    sell(engine, "web", told(sale, ("1", 2), minute=31), told(sale, ("1", 1), minute=32))
    assert balances(engine, "A") == {"main available": 16, "main reserved": 2}
    desk.clock.at = at(120)
    known = desk.post("web,O1,A,3,,S1,,\n")
    assert (known.units, known.moved) == (3, 1)
    sell(engine, "web", told(sale, ("1", 3), ("2", 5), ("9", 1), minute=33), minute=130)
    assert shipped(engine) == {"A": 3, "D": 3}
    assert ("shipment_held", "order:web:O1/2") in incidents(engine)
    receive(engine, "D", 2)
    # Sent and refunded between two pulls: it had left first, so nothing is free again by it.
    back = [reversal("r", 1, kind=REFUND, restocked=None, minute=32)]
    sell(engine, "web", told(sale, ("1", 4), ("2", 5), minute=34, back=back), minute=140)
    assert shipped(engine) == {"A": 4, "D": 5}
    assert balances(engine, "A") == {"main available": 16}
    assert ("shipment_held", "order:web:O1/2") not in incidents(engine)
    sell(engine, "web", told(sale, ("1", 9), minute=35, back=back), minute=141)
    assert ("shipment_held", "order:web:O1/1") in incidents(engine)
    assert_sound(engine)


NONSENSE = [
    ("web,O1,A,0,,S1,,", "SHP-006"), ("web,O1,A,-1,,S1,,", "SHP-006"), ("web,O1,A,1.5,,S1,,", "SHP-005"),
    ("web,O1,A,,,S1,,", "SHP-005"), ("web,O1,A,9999999999999999999999,,S1,,", "SHP-005"),
    ("web,O1,A,4006381333931,,S1,,", "SHP-006"), ("web,O1,nothing,1,,S1,,", "SHP-004"), ("web,O1,,1,,S1,,", "SHP-004"),
    ("moon,O1,A,1,,S1,,", "SHP-002"), (",O1,A,1,,S1,,", "SHP-002"), ("web,,A,1,,S1,,", "SHP-003"),
    ("web," + "x" * 300 + ",A,1,,S1,,", "SHP-003"), ("web,O1,A,1,attic,S1,,", "SHP-008"),
    ("web,O1,A,1,,S1,yesterday,", "SHP-010"), ("web,O1,A,1,,S1,2026-11-02T09:00:00,", "SHP-010"),
    ("web,O1,A,1,,S1,2030-01-01T00:00:00+00:00,", "SHP-010"), ("web,O1,A,1,,S1,,teleport", "SHP-007"),
    ("web,O1,A,1,," + "s" * 300 + ",,", "SHP-009"), ("web,O1,A,1,,S1", "cut off"), ("web,O1,A,1,,S1,,,,", "cells"),
]  # fmt: skip


def test_nonsense_is_named_and_moves_nothing(desk: ShippingDesk) -> None:
    engine = desk.engine
    sell(engine, "web", order("O1", ("A", 4)))
    before = balances(engine, "A")
    desk.clock.at = at(120)
    report = desk.post("".join(f"{line}\n" for line, _ in NONSENSE), approved_by="Wanda")
    assert (report.rows, report.blocked) == (0, False)
    found = why(report.held)
    for number, (line, rule) in enumerate(NONSENSE, 2):
        assert rule in found[number], line
    for source, error in (("", CsvError), ("channel,sku\n", CsvError), (HEAD, NotUsable)):
        with pytest.raises(error):
            ship(desk.runtime, source, folder=FOLDER, actor="Wanda")
    with pytest.raises(NotUsable):
        ship(desk.runtime, HEAD + "web,O1,A,1,,S1,,\n", folder=FOLDER, actor=" ")
    strange = "".join(f"web,X{number},A,1,,S2,,\n" for number in range(12)) + "web,O1,A,1,,S2,,\n"
    blocked = desk.post(strange)
    assert blocked.blocked
    assert ("batch_blocked", "shipments") in incidents(engine)
    assert balances(engine, "A") == before
    assert desk.post(strange, approved_by="Olga").rows == 1
    assert ("batch_blocked", "shipments") not in incidents(engine)


def test_a_documents_own_word_goes_through_the_inbox(desk: ShippingDesk) -> None:
    """Absent is unknown, and what cannot be read is too."""
    from inventory.channels import channel_state
    from inventory.orders import inbox

    engine = desk.engine
    document = {
        "order_id": "O1", "placed_at": at(1).isoformat(), "updated_at": at(2).isoformat(), "cancelled": False,
        "test": False, "lines": [{"line_id": "1", "listing_ref": "A", "sku": "A", "quantity": 4}], "reversals": [],
    }  # fmt: skip
    given: list[Any] = [None, "all", [{"line_id": "1", "quantity": True}, 7, {"line_id": ["1"], "quantity": 2}],
                        [{"line_id": "1", "quantity": 3}]]  # fmt: skip
    desk.clock.at = at(10)
    for number, told_so in enumerate(given):
        version = document | {"updated_at": at(2 + number).isoformat()} | ({"fulfilled": told_so} if told_so else {})
        with engine.begin() as connection:
            inbox.store(connection, "web", [version], now=at(10))
            state = channel_state(connection, "web")
        apply_events(desk.runtime, state)
        assert shipped(engine) == ({"A": 3} if number == 3 else {})
