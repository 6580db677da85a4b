"""Cycle counts from the plan to the ledger: one warehouse, trading while it counts."""

import importlib
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_channel import Bench, bench, line, order, page
from sqlalchemy import Engine

from adapters.raci_file import read_raci
from adapters.settings import PROJECT_ROOT
from expectations import masks
from inventory.counting.counting import CountPolicy
from inventory.counting.counting_accuracy import coverage
from inventory.counting.counting_plan import PlanPolicy
from inventory.counting.counting_sheets import SheetLine, lines_to_count
from inventory.counting.item_costs import set_costs
from inventory.ledger import stock
from inventory.ledger.ledger import Move
from inventory.ledger.rebuilding import compare
from inventory.people.raci import NotAllowed
from inventory.words import MovementReason, StockState
from tasks.counting.decide_counts import decide_counts, waiting_rows
from tasks.counting.schedule_counts import ScheduleReport, UnknownBins, line_rows, schedule_counts
from tasks.counting.take_counts import CountsReport, NoName, accuracy_rows, judged_rows, take_counts
from tasks.onboarding.load_items import load_items
from tasks.selling.pull import pull

POLICY = CountPolicy()
RACI = read_raci(PROJECT_ROOT / "raci.toml")
PLAN = PlanPolicy(capacity=50)
FLOWS = {"schedule_cycle_counts": "schedule", "record_counts": "take", "approve_counts": "decide"}
UNITS = {"A": 100, "B": 100, "C": 10, "D": 40, "E": 0}


@pytest.fixture
def shop(engine: Engine) -> Bench:
    made = bench(engine, UNITS, cas=True)
    # The gate's plain masks: a property test holds them equal to Great Expectations.
    made.runtime.check = masks.recheck
    with engine.begin() as connection:
        costs = {"A": Decimal(1), "B": Decimal(50), "C": Decimal(2), "D": Decimal("0.5")}
        set_costs(connection, costs, now=made.clock())
    return made


def scheduled(shop: Bench, folder: Path, **how: object) -> ScheduleReport:
    return schedule_counts(shop.runtime, folder=folder, policy=PLAN, assumed_cost=20, **how)  # type: ignore[arg-type]


def sheet(report: ScheduleReport, counts: Mapping[str, object]) -> str:
    rows = [f"{one.sheet},{one.line},{one.sku},{counts[one.sku]}" for one in report.lines if one.sku in counts]
    return "\n".join(["sheet,line,sku,quantity", *rows]) + "\n"


def taken(shop: Bench, text: str, counter: str, folder: Path = Path(), **how: object) -> CountsReport:
    return take_counts(shop.runtime, text, folder=folder, counter=counter, policy=POLICY, **how)  # type: ignore[arg-type]


def on_hand(shop: Bench, sku: str) -> int:
    inside = "('available', 'reserved', 'allocated', 'damaged', 'quarantined')"
    return int(
        shop.one(f"SELECT coalesce(sum(quantity), 0) FROM balance WHERE sku = :sku AND state IN {inside}", sku=sku)
    )


def state_of(report: CountsReport) -> dict[str, str]:
    return {one.sku: one.status.value for one in report.judged}


def move(shop: Bench, sku: str, from_state: StockState, to_state: StockState, units: int, minutes: float = 0) -> None:
    """`minutes` ago it happened, now it is recorded."""
    at = shop.clock() - timedelta(minutes=minutes)
    key = f"test:{sku}:{shop.clock()}:{minutes}:{to_state}"
    made = Move(sku, "main", from_state, to_state, units, MovementReason.ADJUSTMENT, "test", key, at)
    with shop.engine.begin() as connection:
        stock.move_stock(connection, [made], now=shop.clock())


def sound(shop: Bench) -> None:
    with shop.engine.connect() as connection:
        assert compare(connection) == []


