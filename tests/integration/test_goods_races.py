"""Two people at once with one delivery, one purchase, one parcel, one transfer: everything is booked once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from goods_stage import FOLDER, GoodsStage
from ledger_stage import assert_sound, balances, order, reversal, rows, sell
from sqlalchemy import Engine

from inventory.words import ReversalKind
from tasks.goods.expect import expect_goods
from tasks.goods.receive import receive
from tasks.goods.take_back import inspect_returns, take_back
from tasks.goods.transfers import receive_transfer, send_transfer
from tasks.goods.write_off import write_off


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result() for one in [pool.submit(call) for call in calls]]


def test_each_is_booked_once(engine: Engine) -> None:
    stage = GoodsStage(engine)
    run, who = stage.runtime, {"folder": FOLDER, "actor": "Otto"}
    line = "purchase,supplier,sku,quantity,location\nP1,acme,A,10,main\n"
    at_once(*[lambda: expect_goods(run, line, **who)] * 3)
    assert balances(engine, "A") == {"main available": 20, "main inbound": 10}

    head = "purchase,sku,quantity\n"
    same = at_once(*[lambda: receive(run, f"{head}P1,A,4\n", receipt="R1", **who)] * 3)
    assert sum(one.units for one in same) == 4
    rivals = at_once(
        *[lambda name=name: receive(run, f"{head}P1,A,4\n", receipt=name, **who) for name in ("R2", "R3", "R4")]
    )
    assert sum(one.units for one in rivals) == 4, "6 were left, and none of the rows is booked in part"
    assert sum(len(one.held) for one in rivals) == 2
    assert balances(engine, "A") == {"main available": 28, "main inbound": 2}

    parcel = "parcel,sku,quantity,channel,order_id\nRMA1,A,2,web,O1\n"
    sell(engine, "web", order("O1", ("A", 2)))
    back = order("O1", ("A", 2), updated=9, back=[reversal("B1", 2, kind=ReversalKind.RETURN, restocked=None)])
    at_once(
        lambda: take_back(run, parcel, location="main", **who),
        lambda: sell(engine, "web", back, minute=70),
        lambda: take_back(run, parcel, location="main", **who),
    )
    assert balances(engine, "A") == {"main available": 26, "main inbound": 2, "main quarantined": 2}
    sheet = "parcel,sku,available\nRMA1,A,2\n"
    found = at_once(*[lambda name=name: inspect_returns(run, sheet, sheet=name, **who) for name in ("S1", "S2", "S2")])
    assert sum(one.units for one in found) == 2
    assert balances(engine, "A") == {"main available": 28, "main inbound": 2}

    gone = "sku,location,state,quantity\nB,main,available,3\n"
    at_once(*[lambda: write_off(run, gone, reference="flood", reason="water", **who)] * 3)
    assert balances(engine, "B") == {"main available": 2}
    shift = {"reference": "T1", "actor": "Otto", "reason": "restock"}
    places: dict[str, Any] = {"from_location": "main", "to_location": "store"}
    due = stage.clock.at + timedelta(days=1)
    at_once(*[lambda: send_transfer(run, sku_quantities={"D": 3}, expected_by=due, **places, **shift)] * 3)
    at_once(*[lambda: receive_transfer(run, arrived={"D": 2}, damaged={}, **shift)] * 3)
    assert balances(engine, "D") == {"store available": 2, "store in_transit": 1}
    assert rows(engine, "SELECT sent, arrived FROM transfer_line") == [(3, 2)]
    assert_sound(engine)
