"""A pulled page of orders in one transaction, the same orders one by one, and the expiry of holds in chunks."""

import time
from collections import defaultdict
from datetime import timedelta
from functools import partial

from sqlalchemy import Engine

from adapters.database import in_transaction
from benchmarks.audit import audit
from benchmarks.clients import Load, orders_of
from benchmarks.figures import Result, Say, Target
from benchmarks.ledger import BLIND, POOL, laboratory, now, open_ledger
from inventory.holds.hold_terms import expire
from inventory.holds.reservations import HoldRequest, reserve
from inventory.orders.orders import Sale, SaleLine, apply_sales

CHUNK = 1000
"""Holds that one transaction of the sweeper ends: more would keep live orders waiting for as long as it lasts."""


def measure(quick: bool, say: Say) -> Result:
    rounds, orders, singly, holds = (1, 50, 5, 200) if quick else (3, 1000, 100, 100_000)
    result = Result()
    found: dict[str, list[float]] = defaultdict(list)
    with laboratory() as lab:
        for seed in range(rounds):
            say(f"pages of orders, and expiry: round {seed + 1} of {rounds}")
            found["page"].append(page(lab.fresh(), orders, seed=seed))
            found["single"].append(one_by_one(lab.fresh(), singly, seed=seed))
            found["expiry"].append(expiry(lab.fresh(), holds))
            found["singly"].append(expiry(lab.fresh(), singly, chunk=1))
    result.add(
        f"page of {orders} orders, each decided singly, one transaction", "orders/s", found["page"],
        beside="the same, a transaction each", floor=found["single"],
        targets=[Target(4000), Target(10, of_ratio=True)],
    )  # fmt: skip
    result.add("orders one by one", "orders/s", found["single"])
    result.add(
        f"expiry of {holds:,} holds in chunks of {CHUNK:,}", "holds/s", found["expiry"],
        beside="a transaction each", floor=found["singly"],
    )  # fmt: skip
    return result


def page(url: str, orders: int, *, seed: int) -> float:
    """Orders a second of one page, each accepted or refused singly, in one transaction."""
    engine = open_ledger(url)
    sales = _sales(orders + 100, seed)
    # A worker that pulls has done so before: its connection is warm.
    _apply(engine, sales[orders:])
    started = time.perf_counter()
    _apply(engine, sales[:orders])
    elapsed = time.perf_counter() - started
    audit(engine, held=len(sales), units=_units(sales))
    engine.dispose()
    return orders / elapsed


def one_by_one(url: str, orders: int, *, seed: int) -> float:
    """The same, each order in a transaction of its own."""
    engine = open_ledger(url)
    sales = _sales(orders + 10, seed)
    for sale in sales[orders:]:
        _apply(engine, [sale])
    started = time.perf_counter()
    for sale in sales[:orders]:
        _apply(engine, [sale])
    elapsed = time.perf_counter() - started
    audit(engine, held=len(sales), units=_units(sales))
    engine.dispose()
    return orders / elapsed


def expiry(url: str, holds: int, chunk: int = CHUNK) -> float:
    """Holds a second that the sweeper ends, so many in one transaction."""
    engine = open_ledger(url)
    orders = orders_of(Load(1, "spread", 0), seed=7)
    began = now()
    for first in range(0, holds, CHUNK):
        requests = [
            HoldRequest(str(number), POOL, next(orders), timedelta(seconds=1))
            for number in range(first, min(first + CHUNK, holds))
        ]
        in_transaction(engine, partial(reserve, requests=requests, now=began))
    audit(engine, held=holds)
    later = began + timedelta(seconds=2)
    ended = 0
    started = time.perf_counter()
    while count := in_transaction(engine, lambda connection: expire(connection, now=later, limit=chunk)):
        ended += count
    elapsed = time.perf_counter() - started
    audit(engine, held=0, units=0)
    engine.dispose()
    assert ended == holds, f"{ended} of {holds} holds expired"
    return holds / elapsed


def _apply(engine: Engine, sales: list[Sale]) -> None:
    applied = in_transaction(engine, lambda connection: apply_sales(connection, BLIND, sales, now=now()))
    assert applied.new_orders == len(sales) and applied.units_oversold == 0, "a page was not applied as a whole"


def _sales(count: int, seed: int) -> list[Sale]:
    orders = orders_of(Load(1, "zipf", 0), seed)
    placed = now() - timedelta(hours=1)
    return [
        Sale(
            order_id=str(number),
            placed_at=placed + timedelta(milliseconds=number),
            updated_at=placed + timedelta(milliseconds=number),
            lines=tuple(
                SaleLine(str(position), sku, units) for position, (sku, units) in enumerate(next(orders), start=1)
            ),
        )
        for number in range(count)
    ]


def _units(sales: list[Sale]) -> int:
    return sum(line.quantity for sale in sales for line in sale.lines)