def test_from_the_plan_to_the_ledger(shop: Bench, tmp_path: Path) -> None:
    shop.clock.forward(86_400)
    report = scheduled(shop, tmp_path)
    assert {one.bin.sku for one in report.planned} == {"A", "B", "C", "D"}, "E never held anything"
    assert len(report.sheets) == 1 and scheduled(shop, tmp_path).planned == [], "once a bin"
    [name] = report.files
    text = (tmp_path / name).read_text("utf-8-sig")
    assert text.splitlines()[0] == "sheet,line,location,sku,title,not_by,quantity,counted_at"
    assert all(str(units) not in row for row in text.splitlines() for units in (100, 40)), "blind"
    assert not {"quantity", "ledger", "expected"} & set(line_rows(report.lines)[0])
    # A agrees, B differs by 2 % and 100 of money, C by 20 %, D by 2.5 %.
    shop.clock.forward(3600)
    given = sheet(report, {"A": 100, "B": 98, "C": 8, "D": 39})
    first = taken(shop, given, "Wanda", tmp_path)
    assert state_of(first) == {"A": "matched", "B": "adjusted", "C": "recount", "D": "adjusted"}
    assert [on_hand(shop, sku) for sku in "ABCD"] == [100, 98, 10, 39]
    assert {row["SKU"]: row["ledger"] for row in judged_rows(first.judged)}["C"] == "", "the next counter is blind too"
    assert shop.one("SELECT count(*) FROM outbox WHERE sku IN ('B', 'D')") == 2
    again = taken(shop, given, "Wanda", tmp_path)
    assert (again.filled, again.repeated, again.judged, again.held) == (0, 4, [], [])
    assert [on_hand(shop, sku) for sku in "BD"] == [98, 39]
    other = taken(shop, sheet(report, {"A": 99}), "Otto", tmp_path)
    assert "CNT-008" in other.held[0]["why"], "another number for a line that was counted"
    # The recount: not by Wanda, however she writes her name; then two agree.
    recount = scheduled(shop, tmp_path)
    [waiting] = recount.lines
    assert (waiting.sku, waiting.not_by) == ("C", ("Wanda",))
    refused = taken(shop, sheet(recount, {"C": 8}), " wANDA ", tmp_path)
    assert "CNT-009" in refused.held[0]["why"] and refused.filled == 0
    second = taken(shop, sheet(recount, {"C": 8}), "Otto", tmp_path)
    assert state_of(second) == {"C": "adjusted"} and on_hand(shop, "C") == 8
    journal = shop.rows(
        "SELECT sku, from_state, to_state, quantity, reason, actor FROM movement WHERE reason = 'count' ORDER BY sku"
    )
    assert [tuple(row) for row in journal] == [
        ("B", "available", "count_loss", 2, "count", "Wanda"),
        ("C", "available", "count_loss", 2, "count", "Wanda, Otto"),
        ("D", "available", "count_loss", 1, "count", "Wanda"),
    ]
    figures = {(one.location, one.abc): one for one in second.accuracy}[("all", "all")]
    assert (figures.bins, figures.ira_exact, figures.units_missing) == (4, 0.25, 5)
    assert figures.shrinkage == pytest.approx(5 / 250) and accuracy_rows(second.accuracy)
    assert ("shrinkage", "main") in shop.incidents()
    with shop.engine.connect() as connection:
        [covered] = coverage(connection, since=shop.clock() - timedelta(days=91))
    assert (covered.bins, covered.counted) == (4, 4)
    sound(shop)


