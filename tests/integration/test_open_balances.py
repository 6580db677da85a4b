"""Opening stock through the gate: what is posted, what is held back, and that a file opens only once."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_channel import Bench, bench, line, order, page
from sqlalchemy import Engine

from adapters.seller_csv import CsvError
from expectations import gate
from expectations.parameters import Parameters
from tasks.onboarding.load_items import load_items
from tasks.onboarding.open_stock import EmptyFile, OpeningReport, open_stock
from tasks.selling.pull import pull

HEAD = "sku,location,quantity\n"


@pytest.fixture
def shop(engine: Engine) -> Bench:
    made = bench(engine, dict.fromkeys("ABCDE", 0), cas=True)
    load_items(made.runtime, items="sku,title\nKIT,\n", folder=Path())
    load_items(made.runtime, bundles="bundle_sku,component_sku,quantity\nKIT,A,2\n", folder=Path())
    return made


def opened(shop: Bench, text: str, **how: object) -> OpeningReport:
    return open_stock(shop.runtime, text, folder=Path(), actor="Wanda", **how)  # type: ignore[arg-type]


def stock(shop: Bench) -> dict[str, int]:
    rows = shop.rows("SELECT sku, sum(quantity) AS n FROM balance WHERE state = 'available' GROUP BY sku")
    return {row.sku: int(row.n) for row in rows}


def test_sound_rows_are_posted_and_the_file_again_changes_nothing(shop: Bench) -> None:
    text = HEAD + "A,main,5\nb,main,7\nC,main,0\n"
    report = opened(shop, text)
    assert (report.new, report.repeated, report.units, report.held) == (3, 0, 12, [])
    assert stock(shop) == {"A": 5, "B": 7}
    journal = shop.rows("SELECT reason, actor, event_key FROM movement ORDER BY sku")
    assert [tuple(row) for row in journal] == [
        ("receipt", "Wanda", "opening:A:main"),
        ("receipt", "Wanda", "opening:B:main"),
    ]
    assert shop.one("SELECT count(*) FROM outbox WHERE sku IN ('A', 'B')") == 2
    again = opened(shop, "quantity;location;sku\r\n007;main;B\r\n5;main;A\r\n0;main;C")
    assert (again.new, again.repeated, again.units, again.held) == (0, 3, 0, [])
    assert stock(shop) == {"A": 5, "B": 7}


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("Z,main,5", "STK-002"),
        ("KIT,main,5", "STK-003"),
        ("A,attic,5", "STK-004"),
        ("A,main,", "STK-005"),
        ("A,main,2.5", "STK-005"),
        ('A,main,"2,5"', "STK-005"),
        ('A,main,"1,000"', "STK-005"),
        ("A,main,1.000", "STK-005"),
        ("A,main,1\u00a0000", "STK-005"),
        ("A,main,1E+05", "STK-005"),
        ("A,main,five", "STK-005"),
        ("A,main,٥", "STK-005"),  # noqa: RUF001
        ("A,main,-5", "STK-006"),
        ("A,main,4006381333931", "STK-007"),
        ("A,main,99999999999999999999999", "STK-005"),
    ],
)
def test_a_row_that_can_be_read_in_two_ways_is_held_back(shop: Bench, row: str, rule: str) -> None:
    report = opened(shop, f"{HEAD}B,main,1\n{row}\n")
    assert [(one["row"], rule in one["why"]) for one in report.held] == [(3, True)]
    assert not report.blocked
    assert stock(shop) == {"B": 1}
    assert shop.one("SELECT count(*) FROM quarantined_row WHERE suite = 'stock_balances' AND status = 'open'") == 1


def test_unreadable_rows_say_why(shop: Bench) -> None:
    report = opened(shop, HEAD + "A,main,1,000\nB,main,1\nC,main\n")
    assert [(one["row"], one["why"].partition(":")[0]) for one in report.held] == [
        (2, "has 4 cells instead of 3"),
        (4, "has 2 of 3 cells"),
    ]
    assert stock(shop) == {"B": 1}


def test_duplicates_are_both_held_back_however_they_are_spelt(shop: Bench) -> None:
    report = opened(shop, HEAD + "A,main,1\nB,main,2\na,main,1\n")
    assert [one["row"] for one in report.held] == [2, 4]
    assert stock(shop) == {"B": 2}


def test_a_held_row_that_was_mended_is_released(shop: Bench) -> None:
    opened(shop, HEAD + "A,main,1\nB,main,-2\n")
    report = opened(shop, HEAD + "A,main,1\nB,main,2\n")
    assert (report.new, report.repeated, report.held) == (1, 1, [])
    assert shop.one("SELECT status FROM quarantined_row") == "released"


def test_a_second_opening_is_refused_and_a_correction_is_not(shop: Bench) -> None:
    opened(shop, HEAD + "A,main,5\nB,main,5\n")
    report = opened(shop, HEAD + "A,main,6\n")
    assert "STK-009" in report.held[0]["why"]
    shop.move("C", 2, receipt="truck")
    assert "STK-009" in opened(shop, HEAD + "C,main,9\n").held[0]["why"], "it has moved already"
    fixed = opened(shop, HEAD + "A,main,6\nB,main,4\nC,main,2\n", correction=True, reason="counted again")
    assert (fixed.new, fixed.units, fixed.held) == (3, 0, [])
    assert stock(shop) == {"A": 6, "B": 4, "C": 2}
    rows = shop.rows("SELECT * FROM movement WHERE reason = 'adjustment' ORDER BY sku")
    assert [(row.sku, row.from_state, row.to_state, row.quantity, row.actor) for row in rows] == [
        ("A", "count_gain", "available", 1, "Wanda"),
        ("B", "available", "count_loss", 1, "Wanda"),
    ]
    assert all("counted again" in row.reference for row in rows)
    shop.move("A", 10, receipt="second truck")
    again = opened(shop, HEAD + "C,main,2\nB,main,4\nA,main,6\n", correction=True, reason="counted again")
    assert (again.new, again.repeated, again.held) == (0, 3, [])
    assert stock(shop)["A"] == 16, "the same table corrects once"
    named = opened(shop, HEAD + "A,main,15\n", correction=True, reason="once more", reference="2026-03-02")
    assert (named.reference, stock(shop)["A"]) == ("2026-03-02", 15)
    other = opened(shop, HEAD + "A,main,14\n", correction=True, reason="once more", reference="2026-03-02")
    assert "STK-009" in other.held[0]["why"]


def test_a_correction_never_takes_what_is_promised(shop: Bench) -> None:
    opened(shop, HEAD + "A,main,5\n")
    shop.channels["cas"].pages = [page(order("1", shop.clock(), line("1", "cas-A", 4)))]
    pull(shop.runtime, "cas")
    report = opened(shop, HEAD + "A,main,3\n", correction=True, reason="count", approved_by="Wanda")
    assert "STK-010" in report.held[0]["why"], "five are on hand, four of them sold"
    assert opened(shop, HEAD + "A,main,4\n", correction=True, reason="count").new == 1
    assert stock(shop) == {"A": 0}


def test_orders_read_before_the_opening_are_served_from_it(shop: Bench) -> None:
    shop.channels["cas"].pages = [page(order("1", shop.clock(), line("1", "cas-A", 3)))]
    pull(shop.runtime, "cas")
    opened(shop, HEAD + "A,main,5\n")
    assert stock(shop) == {"A": 2}
    assert opened(shop, HEAD + "A,main,5\n").repeated == 1


def test_a_file_for_another_catalogue_is_blocked_until_somebody_approves(shop: Bench) -> None:
    text = HEAD + "A,main,1\n" + "".join(f"X{number},main,1\n" for number in range(12))
    report = opened(shop, text)
    assert report.blocked and stock(shop) == {}
    assert not opened(shop, text, approved_by="Otto").blocked
    assert stock(shop) == {"A": 1}
    assert shop.one("SELECT actor FROM opening_balance") == "Wanda, approved by Otto"


def test_a_correction_that_halves_the_warehouse_is_blocked(shop: Bench) -> None:
    opened(shop, HEAD + "A,main,100\nB,main,100\n")
    report = opened(shop, HEAD + "A,main,0\nB,main,99\n", correction=True, reason="count")
    assert report.blocked and stock(shop) == {"A": 100, "B": 100}


def test_without_a_verdict_nothing_is_opened(shop: Bench) -> None:
    def broken(suite: str, frame: object, parameters: Parameters) -> gate.Verdict:
        return gate.check(suite, frame.drop(columns="quantity"), parameters)  # type: ignore[attr-defined]

    runtime = replace(shop.runtime, check=broken)
    report = open_stock(runtime, HEAD + "A,main,1\n", folder=Path(), actor="Wanda", approved_by="Otto")
    assert report.blocked and stock(shop) == {}


def test_an_empty_file_opens_nothing(shop: Bench) -> None:
    with pytest.raises(EmptyFile):
        opened(shop, HEAD)
    with pytest.raises(CsvError):
        opened(shop, "")
