"""Transfers between locations: sent, arrived in parts, damaged, stuck, given up; and nonsense."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from goods_stage import GoodsStage
from ledger_stage import START, assert_sound, balances, dirty, incidents, rows
from sqlalchemy import Engine

from tasks.goods.transfers import (
    TransferError,
    TransferReport,
    give_up_transfer,
    note_stuck_transfers,
    receive_transfer,
    send_transfer,
)


class Warehouses(GoodsStage):
    def send(self, units: dict[str, Any], reference: str = "T1", **how: Any) -> TransferReport:
        given: dict[str, Any] = {
            "from_location": "main",
            "to_location": "store",
            "actor": "Wanda",
            "reason": "the store is empty",
            "expected_by": self.clock.at + timedelta(days=1),
        }
        return send_transfer(self.runtime, sku_quantities=units, reference=reference, **(given | how))

    def arrive(self, arrived: dict[str, Any], damaged: dict[str, Any] | None = None, **how: Any) -> TransferReport:
        given: dict[str, Any] = {"reference": "T1", "actor": "Otto", "reason": "unloaded"}
        return receive_transfer(self.runtime, arrived=arrived, damaged=damaged or {}, **(given | how))


@pytest.fixture
def shop(engine: Engine) -> Warehouses:
    return Warehouses(engine)


def test_a_transfer_from_the_first_unit_to_the_last(shop: Warehouses) -> None:
    engine = shop.engine
    sent = shop.send({"a": 10, "B": 6, "NONE": 1, "C": 1})
    assert (sent.units, sent.missing, sent.repeated) == (10, 10, 0)
    assert {one["SKU"]: one["why"] for one in sent.held} == {
        "B": "5 are available at main",
        "C": "0 are available at main",
        "NONE": "the SKU is not in the catalogue",
    }
    assert balances(engine, "A") == {"main available": 10, "store in_transit": 10}
    assert dirty(engine) == {"A"}

    assert (shop.send({"A": 10}).repeated, shop.send({"B": 5}).units) == (1, 5), "the same line again, and a late one"
    assert shop.send({"A": 3}).held[0]["why"].startswith("T1 sent 10 of it already")

    part = shop.arrive({"A": 6, "C": 1}, {"A": 1, "B": 9})
    assert (part.units, part.damaged, part.missing, part.closed) == (7, 1, 8, False)
    assert {one["SKU"]: one["why"] for one in part.held} == {
        "B": "5 of the 5 that were sent had not arrived yet: count again",
        "C": "this transfer sent none of it",
    }
    assert shop.arrive({"A": 6, "C": 1}, {"A": 1, "B": 9}).repeated == 1
    assert balances(engine, "A") == {
        "main available": 10, "store available": 6, "store damaged": 1, "store in_transit": 3,
    }  # fmt: skip

    assert note_stuck_transfers(shop.runtime) == []
    shop.clock.forward(2 * 86400)
    stuck = note_stuck_transfers(shop.runtime)
    assert [(one.reference, one.units) for one in stuck] == [("T1", {"A": 3, "B": 5})]
    note_stuck_transfers(shop.runtime)
    assert incidents(engine) == {("transfer_stuck", "T1"): 2}

    assert shop.arrive({"B": 5}, delivery="second lorry").closed is False
    assert shop.arrive({"B": 5}, delivery="second lorry").repeated == 1
    done = give_up_transfer(shop.runtime, reference="T1", actor="Wanda", reason="the carrier lost them")
    assert (done.units, done.closed) == (3, True)
    assert incidents(engine) == {}
    assert balances(engine, "A") == {"main available": 10, "store available": 6, "store damaged": 1}
    assert rows(engine, "SELECT quantity, actor FROM movement WHERE to_state = 'written_off'") == [
        (3, "Wanda: the carrier lost them")
    ]
    assert give_up_transfer(shop.runtime, reference="T1", actor="W", reason="again").units == 0
    assert shop.send({"A": 10}).repeated == 1
    with pytest.raises(TransferError, match="was closed"):
        shop.send({"D": 1})
    assert_sound(engine)


NOT_SENT: list[tuple[dict[str, Any], str]] = [
    ({"from_location": "store"}, "not to itself"),
    ({"to_location": "attic"}, "'attic' is no location"),
    ({"from_location": "a\x00b"}, "invisible character"),
    ({"reference": "\ud800"}, "invisible character"),
    ({"actor": " "}, "the actor is empty"),
    ({"reason": "x" * 501}, "the reason is longer than 500"),
    ({"reference": "x" * 81}, "longer than 80"),
    ({"expected_by": START - timedelta(days=1)}, "the time of arrival is past"),
    ({"expected_by": datetime(2027, 1, 1)}, "needs its offset"),  # noqa: DTZ001
]


def test_nonsense_moves_nothing(shop: Warehouses) -> None:
    before = balances(shop.engine, "A")
    for how, why in NOT_SENT:
        with pytest.raises(TransferError, match=why):
            shop.send({"A": 1}, **how)
    with pytest.raises(TransferError, match="nothing was named"):
        shop.send({})
    for units in (0, -1, 10**7, True, 1.5, "1", None):
        assert "a quantity is a whole number" in shop.send({"A": units}).held[0]["why"]
    assert "in two spellings" in shop.send({"A": 1, "a": 1}).held[0]["why"]
    assert rows(shop.engine, "SELECT * FROM transfer") == []
    with pytest.raises(TransferError, match="was sent"):
        shop.arrive({"A": 1})
    shop.send({"A": 2})
    with pytest.raises(TransferError, match="goes from main to store"):
        shop.send({"A": 1}, from_location="store", to_location="main")
    with pytest.raises(TransferError, match="nothing was named"):
        shop.arrive({"A": 0})
    for sound, broken in ((-1, 0), (1, -1), (10**9, 0), ("2", 0), (2, None)):
        assert shop.arrive({"A": sound}, {"A": broken}).held
    with pytest.raises(TransferError, match="was sent"):
        give_up_transfer(shop.runtime, reference="T2", actor="W", reason="why")
    assert balances(shop.engine, "A") == {"main available": before["main available"] - 2, "store in_transit": 2}
    assert_sound(shop.engine)
