"""What people do by hand: limits, approvals by somebody else, stock adjusted and released once, rows applied again."""

import logging
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from fake_channel import Bench, bench, line, order, page
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from adapters.raci_file import read_raci
from adapters.settings import PROJECT_ROOT
from expectations import gate
from inventory import setup
from inventory.goods.adjustments import AdjustmentError
from inventory.goods.transit import TransferError
from inventory.people.approvals import NotApproved
from inventory.people.operation_log import UnfitWords
from inventory.people.raci import Action, NotAllowed
from inventory.words import AdjustmentReason as Why
from inventory.words import StockState
from tasks import approve
from tasks.goods.adjust import post_adjustment, post_release, propose_adjustment, propose_release
from tasks.goods.move_between import propose_transfer, read_wish, transfer
from tasks.held_rows import NoSuchRows, apply_rows_again, dismiss_rows, propose_rows
from tasks.permission import Request, answer, ask_if_needed, expire, who_approved
from tasks.publishing.sweep import sweep
from tasks.publishing.sync import NothingToSync, request_for, scope_of, sync
from tasks.selling.pull import pull

RACI = read_raci(PROJECT_ROOT / "raci.toml")
DAY = timedelta(hours=24)


@pytest.fixture
def shop(engine: Engine) -> Bench:
    made = bench(engine, {"A": 100, "B": 4}, cas=True, site=False)
    made.runtime = replace(made.runtime, check=gate.recheck)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO item_cost (sku, unit_cost, set_at) VALUES ('B', 600, now())"))
    return made


def adjust(shop: Bench, key: str, approved_by: str = "", **form: object) -> tuple[int, int]:
    """(on hand, available) afterwards; without asking anybody."""
    given: dict[str, object] = {
        "sku": "A", "location": "main", "why": Why.MISCOUNT, "change": None, "set_to": None, "expected": None,
        "actor": "Wanda", "reason": "counted twice", "request_key": key,
    }  # fmt: skip
    found = propose_adjustment(shop.runtime, **(given | form))  # type: ignore[arg-type]
    if found.adjustment is not None:
        done = post_adjustment(
            shop.runtime, found.adjustment, actor="Wanda", reason="counted twice", approved_by=approved_by,
            request_key=key,
        )  # fmt: skip
        assert not done.repeated
    return stock(shop, str(form.get("sku", "A")).strip())


def stock(shop: Bench, sku: str) -> tuple[int, int]:
    held = dict(shop.rows("SELECT state, quantity FROM balance WHERE sku = :sku AND location = 'main'", sku=sku))
    physical = ("available", "reserved", "allocated", "damaged", "quarantined")
    return sum(held.get(state, 0) for state in physical), held.get("available", 0)


def test_each_reason_moves_the_units_where_they_belong_and_once(shop: Bench) -> None:
    assert adjust(shop, "1", change=-10, why=Why.LOST) == (90, 90)
    assert adjust(shop, "1", change=-10, why=Why.LOST) == (90, 90), "the same request again"
    assert adjust(shop, "2", change=-5, why=Why.DAMAGED) == (90, 85)
    assert adjust(shop, "3", change=-5, why=Why.QUARANTINED) == (90, 80)
    assert adjust(shop, "4", change=-2, why=Why.WRITTEN_OFF) == (88, 78)
    assert adjust(shop, "5", change=3, why=Why.FOUND) == (91, 81)
    assert adjust(shop, "6", change=4, why=Why.SUPPLIER, approved_by="Sue") == (95, 85)
    shop.channels["cas"].pages = [page(order("1", shop.clock(), line("1", "cas-A", 20)))]
    pull(shop.runtime, "cas")
    assert stock(shop, "A") == (95, 65)
    assert adjust(shop, "7", sku=" A ", set_to=90, expected=95) == (90, 60), "what is promised stays promised"
    moves = shop.rows(
        "SELECT from_state, to_state, quantity, reason, actor, reference FROM movement WHERE source = 'adjust_stock'"
    )
    assert {(m.from_state, m.to_state, m.quantity, m.reason) for m in moves} == {
        ("available", "count_loss", 10, "adjustment"),
        ("available", "damaged", 5, "damage"),
        ("available", "quarantined", 5, "quarantine"),
        ("available", "written_off", 2, "write_off"),
        ("count_gain", "available", 3, "adjustment"),
        ("supplier", "available", 4, "adjustment"),
        ("available", "count_loss", 5, "adjustment"),
    }
    assert {m.actor for m in moves} == {"Wanda", "Wanda, approved by Sue"}
    assert shop.one("SELECT count(*) FROM operation WHERE action = 'adjust_stock'") == 7
    assert shop.one("SELECT count(*) FROM outbox WHERE sku = 'A'") == 1, "it is published anew"

    request = propose_release(
        shop.runtime, sku="A", location="main", units=5, to=StockState.AVAILABLE, actor="Wanda", reason="inspected",
        request_key="8",
    )  # fmt: skip
    assert request is not None
    post_release(shop.runtime, request, approved_by="", request_key="8")
    assert post_release(shop.runtime, request, approved_by="", request_key="8").repeated
    assert stock(shop, "A") == (90, 65)
    for units, to in ((1, StockState.AVAILABLE), (0, StockState.DAMAGED), (-3, StockState.DAMAGED)):
        with pytest.raises(AdjustmentError, match="in it"):
            propose_release(
                shop.runtime, sku="A", location="main", units=units, to=to, actor="Wanda", reason="inspected",
                request_key="9",
            )  # fmt: skip