def test_counting_while_goods_come_and_go(shop: Bench, tmp_path: Path) -> None:
    shop.clock.forward(86_400)
    report = scheduled(shop, tmp_path)
    shop.clock.forward(3600)
    # Counted now: 100 of A, 98 of B, 40 of D. Then ten A arrive and forty D leave before the sheet is brought.
    counted_at = shop.clock()
    shop.clock.forward(1800)
    move(shop, "A", StockState.SUPPLIER, StockState.AVAILABLE, 10)
    move(shop, "D", StockState.AVAILABLE, StockState.WRITTEN_OFF, 40)
    move(shop, "B", StockState.SUPPLIER, StockState.AVAILABLE, 5)
    shop.clock.forward(1800)
    given = sheet(report, {"A": 100, "B": 98, "D": 40})
    first = taken(shop, given, "Wanda", tmp_path, counted_at=counted_at)
    assert state_of(first) == {"A": "matched", "B": "recount", "D": "matched"}, "small, but goods moved meanwhile"
    assert [on_hand(shop, sku) for sku in "ABD"] == [110, 105, 0]
    # A correction of the record between two counts is no movement of goods: the first count now agrees with it.
    with shop.engine.begin() as connection:
        made = Move("B", "main", StockState.AVAILABLE, StockState.COUNT_LOSS, 2, MovementReason.ADJUSTMENT, "test",
                    "corrected", shop.clock())  # fmt: skip
        stock.move_stock(connection, [made], now=shop.clock())
    shop.clock.forward(600)
    second = taken(shop, sheet(scheduled(shop, tmp_path), {"B": 103}), "Otto", tmp_path)
    assert state_of(second) == {"B": "matched"} and on_hand(shop, "B") == 103
    # A movement that had happened before the count and is recorded after it: the bin is counted again soon.
    shop.clock.forward(600)
    move(shop, "B", StockState.AVAILABLE, StockState.WRITTEN_OFF, 3, minutes=60)
    late = scheduled(shop, tmp_path)
    assert {one.bin.sku: [str(cause) for cause in one.causes] for one in late.planned}["B"][0] == "late_movement"
    sound(shop)


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("1,1,B,5,", "CNT-003"),
        ("1,99,,5,", "CNT-002"),
        ("x,1,,5,", "CNT-002"),
        ("99999999999999999999,1,,5,", "CNT-002"),
        ("1,1,A,-1,", "CNT-005"),
        ('1,1,A,"1,000",', "CNT-004"),
        ("1,1,A,=1+1,", "CNT-004"),
        ("1,1,A,4006381333931,", "CNT-006"),
        ("1,1,A,100,2026-03-03T10:00:00", "CNT-010"),
        ("1,1,A,100,yesterday", "CNT-010"),
        ("1,1,A,100,2026-03-04T10:00:00Z", "CNT-010"),
        ("1,1,A,100,2026-03-01T10:00:00+00:00", "CNT-011"),
        ("1,1,A", "cells"),
    ],
)
def test_a_row_that_is_not_certain_is_held_back(shop: Bench, tmp_path: Path, cells: str, why: str) -> None:
    shop.clock.forward(86_400)
    scheduled(shop, tmp_path)
    shop.clock.forward(3600)
    text = f"sheet,line,sku,quantity,counted_at\n1,2,B,100,2026-03-03T09:30:00Z\n{cells}\n1,3,C,,\n"
    report = taken(shop, text, "Wanda", tmp_path)
    assert [(one["row"], why in one["why"]) for one in report.held] == [(3, True)]
    assert (report.filled, report.uncounted) == (1, 1)
    assert on_hand(shop, "A") == 100


def test_a_person_decides_on_what_is_outside_the_band(shop: Bench, tmp_path: Path) -> None:
    shop.clock.forward(86_400)
    report = scheduled(shop, tmp_path)
    shop.clock.forward(600)
    # 3 of B are 3 % but 150 of money; 30 of A are money enough but 30 %.
    first = taken(shop, sheet(report, {"A": 70, "B": 97, "D": 10}), "Wanda", tmp_path)
    assert state_of(first) == {"A": "recount", "B": "awaiting_approval", "D": "recount"}
    asked = {row["SKU"]: row for row in waiting_rows(shop.runtime, POLICY)}
    assert asked["B"]["difference"] == -3 and asked["B"]["value"] == "150.00"
    recounts = scheduled(shop, tmp_path)
    assert state_of(taken(shop, sheet(recounts, {"A": 70, "D": 11}), "Otto", tmp_path)) == {
        "A": "awaiting_approval", "D": "recount",
    }  # fmt: skip
    assert shop.incidents() == {("count_approval", "A@main"), ("count_approval", "B@main")}
    numbers = {row["SKU"]: row["number"] for row in waiting_rows(shop.runtime, POLICY)}

    def decided(sku: str, actor: str, approve: bool = True) -> tuple[list[str], list[str]]:
        made = decide_counts(
            shop.runtime, [numbers[sku]], raci=RACI, approve=approve, actor=actor, reason="looked myself", policy=POLICY
        )
        return [one.status.value for one in made.decided], list(made.refused.values())

    with pytest.raises(NotAllowed, match="approve_counts: give your name"):
        decided("B", "?")
    with pytest.raises(NoName):
        taken(shop, sheet(recounts, {"D": 10}), "!", tmp_path)
    assert "whoever counted" in decided("B", "wanda")[1][0] and on_hand(shop, "B") == 100
    # Somebody corrects the record before the approval: what would be posted is not what the person saw.
    move(shop, "B", StockState.AVAILABLE, StockState.COUNT_LOSS, 1)
    assert "-2 now, not -3" in decided("B", "Petra")[1][0] and on_hand(shop, "B") == 99
    assert decided("B", "Petra") == (["adjusted"], []) and on_hand(shop, "B") == 97
    assert decided("B", "Petra")[1] == ["no count with this number waits for approval"]
    assert decided("A", "Petra", approve=False) == (["rejected"], []) and on_hand(shop, "A") == 100
    assert shop.incidents() == set()
    assert tuple(shop.rows("SELECT decided_by, decision_reason FROM bin_count WHERE sku = 'A'")[0]) == (
        "Petra", "looked myself",
    )  # fmt: skip
    # Four counts of D that nobody agrees on are a person's business too.
    for counter, quantity in (("Ines", 12), ("Karl", 13)):
        last = taken(shop, sheet(scheduled(shop, tmp_path), {"D": quantity}), counter, tmp_path)
    assert state_of(last) == {"D": "awaiting_approval"} and "4 counts do not agree" in last.judged[0].why
    scheduled(shop, tmp_path)
    assert shop.one("SELECT causes FROM bin_count WHERE sku = 'A' AND status = 'open'").startswith("rejected")
    sound(shop)


