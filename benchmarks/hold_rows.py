"""What a set of holds costs, in parts: the statements that write its rows, those that read, and Python."""

import time
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import event

from adapters.database import in_transaction
from benchmarks.clients import Load, orders_of
from benchmarks.ledger import POOL, now, open_ledger
from inventory.holds.reservations import HoldRequest, reserve

BATCH = 64
TTL = timedelta(hours=1)


class Parts:
    """Seconds in statements that write and that read (round trip included), and in all."""

    def __init__(self) -> None:
        self.writing = self.reading = self.whole = 0.0
        self.holds = self.rows = 0


def parts_of_holds(url: str, seconds: float) -> Parts:
    """Sets of BATCH holds, one after the other by one connection, for so long after a warm-up."""
    engine = open_ledger(url)
    orders = orders_of(Load(1, "spread", 0), seed=3)
    parts = Parts()

    @event.listens_for(engine, "before_cursor_execute")
    def begins(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        context.begun = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def ends(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        spent = time.perf_counter() - context.begun
        if "INSERT INTO" in statement or "UPDATE " in statement.replace("FOR UPDATE", ""):
            parts.writing += spent
        else:
            parts.reading += spent

    @event.listens_for(engine, "commit")
    def commits(connection: Any) -> None:
        parts.writing -= time.perf_counter()

    number = 0
    for warm in (True, False):
        if not warm:
            parts.writing = parts.reading = parts.whole = 0.0
            parts.holds = parts.rows = 0
        end = time.perf_counter() + (0.3 if warm else seconds)
        while time.perf_counter() < end:
            asked = [HoldRequest(str(number + one), POOL, next(orders), TTL) for one in range(BATCH)]
            number += BATCH
            begun = time.perf_counter()
            in_transaction(engine, partial(reserve, requests=asked, now=now()))
            done = time.perf_counter()
            parts.writing += done  # since `commits`
            parts.whole += done - begun
            parts.holds += BATCH
            parts.rows += _rows(asked)
    engine.dispose()
    return parts


def _rows(asked: list[HoldRequest]) -> int:
    """A header each; a line and a movement for each SKU of it; two balances and an outbox entry for each SKU of all."""
    skus = [{sku for sku, _ in one.lines} for one in asked]
    return len(asked) + 2 * sum(map(len, skus)) + 3 * len(set().union(*skus))
