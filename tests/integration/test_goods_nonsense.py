"""Tables of anything: each row is booked, known, or held with a reason, and the ledger adds up."""

import csv
import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from goods_stage import FOLDER, GoodsStage
from ledger_stage import assert_sound, order, rows, sell
from sqlalchemy import Engine

from adapters.seller_csv import CsvError
from expectations.gate import recheck
from tasks.goods.expect import EXPECTED_COLUMNS, EXPECTED_OPTIONAL, NotUsable, expect_goods
from tasks.goods.receive import RECEIPT_COLUMNS, RECEIPT_OPTIONAL, receive
from tasks.goods.take_back import (
    ARRIVED_COLUMNS,
    ARRIVED_OPTIONAL,
    INSPECTED_COLUMNS,
    INSPECTED_OPTIONAL,
    inspect_returns,
    take_back,
)
from tasks.goods.write_off import COLUMNS, write_off

TABLES = 70
NASTY = ("", " ", "0", "-1", "+1", "1.0", "1e3", "1,000", "٣", "²", "9" * 30, "NaN", "inf", "true", "None", "'", '"',
         "a,b", "a;b", "a\tb", "=1+1", "\ufeff", "\u202e", "\x00", "\ud800", "ß", "A\u0301", "%(x)s", "{0}", "x" * 300,
         "'; DROP TABLE balance; --", "../etc/passwd", "2026-13-01", "🙂")  # fmt: skip
SENSE = {
    "sku": ("A", "a", "alpha", "B", "C", "D", "KIT"), "location": ("main", "store"), "quantity": ("1", "2", "3"),
    "purchase": ("P1", "P2", ""), "supplier": ("acme",), "promised_on": ("", "2026-12-01"), "damaged": ("", "0", "1"),
    "quarantined": ("", "1"), "parcel": ("RMA1", "RMA2", "RMA3"), "channel": ("web", ""), "order_id": ("O1", "O2", ""),
    "available": ("0", "1", "2"), "written_off": ("", "1"), "state": ("available", "damaged", "quarantined"),
}  # fmt: skip


def table(chance: random.Random, columns: tuple[str, ...]) -> tuple[str, int]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    size = chance.randint(1, 6)
    for _ in range(size):
        row = [chance.choice(NASTY if chance.random() < 0.05 else SENSE[name]) for name in columns]
        del row[len(row) - (chance.random() < 0.05) :]
        writer.writerow(row)
    return text.getvalue(), size


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_or_half_done_whatever_a_table_says(engine: Engine, seed: int) -> None:
    stage = GoodsStage(engine)
    run, chance = stage.runtime, random.Random(seed)
    run.check = recheck
    sell(engine, "web", order("O1", ("A", 3), ("B", 1)), order("O2", ("A", 2)))
    who: dict[str, Any] = {"folder": FOLDER, "actor": "Otto"}
    calls: list[tuple[tuple[str, ...], Callable[[str, str], Any]]] = [
        (EXPECTED_COLUMNS + EXPECTED_OPTIONAL, lambda text, name: expect_goods(run, text, **who)),
        (RECEIPT_COLUMNS + RECEIPT_OPTIONAL, lambda text, name: receive(run, text, receipt=name, **who)),
        (ARRIVED_COLUMNS + ARRIVED_OPTIONAL, lambda text, name: take_back(run, text, location="main", **who)),
        (INSPECTED_COLUMNS + INSPECTED_OPTIONAL, lambda text, name: inspect_returns(run, text, sheet=name, **who)),
        (COLUMNS, lambda text, name: write_off(run, text, reference=name, reason="water", **who)),
    ]
    outcomes = {"booked": 0, "held": 0, "refused": 0}
    for number in range(TABLES):
        columns, call = chance.choice(calls)
        text, size = table(chance, columns)
        try:
            report = call(text, f"N{number % 7}")
        except (CsvError, NotUsable):
            outcomes["refused"] += 1
            continue
        booked = report.new + report.changed if hasattr(report, "new") else report.rows
        assert all(one["why"] for one in report.held)
        if getattr(report, "blocked", False):
            continue
        assert booked + report.repeated + len(report.held) == size, text
        outcomes["booked"] += booked
        outcomes["held"] += len(report.held)
    assert outcomes["booked"] > 20 and outcomes["held"] > 20, outcomes
    assert_sound(engine)
    overdone = (
        "SELECT purchase FROM purchase_line WHERE received > ordered UNION SELECT parcel FROM return_line AS line "
    )
    overdone += "WHERE waiting > arrived - damaged OR (SELECT sum(arrived) FROM return_line WHERE holder = line.holder "
    assert rows(engine, overdone + "AND sku = line.sku AND holder <> '') > 3") == []
