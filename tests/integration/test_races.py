"""Sixteen clients in two processes race for the last units on PostgreSQL: what is given out is the stock, exactly.

The truth is read from the rows (movements and reservation lines), never from what the clients were told.
ONHAND_RACE_ROUNDS=1000 runs the full number of rounds.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ledger_stage import assert_sound, business, rows
from sqlalchemy import Engine

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("ONHAND_RACE_ROUNDS", "150"))
CLIENTS = 16


def units(number: int) -> int:
    """The last one to five."""
    return 1 + number % 5


def race(database_url: str, mode: str) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("racers.py")), database_url, mode, str(ROUNDS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [*command, str(first), str(CLIENTS // 2)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        for first in (0, CLIENTS // 2)
    ]  # fmt: skip
    try:
        answers = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], answers
    found = [json.loads(out) for out, _ in answers]
    return {name: found[0][name] + found[1][name] for name in found[0]}


@pytest.mark.parametrize("mode", ["holds", "orders", "mixed"])
def test_what_is_given_out_is_the_stock_exactly(
    engine: Engine, database_url: str, mode: str, record_property: Any
) -> None:
    stock = {f"R{number}": {"main": units(number)} for number in range(ROUNDS)}
    business(engine, stock_at=stock, channels={"pool": ("main",), "shop": ("main",)})
    started = time.monotonic()
    told = race(database_url, mode)
    record_property("race", f"{mode}: {ROUNDS} rounds in {time.monotonic() - started:.1f} s, {told}")
    print(f"{mode}: {ROUNDS} rounds in {time.monotonic() - started:.1f} s, {told}")
    assert told["failures"] == []
    by_rows = rows(
        engine,
        "SELECT line.sku, sum(held), sum(oversold) FROM reservation_line line JOIN reservation USING (holder) "
        "WHERE status = 'live' GROUP BY line.sku",
    )
    wanting = {"holds": 0, "orders": CLIENTS, "mixed": CLIENTS // 2}[mode]
    ordered = rows(
        engine,
        "SELECT line.sku, sum(held + oversold) FROM reservation_line line JOIN reservation USING (holder) "
        "WHERE kind = 'order' GROUP BY line.sku",
    )
    moved = rows(
        engine,
        "SELECT sku, sum(quantity) FROM movement WHERE from_state = 'available' AND to_state = 'reserved' GROUP BY sku",
    )
    expected = {sku: shelf["main"] for sku, shelf in stock.items()}
    assert {sku: held for sku, held, _ in by_rows} == expected
    assert dict(moved) == expected
    assert dict(ordered) == ({sku: wanting for sku in stock} if wanting else {}), "no sale is dropped"
    assert told["accepted"] == sum(expected.values())
    assert told["oversold"] == sum(oversold for _, _, oversold in by_rows)
    assert_sound(engine)
