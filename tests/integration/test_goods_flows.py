"""The flows of goods as people start them, without a server: forms, tables, and what is refused."""

import importlib
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from goods_stage import GoodsStage
from ledger_stage import balances, incidents, order, sell
from prefect import Task
from prefect.exceptions import ParameterTypeError
from sqlalchemy import Engine

from inventory.people.approvals import NotApproved
from inventory.people.raci import Action, Raci, Right
from inventory.words import ApprovalStatus
from tasks.goods.goods_watch import watch_goods
from tasks.goods.transfers import receive_transfer, send_transfer
from tasks.goods.write_off import propose_write_off
from tasks.permission import Request, answer, ask_if_needed, who_approved
from tasks.runtime import Runtime

FLOWS = ("receive_goods", "post_shipments", "process_returns", "write_off_stock", "pull_supplier_feed", "check_goods")
Shown = dict[str, tuple[list[dict[str, Any]], str]]
Start = Callable[..., Shown]


@pytest.fixture
def stage(engine: Engine) -> GoodsStage:
    return GoodsStage(engine)


@pytest.fixture
def start(stage: GoodsStage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Start:
    """Runs a flow's body with its tasks as plain functions; returns its tables by key."""
    shown: Shown = {}
    own = SimpleNamespace(data_dir=tmp_path, suppliers_file=tmp_path / "suppliers.toml")
    for name in FLOWS:
        module = importlib.import_module(f"flows.{name}")
        for attribute, value in list(vars(module).items()):
            if isinstance(value, Task):
                monkeypatch.setattr(module, attribute, value.fn)
        monkeypatch.setattr(module, "runtime", lambda: stage.runtime)
        monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("flows"))
        monkeypatch.setattr(module, "table", lambda key, rows, said: shown.update({key: (list(rows), said)}))
        if hasattr(module, "approved"):
            monkeypatch.setattr(module, "approved", lambda runtime, request: "Sue" if request.units > 50 else "")
        if hasattr(module, "settings"):
            monkeypatch.setattr(module, "settings", lambda: own)

    def run(name: str, **parameters: Any) -> Shown:
        shown.clear()
        flow = getattr(importlib.import_module(f"flows.{name}"), name)
        flow.fn(**flow.validate_parameters(parameters))
        return dict(shown)

    return run


def test_a_delivery_a_return_a_write_off_and_what_waits(stage: GoodsStage, start: Start, tmp_path: Path) -> None:
    engine = stage.engine
    expected = "purchase,supplier,sku,quantity,location,promised_on\nP1,acme,A,10,main,2026-11-03\n,acme,A,1,main,\n"
    arrived = "purchase,sku,quantity,damaged\nP1,A,4,1\nP1,B,1,\n"
    tables = start("receive_goods", actor="Otto", expected=expected, arrived=arrived, receipt="R1", location="main")
    assert tables["goods-expected"][0][0]["why"] == "the purchase is empty"
    assert "RCP-009" in tables["goods-received"][0][0]["why"]
    assert tables["goods-received"][1].startswith("R1: 1 rows booked (5 units)")
    assert balances(engine, "A") == {"main available": 24, "main damaged": 1, "main inbound": 5}
    foreign = "sku,quantity\n" + "".join(f"X{number},1\n" for number in range(12))
    with pytest.raises(Exception, match="nothing was booked"):
        start("receive_goods", actor="Otto", arrived=foreign, receipt="R2")

    parcels, sheet = "parcel,sku,quantity\nRMA1,A,3\nRMA1,X,1\n", "parcel,sku,available,written_off\nRMA1,A,1,1\n"
    tables = start("process_returns", actor="Rita", parcels=parcels, inspected=sheet, sheet="monday", location="main")
    assert len(tables["returns-arrived"][0]) == 1 and tables["returns-inspected"][0] == []
    assert tables["returns-inspected"][1].startswith("2 units in 1 rows decided")
    gone = "sku,location,state,quantity\nA,main,damaged,1\nA,main,damaged,x\n"
    tables = start("write_off_stock", csv=gone, reference="flood", actor="Wanda", reason="water")
    assert "come twice" not in tables["write-off"][0][0]["why"]
    assert balances(engine, "A") == {"main available": 25, "main quarantined": 1, "main inbound": 5}

    asked = propose_write_off(
        stage.runtime, f"{gone}A,main,available,5\n", reference="flood", folder=tmp_path, actor="W", reason="water"
    )
    assert asked is not None and asked.units == 5, "what was done is not asked for again"

    assert start("check_goods")["goods-waiting"][0] == []
    shift = {"actor": "Wanda", "reason": "restock", "reference": "T1"}
    send_transfer(
        stage.runtime, sku_quantities={"B": 2}, from_location="main", to_location="store",
        expected_by=stage.clock.at + timedelta(days=1), **shift,
    )  # fmt: skip
    stage.clock.forward(3 * 86400)
    rows, said = start("check_goods", inspect_within_days=1.5)["goods-waiting"]
    assert [(row["what"], row["name"], row["units"]) for row in rows] == [
        ("transfer", "T1", 2), ("delivery", "P1", 5), ("return", "RMA1/A", 1),
    ]  # fmt: skip
    assert said.startswith("1 transfers stuck, 1 deliveries late, 1 returned")
    kinds = {kind for kind, _ in incidents(engine)}
    assert kinds >= {"transfer_stuck", "inbound_late", "returns_waiting"}
    receive_transfer(stage.runtime, arrived={"B": 2}, damaged={}, **shift)
    start("process_returns", actor="Rita", inspected="parcel,sku,available\nRMA1,A,1\n", sheet="tuesday")
    start("receive_goods", actor="Otto", arrived="purchase,sku,quantity\nP1,A,5\n", receipt="R3")
    watch_goods(stage.runtime)
    assert {kind for kind, _ in incidents(engine)} & {"transfer_stuck", "inbound_late", "returns_waiting"} == set()