def test_a_loss_below_what_is_promised_is_oversold_and_said(shop: Bench, tmp_path: Path) -> None:
    shop.clock.forward(86_400)
    older, newer = shop.clock() - timedelta(hours=2), shop.clock() - timedelta(hours=1)
    shop.channels["cas"].pages = [
        page(order("1", older, line("1", "cas-C", 4)), order("2", newer, line("1", "cas-C", 5)))
    ]
    pull(shop.runtime, "cas")
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO incident (kind, severity, subject, message, status, times, first_at, last_at) "
            "VALUES ('unit_not_found', 'critical', 'C', '', 'open', 1, '2026-03-03T09:00Z', '2026-03-03T09:00Z')"
        )
    report = scheduled(shop, tmp_path, skus=["c"])
    assert [(one.bin.sku, one.causes[:2]) for one in report.planned] == [("C", ("asked", "oversell"))]
    for counter in ("Wanda", "Otto"):
        shop.clock.forward(600)
        last = taken(shop, sheet(scheduled(shop, tmp_path), {"C": 6}), counter, tmp_path)
    assert state_of(last) == {"C": "awaiting_approval"}, "40 %"
    decide_counts(
        shop.runtime, [last.judged[0].bin_count], raci=RACI, approve=True, actor="Petra", reason="gone", policy=POLICY
    )
    assert on_hand(shop, "C") == 6
    lines = shop.rows(
        "SELECT holder, held, oversold FROM reservation_line WHERE held + oversold > 0 ORDER BY holder, location"
    )
    assert [tuple(row) for row in lines] == [
        ("order:cas:1", 4, 0), ("order:cas:2", 0, 3), ("order:cas:2", 2, 0),
    ], "the newest promise first"  # fmt: skip
    assert shop.incidents() == {("oversold", "C")}, "the unit that was not found has been counted"
    # Found again: three units, and the promise is kept after all.
    shop.clock.forward(600)
    for counter in ("Wanda", "Otto"):
        shop.clock.forward(600)
        scheduled(shop, tmp_path, skus=["C"]) if counter == "Wanda" else None
        last = taken(shop, sheet(ScheduleReport(lines=lines_of(shop)), {"C": 9}), counter, tmp_path)
    decide_counts(
        shop.runtime, [last.judged[0].bin_count], raci=RACI, approve=True, actor="Petra", reason="found", policy=POLICY
    )
    assert (
        shop.one("SELECT sum(held) FROM reservation_line") == 9
        and shop.one("SELECT sum(oversold) FROM reservation_line") == 0
    )
    sound(shop)


def lines_of(shop: Bench) -> list[SheetLine]:
    with shop.engine.connect() as connection:
        return lines_to_count(connection)


def test_what_cannot_be_scheduled_is_said(shop: Bench, tmp_path: Path) -> None:
    with pytest.raises(UnknownBins, match="no SKU of ours: Z"):
        scheduled(shop, tmp_path, skus=["Z", "A"])
    with pytest.raises(UnknownBins, match="no location of ours: attic"):
        scheduled(shop, tmp_path, location="attic")
    with pytest.raises(UnknownBins, match="nothing to count"):
        scheduled(shop, tmp_path, skus=["E"])
    assert len(scheduled(shop, tmp_path, everything=True, dry_run=True).planned) == 4
    assert shop.one("SELECT count(*) FROM bin_count") == 0 and not (tmp_path / "counts").exists()


def test_costs_come_with_the_items(shop: Bench) -> None:
    text = 'sku,title,unit_cost\nA,,12.50\nE,,"12,50"\nC,,\n'
    report = load_items(shop.runtime, items=text, folder=Path())
    assert report.items == 2 and "12.50" in report.refused[0]["why"]
    assert shop.one("SELECT unit_cost FROM item_cost WHERE sku = 'A'") == Decimal("12.5000")
    assert shop.one("SELECT unit_cost FROM item_cost WHERE sku = 'C'") == Decimal("2.0000")