NONSENSE: list[tuple[dict[str, object], str]] = [
    ({"change": 1, "sku": "stranger"}, "no SKU"),
    ({"change": 1, "sku": "A\x00"}, "no SKU"),
    ({"change": 1, "sku": ""}, "no SKU"),
    ({"change": 1, "location": "moon"}, "no location 'moon'; there are main"),
    ({"change": 0}, "nothing to change"),
    ({"change": 1_000_001}, "barcode"),
    ({"change": -101}, "100 are free"),
    ({"change": -1, "why": Why.FOUND}, "cannot make it fewer"),
    ({"change": 1, "why": Why.DAMAGED}, "cannot make it more"),
    ({}, "either by how much"),
    ({"change": 1, "set_to": 5}, "either by how much"),
    ({"set_to": 5}, "what you expect"),
    ({"set_to": 5, "expected": 99}, "the ledger says 100"),
    ({"set_to": 5, "expected": 100, "why": Why.DAMAGED}, "stay on hand"),
    ({"set_to": 100, "expected": 100}, "nothing to change"),
]


def test_nonsense_is_refused_with_its_reason_and_changes_nothing(shop: Bench) -> None:
    for form, says in NONSENSE:
        with pytest.raises(AdjustmentError, match=says):
            adjust(shop, "n", **form)
    for words in ({"actor": " "}, {"reason": "\x00"}, {"reason": "x" * 501}):
        with pytest.raises(UnfitWords):
            adjust(shop, "n", change=1, **words)
    assert stock(shop, "A") == (100, 100)
    assert shop.one("SELECT count(*) FROM operation") == 0


def test_a_set_to_that_was_overtaken_while_it_waited_does_nothing(shop: Bench) -> None:
    found = propose_adjustment(
        shop.runtime, sku="A", location="main", why=Why.MISCOUNT, change=None, set_to=10, expected=100, actor="Wanda",
        reason="counted", request_key="w",
    )  # fmt: skip
    assert found.adjustment is not None
    shop.move("A", 5, receipt="truck")
    with pytest.raises(AdjustmentError, match="105"):
        post_adjustment(
            shop.runtime, found.adjustment, actor="Wanda", reason="counted", approved_by="Sue", request_key="w"
        )
    assert stock(shop, "A") == (105, 105)
    assert shop.one("SELECT count(*) FROM operation") == 0


# Approvals


def wish(shop: Bench, key: str, units: int = 60, actor: str = "Wanda", value: Decimal | None = None):
    request = Request(Action.ADJUST_STOCK, "A", f"{units} fewer of A", actor, "lost", units, value)
    return ask_if_needed(shop.runtime, RACI, request, key, within=DAY)