def test_shipments_are_posted_and_a_table_of_another_shop_is_blocked(stage: GoodsStage, start: Start) -> None:
    sell(stage.engine, "web", order("O1", ("A", 3)))
    stage.clock.forward(7200)
    head = "channel,order_id,sku,quantity\n"
    sheet = {"actor": "Wanda", "shipment": "S1"}
    rows, said = start("post_shipments", shipments=head + "web,O1,A,2\nweb,O2,A,1\n", **sheet)["shipments-posted"]
    assert said.startswith("2 units in 1 rows posted, 2 pieces moved by it, 0 rows known")
    assert [(row["row"], row["order"]) for row in rows] == [(3, "O2")]
    assert balances(stage.engine, "A") == {"main available": 17, "main reserved": 1}
    other = head + "".join(f"web,X{number},A,1\n" for number in range(12))
    with pytest.raises(importlib.import_module("flows.post_shipments").Blocked, match="nothing was posted"):
        start("post_shipments", shipments=other, **sheet)


def test_feeds_of_all_suppliers_one_of_which_is_missing(stage: GoodsStage, start: Start, tmp_path: Path) -> None:
    assert start("pull_supplier_feed")["supplier-feeds"] == ([], "there are no suppliers")
    feed = 'feed = { format = "csv", code = "art", quantity = "stock" }\n'
    (tmp_path / "suppliers.toml").write_text(
        f'[[supplier]]\ncode = "gone"\nsource = "gone.csv"\n{feed}'
        f'[[supplier]]\ncode = "acme"\nsource = "acme.csv"\n{feed}'
        f'[[supplier]]\ncode = "far"\nsource = "http://127.0.0.1:9/x"\n{feed}'
        'auth = { kind = "bearer", token_env = "ONHAND_STAGE_NO_SUCH_TOKEN" }\n'
    )
    (tmp_path / "acme.csv").write_text("art,stock\nA,7\nA,7\nB,x\n")
    stage.runtime.now = lambda: stage.clock.at.replace(year=2099)
    with pytest.raises(Exception, match=r"gone: gone.csv cannot be read.*acme: .*SUP-106.*far: "):
        start("pull_supplier_feed", approved_by="")
    with pytest.raises(ValueError, match="has no supplier 'other'"):
        start("pull_supplier_feed", supplier="other")
    start("pull_supplier_feed", supplier="acme", approved_by="Wanda")
    assert [tuple(row) for row in _rows(stage, "SELECT sku, quantity FROM supplier_stock")] == [("A", 7)]