def test_the_flows_leave_tables_that_say_what_to_do(
    shop: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three flows as a person runs them, without a server: what Prefect would do is tested elsewhere."""
    shown: dict[str, tuple[list[dict[str, object]], str]] = {}
    modules = {name: importlib.import_module(f"flows.{name}") for name in FLOWS}
    for name, module in modules.items():
        monkeypatch.setattr(module, "runtime", lambda: shop.runtime)
        monkeypatch.setattr(module, "table", lambda key, rows, text: shown.__setitem__(key, (rows, text)))
        monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("test"))
        monkeypatch.setattr(module, FLOWS[name], getattr(module, FLOWS[name]).fn)
        if hasattr(module, "settings"):
            monkeypatch.setattr(module, "settings", lambda: SimpleNamespace(data_dir=tmp_path))
    # The form gives no clock: the flow's own must be that of the test.
    shop.clock.at = datetime.now(UTC)
    schedule, take, approve = (getattr(modules[name], name).fn for name in FLOWS)
    schedule(lines_by_location=["main=3"], working_days=["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
    assert len(shown["count-plan"][0]) == 3
    assert "Not counted in time: 4 at main" in shown["count-plan"][1]
    assert {"why", "picked by", "by"} <= set(shown["count-plan"][0][0])
    assert shown["count-load"][0][0]["capacity"] == 3 and ("count_overdue", "main") in shop.incidents()
    lines = shown["count-sheets"][0]
    text = "sheet,line,quantity\n" + "".join(f"{one['sheet']},{one['line']},90\n" for one in lines if one["SKU"] != "D")
    take(text, "Wanda", assumed_cost=1000)
    assert {row["outcome"] for row in shown["counts"][0]} == {"recount"} and "sheet-2-main.csv" in shown["counts"][1]
    schedule(dry_run=True)
    take("sheet,line,quantity\n2,1,90\n2,2,90\n", "Otto")
    assert {row["outcome"] for row in shown["counts"][0]} == {"adjusted", "awaiting_approval"}
    [asked] = [row for row in shown["counts-to-approve"][0] if row["SKU"] == "B"]
    assert (asked["counted"], asked["value"]) == ("Wanda 90, Otto 90", "500.00")
    approve("Petra", "pallet gone", numbers=[asked["number"]], decision="approve")
    assert shown["counts-decided"][0][0]["posted"] == -10 and on_hand(shop, "B") == 90
    with pytest.raises(Exception, match="no count with this number waits"):
        approve("Petra", "pallet gone", numbers=[asked["number"], 99], decision="approve")
    assert shown["count-accuracy"][0][0]["location"] == "all"
    with pytest.raises(Exception, match="nothing was recorded"):
        take("sheet,line,quantity\n" + "".join(f"9,{line},0\n" for line in range(1, 12)), "Otto")


def test_a_sheet_brought_by_many_at_once_counts_once_while_goods_leave(shop: Bench, tmp_path: Path) -> None:
    shop.clock.forward(86_400)
    given = sheet(scheduled(shop, tmp_path), {"A": 97, "D": 39})
    shop.clock.forward(60)

    def leave(number: int) -> None:
        made = Move("A", "main", StockState.AVAILABLE, StockState.WRITTEN_OFF, 1, MovementReason.WRITE_OFF, "test",
                    f"left:{number}", shop.clock() + timedelta(seconds=1))  # fmt: skip
        with shop.engine.begin() as connection:
            stock.move_stock(connection, [made], now=shop.clock() + timedelta(seconds=1))

    with ThreadPoolExecutor(8) as pool:
        bringing = [pool.submit(taken, shop, given, f"Person {number}", tmp_path) for number in range(4)]
        leaving = [pool.submit(leave, number) for number in range(10)]
        reports = [one.result() for one in bringing]
        assert [one.result() for one in leaving] == [None] * 10
    assert sum(one.filled for one in reports) == 2
    judged = [one for report in reports for one in report.judged]
    assert {one.sku: one.variance for one in judged} == {"A": -3, "D": -1}
    posted = {one.sku: one.posted for one in judged}
    assert on_hand(shop, "A") == 90 + posted["A"] and on_hand(shop, "D") == 39
    sound(shop)