def test_above_the_limit_somebody_else_decides(shop: Bench) -> None:
    assert wish(shop, "small", 50) is None
    assert wish(shop, "dear", 2, value=Decimal(1001)) is not None
    asked = wish(shop, "big")
    assert asked is not None
    assert "60 units are more than 50" in asked.message
    assert wish(shop, "big") == asked, "a run that begins again finds its own request"
    subjects = {subject for kind, subject in shop.incidents() if kind == "approval_wanted"}
    assert subjects == {"adjust_stock/dear", "adjust_stock/big"}
    assert "Wanda: lost" in shop.one("SELECT message FROM incident WHERE subject = 'adjust_stock/big'")
    for name, why in (("Wanda", "somebody else"), (" wANDA ", "somebody else"), ("", "your name"), ("·", "your name")):
        after, why_not = answer(shop.runtime, RACI, "big", approve=True, by=name)
        assert why in why_not
        assert after.status == "asked"
    shop.clock.forward(60)
    after, why_not = answer(shop.runtime, RACI, "big", approve=True, by="Sue  Smith", note="seen it")
    assert (after.status, why_not, who_approved(after), after.tries) == ("approved", "", "Sue Smith", 4)
    again, why_not = answer(shop.runtime, RACI, "big", approve=False, by="Otto")
    assert (again.status, why_not) == ("approved", "it is approved already")
    kept = shop.rows("SELECT decided_by, decided_at, note, actor FROM approval WHERE request_key = 'big'")
    assert [tuple(row) for row in kept] == [("Sue Smith", shop.clock(), "seen it", "Wanda")]
    assert shop.incidents() == {("approval_wanted", "adjust_stock/dear")}
    with pytest.raises(IntegrityError), shop.engine.begin() as connection:
        connection.execute(text("UPDATE approval SET decided_by = 'wanda ' WHERE request_key = 'big'"))


def test_refused_or_forgotten_nothing_happens(shop: Bench) -> None:
    wish(shop, "refused")
    after, why_not = answer(shop.runtime, RACI, "refused", approve=False, by="Sue", note="no")
    assert why_not == ""
    with pytest.raises(NotApproved, match="Sue refused: no"):
        who_approved(after)
    wish(shop, "forgotten")
    shop.clock.forward(DAY.total_seconds() - 1)
    assert expire(shop.runtime) == 0
    shop.clock.forward(1)
    late, why_not = answer(shop.runtime, RACI, "forgotten", approve=True, by="Sue")
    assert (late.status, why_not) == ("expired", "it is expired already")
    with pytest.raises(NotApproved, match="in time"):
        who_approved(wish(shop, "forgotten"))
    wish(shop, "swept")
    shop.clock.forward(DAY.total_seconds())
    sweep(shop.runtime)
    assert shop.incidents() == set()
    assert set(shop.rows("SELECT request_key, status FROM approval")) == {
        ("refused", "refused"), ("forgotten", "expired"), ("swept", "expired"),
    }  # fmt: skip


def test_the_raci_file_says_who(shop: Bench, tmp_path) -> None:
    content = (PROJECT_ROOT / "raci.toml").read_text()
    content = content.replace('operations = ["*"]', 'operations = ["Wanda"]').replace(
        'warehouse = ["*"]', 'warehouse = ["Otto"]'
    )
    (tmp_path / "raci.toml").write_text(content.replace('supervisor = ["*"]', 'supervisor = ["Sue"]'))
    raci = read_raci(tmp_path / "raci.toml")
    request = Request(Action.ADJUST_STOCK, "A", "60 fewer of A", "Eve", "lost", 60)
    with pytest.raises(NotAllowed, match=r"Eve may not adjust_stock: operations \(Wanda\), warehouse \(Otto\) may"):
        ask_if_needed(shop.runtime, raci, request, "k", within=DAY)
    assert shop.one("SELECT count(*) FROM approval") == 0
    ask_if_needed(shop.runtime, raci, replace(request, actor="wanda"), "k", within=DAY)
    _, why_not = answer(shop.runtime, raci, "k", approve=True, by="Otto")
    assert why_not == "Otto may not approve adjust_stock: supervisor (Sue) may"
    after, _ = answer(shop.runtime, raci, "k", approve=True, by="SUE")
    assert who_approved(after) == "SUE"