def test_a_file_that_changed_after_it_was_approved_is_not_written_off(
    stage: GoodsStage, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, module = tmp_path / "gone.csv", importlib.import_module("flows.write_off_stock")
    raci = Raci({"all": ("*",)}, {Action.ADJUST_STOCK: Right(("all",), "all", units=10)}, {})

    def approve(runtime: Runtime, request: Request) -> str:
        approval = ask_if_needed(runtime, raci, request, "run-1", within=timedelta(hours=1))
        if approval is not None and approval.status is ApprovalStatus.ASKED:
            approval, _ = answer(runtime, raci, "run-1", approve=True, by="Sue")
        return who_approved(approval)

    monkeypatch.setattr(module, "approved", approve)
    form = {"csv": "gone.csv", "reference": "fire", "actor": "Wanda", "reason": "smoke"}
    path.write_text("sku,location,state,quantity\nA,main,available,11\n")
    asked = propose_write_off(
        stage.runtime, "gone.csv", reference="fire", folder=tmp_path, actor="Wanda", reason="smoke"
    )
    assert asked is not None
    ask_if_needed(stage.runtime, raci, asked, "run-1", within=timedelta(hours=1))
    path.write_text("sku,location,state,quantity\nA,main,available,20\n")
    with pytest.raises(NotApproved, match="not what somebody was asked to approve"):
        start("write_off_stock", **form)
    path.write_text("sku,location,state,quantity\nA,main,available,11\n")
    start("write_off_stock", **form)
    assert _rows(stage, "SELECT quantity, actor FROM write_off") == [(11, "Wanda, approved by Sue")]


def _rows(stage: GoodsStage, query: str) -> list[Any]:
    from ledger_stage import rows

    return rows(stage.engine, query)


NOT_STARTED: list[tuple[str, dict[str, Any]]] = [
    ("receive_goods", {"actor": "Otto"}),
    ("receive_goods", {"actor": "Otto", "arrived": "sku,quantity\nA,1\n"}),
    ("receive_goods", {"actor": " ", "arrived": "sku,quantity\nA,1\n", "receipt": "R1"}),
    ("receive_goods", {"actor": "Otto", "arrived": "sku,quantity\nA,1\n", "receipt": "R1\n"}),
    ("receive_goods", {"actor": "Otto", "arrived": "sku,quantity\nA,1\n", "receipt": "R" * 81}),
    ("receive_goods", {"actor": "Otto", "arrived": "no such file.csv", "receipt": "R1"}),
    ("receive_goods", {"actor": "Otto", "expected": "x"}),
    ("post_shipments", {"actor": "Wanda", "shipments": ""}),
    ("post_shipments", {"actor": "Wanda", "shipments": "channel,sku\nweb,A\n"}),
    ("post_shipments", {"actor": "Wanda", "shipments": "channel,order_id,sku,quantity\n"}),
    ("post_shipments", {"actor": " ", "shipments": "channel,order_id,sku,quantity\nweb,O1,A,1\n"}),
    ("post_shipments", {"actor": "W", "shipments": "channel,order_id,sku,quantity\n", "shipment": "-x\n"}),
    ("process_returns", {"actor": "Rita"}),
    ("process_returns", {"actor": "Rita", "inspected": "parcel,sku\nP,A\n"}),
    ("process_returns", {"actor": "Rita", "parcels": "parcel,sku\nP,A\n"}),
    ("write_off_stock", {"csv": "sku,location,state,quantity\n", "reference": "", "actor": "W", "reason": "water"}),
    ("write_off_stock", {"csv": "sku,location,state,quantity\n", "reference": "x", "actor": "W", "reason": "  "}),
    ("pull_supplier_feed", {"supplier": "ACME"}),
    ("check_goods", {"inspect_within_days": 0}),
]


def test_nonsense_in_a_form_starts_nothing(stage: GoodsStage, start: Start) -> None:
    before = _rows(stage, "SELECT count(*) FROM movement")
    for name, parameters in NOT_STARTED:
        with pytest.raises((ValueError, ParameterTypeError)):
            start(name, **parameters)
    assert _rows(stage, "SELECT count(*) FROM movement") == before