def test_a_suspended_run_asks_until_an_answer_counts(shop: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The body of it; that Prefect suspends and begins anew is tested with a server."""
    answers = [None, ("approve", "Wanda"), ("approve", "Sue")]
    keys: list[tuple[str, int]] = []

    def suspend(*, wait_for_input: type[approve.Answer], timeout: int, key: str) -> approve.Answer:
        keys.append((key, timeout))
        given = answers.pop(0)
        if given is None:
            return wait_for_input()  # type: ignore[call-arg]
        return wait_for_input(decision=given[0], your_name=given[1])  # type: ignore[arg-type]

    monkeypatch.setattr(approve, "suspend_flow_run", suspend)
    monkeypatch.setattr(approve, "request_key", lambda: "run-1")
    monkeypatch.setattr(approve, "get_run_logger", lambda: logging.getLogger("test"))
    monkeypatch.setattr(approve, "the_raci", lambda: RACI)
    request = Request(Action.ADJUST_STOCK, "A", "60 fewer of A", "Wanda", "lost", 60)
    assert approve.approved(shop.runtime, request) == "Sue"
    assert keys == [(f"approval-{number}", 86400) for number in range(3)], "the server asks once under each key"
    assert approve.approved(shop.runtime, request) == "Sue", "a run that begins again is not asked again"
    assert approve.approved(shop.runtime, replace(request, units=1)) == "Sue"
    monkeypatch.setattr(approve, "request_key", lambda: "run-2")
    assert approve.approved(shop.runtime, replace(request, units=1)) == ""


# Rows that were held back


def test_mended_rows_are_applied_and_what_is_no_sale_is_dismissed(shop: Bench) -> None:
    cas = shop.channels["cas"]
    cas.pages = [
        page(
            order("1", shop.clock(), line("1", "cas-new", 2)),
            order("2", shop.clock(), line("1", "cas-gone")),
            order("3", shop.clock(), line("1", "cas-A", 1)),
        )
    ]
    pull(shop.runtime, "cas", approved_by="Wanda")
    keys = ["cas/1/line/1", "cas/2/line/1"]
    for bad in (["cas/9"], ["\x00"]):
        with pytest.raises(NoSuchRows):
            propose(shop, bad, "x")
    with pytest.raises(NoSuchRows, match="nothing of site"):
        propose_rows(shop.runtime, "site", [], dismiss=False, actor="Wanda", reason="mapped", request_key="x")
    with shop.engine.begin() as connection:
        setup.add_listings(connection, "cas", [("cas-new", "B", 1)])
    request = propose(shop, [], "rows-1")
    assert request is not None
    assert request.detail["rows"] == keys
    report = apply_rows_again(shop.runtime, request, approved_by="", request_key="rows-1")
    assert (report.asked, report.applied, [one.row_key for one in report.still]) == (2, 1, ["cas/2/line/1"])
    assert stock(shop, "B") == (4, 2)
    assert propose(shop, [], "rows-1") is None, "the same request again"

    away = propose(shop, ["cas/2/line/1"], "rows-2", dismiss=True)
    assert away is not None
    asked = ask_if_needed(shop.runtime, RACI, away, "rows-2", within=DAY)
    assert asked is not None, "always by somebody else"
    assert "always has to be approved" in asked.message
    assert dismiss_rows(shop.runtime, away, approved_by="Sue", request_key="rows-2").dismissed == 1
    assert shop.rows("SELECT status FROM quarantined_row WHERE status = 'open'") == []
    assert ("quarantined_rows", "cas") not in shop.incidents()
    assert [tuple(row) for row in shop.rows("SELECT action, actor, approved_by FROM operation ORDER BY id")] == [
        ("release_quarantine", "Wanda", ""),
        ("dismiss_rows", "Wanda", "Sue"),
    ]


def test_what_was_approved_is_what_is_done(shop: Bench, tmp_path) -> None:
    cas = shop.channels["cas"]
    cas.pages = [page(order("1", shop.clock(), line("1", "cas-x")), order("2", shop.clock(), line("1", "cas-A", 1)))]
    pull(shop.runtime, "cas", approved_by="Wanda")
    asked = propose(shop, [], "rows-1", dismiss=True)
    assert asked is not None
    assert ask_if_needed(shop.runtime, RACI, asked, "rows-1", within=DAY) is not None
    answer(shop.runtime, RACI, "rows-1", approve=True, by="Sue")
    cas.pages = [page(order("3", shop.clock(), line("1", "cas-y")), order("4", shop.clock(), line("1", "cas-A", 1)))]
    pull(shop.runtime, "cas", approved_by="Wanda")
    again = propose(shop, [], "rows-1", dismiss=True)
    assert again is not None and len(again.detail["rows"]) == 2
    with pytest.raises(NotApproved, match="2 rows"):
        ask_if_needed(shop.runtime, RACI, again, "rows-1", within=DAY)

    table = tmp_path / "wish.csv"
    for number, units in enumerate((90, 91)):
        table.write_text(f"sku,quantity\nA,{units}\n")
        wish = read_wish("send", "T-9", "wish.csv", folder=tmp_path, from_location="main", to_location="shop",
                         expected_by=shop.clock() + DAY)  # fmt: skip
        request = replace(propose_transfer(shop.runtime, wish, actor="Wanda", reason="moving"), units=10**6)
        if number == 0:
            assert ask_if_needed(shop.runtime, RACI, request, "t-9", within=DAY) is not None
            assert ask_if_needed(shop.runtime, RACI, request, "t-9", within=DAY) is not None
        else:
            with pytest.raises(NotApproved, match="not what somebody was asked"):
                ask_if_needed(shop.runtime, RACI, request, "t-9", within=DAY)


def propose(shop: Bench, rows: list[str], key: str, dismiss: bool = False) -> Request | None:
    return propose_rows(shop.runtime, "cas", rows, dismiss=dismiss, actor="Wanda", reason="mapped", request_key=key)


# Sync now


def test_sync_reads_and_publishes_what_was_chosen(shop: Bench) -> None:
    cas, site = shop.channels["cas"], shop.channels["site"]
    scope = scope_of(shop.runtime, "", [" A ", "A"])
    assert (scope.channels, scope.skus) == (("cas", "site"), ("A",))
    request = request_for(scope, actor="Wanda", reason="the buyer waits")
    cas.pages = [page(order("1", shop.clock(), line("1", "cas-A", 10)))]
    report = sync(shop.runtime, scope, request, approved_by="", request_key="s-1")
    assert cas.shown["cas-A"] + site.shown["site-A"] == 90
    assert (report.waiting, report.pulled["cas"]) == ([], "1 orders read, 1 new")
    assert {row["SKU"] for row in report.sent} >= {"A"}
    assert scope_of(shop.runtime, "site", []).skus == ("A", "B")
    for channel, skus in (("", []), ("", [" "]), ("", ["A"] * 1 + [f"S{n}" for n in range(2001)])):
        with pytest.raises(NothingToSync):
            scope_of(shop.runtime, channel, skus)
    with pytest.raises(AdjustmentError, match="stranger"):
        scope_of(shop.runtime, "", ["A", "stranger"])


# Transfers


def transfer_form(shop: Bench, tmp_path, step: str, csv: str, key: str, **more: str):
    wish = read_wish(
        step, "T-1", csv, folder=tmp_path, from_location="main", to_location="shop",
        expected_by=shop.clock() + timedelta(days=3), **more,
    )  # type: ignore[arg-type]  # fmt: skip
    request = propose_transfer(shop.runtime, wish, actor="Wanda", reason="the shop is empty")
    return request, lambda: transfer(shop.runtime, wish, request, approved_by="", request_key=key)


def test_a_transfer_is_sent_received_and_given_up(shop: Bench, tmp_path) -> None:
    with shop.engine.begin() as connection:
        setup.add_locations(connection, ["shop"])
    request, send = transfer_form(shop, tmp_path, "send", "sku,quantity\nA,30\nB,2\nstranger,1\n", "t-1")
    assert (request.units, request.value) == (33, Decimal(1200)), "of those whose cost is known"
    sent = send()
    assert (sent.units, [one["SKU"] for one in sent.held]) == (32, ["stranger"])
    assert send().units == 0, "the same request again"
    assert stock(shop, "A") == (70, 70)
    request, receive = transfer_form(shop, tmp_path, "receive", "sku,quantity,damaged\nA,20,5\n", "t-2")
    assert request.units == 0, "what arrives was approved when it was sent"
    assert (receive().units, receive().repeated) == (20, 1)
    assert shop.rows("SELECT state, quantity FROM balance WHERE sku = 'A' AND location = 'shop' ORDER BY state") == [
        ("available", 15), ("damaged", 5), ("in_transit", 10),
    ]  # fmt: skip
    _, give_up = transfer_form(shop, tmp_path, "give up", "", "t-3")
    assert give_up().closed
    for step, csv, says in (
        ("send", "sku,quantity\nA,1.5\n", "row 2: quantity"),
        ("send", "sku,quantity\nA,-1\n", "row 2: quantity"),
        ("send", "sku,quantity\nA,1\nA,2\n", "row 3: 'A' comes twice"),
        ("send", "sku,quantity\n", "0 rows"),
        ("send", "sku,quantity\nA\n", "row 2"),
        ("receive", "sku,quantity,damaged\nA,1,2\n", "2 damaged of 1"),
        ("give up", "", "no transfer 'T-1' is open"),
    ):
        with pytest.raises(TransferError, match=says):
            transfer_form(shop, tmp_path, step, csv, "t-4")
    assert shop.one("SELECT count(*) FROM operation WHERE action = 'transfer_stock'") == 3
