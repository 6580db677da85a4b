"""`python -m benchmarks.webhooks`: a burst of webhooks against the intake, over loopback, and what became of each.

Duplicates, shuffled, 1 % forged, 1 % truncated. Beside it, in the same run, an application that only reads the
body and answers, and one that stores each request in a transaction of its own.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from adapters.channels.protocol import Capabilities, OrderDocument, OrderPage
from adapters.database import create_engine
from benchmarks.audit import Violation, audit
from benchmarks.figures import Result, Say
from benchmarks.ledger import BLIND, SKUS, laboratory, now
from benchmarks.webhook_apps import served
from benchmarks.webhook_client import Answers, Delivery, burst, send
from expectations import gate
from tasks.runtime import Runtime
from tasks.selling.noticed import read_noticed

COUNT = 10_000
CONNECTIONS = 32
ROUNDS = 3


class MarketplaceInMemory:
    """Knows every order that the burst tells of."""

    code = BLIND
    capabilities = Capabilities(compare_and_set=False, idempotency_keys=False, write_batch=1, read_batch=1)

    def __init__(self) -> None:
        self.asked = 0

    def read_orders(self, order_ids: Sequence[str]) -> OrderPage:
        self.asked += 1
        return OrderPage([_document(order_id) for order_id in order_ids])

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        yield OrderPage([])

    def close(self) -> None:
        pass


def _document(order_id: str) -> OrderDocument:
    number = int(order_id.removeprefix("order-"))
    changed = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).isoformat()
    line = {"line_id": "1", "listing_ref": SKUS[number % len(SKUS)], "sku": "", "quantity": 1}
    return {
        "order_id": order_id, "placed_at": changed, "updated_at": changed, "cancelled": False, "test": False,
        "lines": [line], "reversals": [],
    }  # fmt: skip


def measure(quick: bool, say: Say) -> Result:
    """For the registry."""
    count, rounds = (200, 1) if quick else (COUNT, ROUNDS)
    result = Result()
    bare, inserts, intake, slowest, applied = [], [], [], [], []
    gate.load()
    with laboratory() as lab:
        for number in range(rounds):
            say(f"{count:,} webhooks, round {number + 1} of {rounds}")
            deliveries = burst(count, seed=number)
            bare.append(_floor("bare", lab.fresh(), deliveries, CONNECTIONS).rate)
            inserts.append(_floor("inserts", lab.fresh(), deliveries, CONNECTIONS).rate)
            done = intake_burst(lab.fresh(), deliveries, CONNECTIONS)
            intake.append(done.answers.rate)
            slowest.append(done.answers.quantile_ms(0.99))
            applied.append(done.applied_orders / done.apply_seconds)
    what = f"a burst of {count:,} webhooks over {CONNECTIONS} connections"
    result.add(f"{what}: verified and stored", "1/s", intake, beside="one insert each, unverified", floor=inserts)
    result.add(f"{what}: only read and answered", "1/s", bare)
    result.add(f"{what}: answered, 99 of 100", "ms", slowest)
    result.add("orders of those webhooks, read and applied to the ledger", "orders/s", applied)
    return result


@dataclass(frozen=True, slots=True)
class Burst:
    """What was sent to the intake, what it answered, and how long the ledger needed for it then."""

    answers: Answers
    applied_orders: int
    apply_seconds: float


def intake_burst(url: str, deliveries: Sequence[Delivery], connections: int) -> Burst:
    """Send, verify, read everything that was noticed into the ledger, verify again. Raises Violation."""
    with served("intake", url) as port:
        answers = asyncio.run(send(port, deliveries, connections))
    engine = create_engine(url, application_name="bench")
    try:
        events = _verify(engine, deliveries, answers)
        began = time.perf_counter()
        marketplace = MarketplaceInMemory()
        runtime = Runtime(engine, lambda code: marketplace, now)  # type: ignore[arg-type, return-value]
        while read_noticed(runtime, BLIND).claimed:
            pass
        seconds = time.perf_counter() - began
        audit(engine)
        orders = _rows(engine, "SELECT count(*) FROM reservation WHERE kind = 'order'")[0][0]
        _demand(orders == len(events), f"{orders} orders in the ledger, {len(events)} were told of")
        open_ = _rows(engine, "SELECT count(*) FROM notice WHERE status <> 'read'")[0][0]
        _demand(open_ == 0, f"{open_} notices were not read")
        return Burst(answers, orders, seconds)
    finally:
        engine.dispose()


def _verify(engine: Engine, deliveries: Sequence[Delivery], answers: Answers) -> set[str]:
    """Every genuine message is one row, every forged one none and refused; returns the orders that were told of."""
    genuine = {one.event_id for one in deliveries if one.kind != "forged" and one.kind != "broken"}
    broken = {one.event_id for one in deliveries if one.kind == "broken"}
    stored = [row[0] for row in _rows(engine, "SELECT event_id FROM notice WHERE order_id <> ''")]
    _demand(len(stored) == len(set(stored)), "a notice is stored twice")
    _demand(set(stored) == genuine, f"{len(genuine - set(stored))} lost, {len(set(stored) - genuine)} not genuine")
    unnamed = _rows(engine, "SELECT count(*) FROM notice WHERE order_id = ''")[0][0]
    _demand(unnamed == len(broken), "a genuine message that cannot be read was not kept")
    refused = sum(times for (kind, status), times in answers.statuses.items() if status == 401)
    spoilt = sum(one.kind in ("forged", "short") for one in deliveries)
    _demand(refused == spoilt, f"{refused} refused, {spoilt} had a wrong signature")
    counted = dict(_rows(engine, "SELECT outcome, sum(times)::int FROM intake_count GROUP BY outcome"))
    _demand(counted.get("forged") == spoilt, f"counted {counted}, {spoilt} had a wrong signature")
    _demand(counted.get("accepted") == len(genuine), f"counted {counted}, {len(genuine)} were genuine")
    return genuine


def _rows(engine: Engine, sql: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)


def _floor(name: str, url: str, deliveries: Sequence[Delivery], connections: int) -> Answers:
    with served(name, url) as port:
        return asyncio.run(send(port, [one for one in deliveries if one.kind == "genuine"], connections))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.webhooks", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args(arguments)
    console, load = Console(), os.getloadavg()[0]
    table = Table(title=f"{chosen.count} webhooks over {chosen.connections} connections", title_justify="left")
    for heading in ("what", "round", "1/s", "p50 ms", "p99 ms", "max ms"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    applied: list[str] = []
    gate.load()
    try:
        with laboratory() as lab:
            for number in range(chosen.rounds):
                deliveries = burst(chosen.count, seed=number)
                _row(table, "floor: reads and answers", number,
                     _floor("bare", lab.fresh(), deliveries, chosen.connections))  # fmt: skip
                _row(table, "floor: one insert each", number,
                     _floor("inserts", lab.fresh(), deliveries, chosen.connections))  # fmt: skip
                done = intake_burst(lab.fresh(), deliveries, chosen.connections)
                _row(table, "intake", number, done.answers)
                applied.append(f"{done.applied_orders} in {done.apply_seconds:.1f} s")
                kinds = {f"{kind} {status or 'no answer'}": n for (kind, status), n in done.answers.statuses.items()}
                console.print(dict(sorted(kinds.items())))
    except Violation as violation:
        console.print(f"[bold red]broken promise:[/] {violation}")
        return 1
    console.print(table)
    console.print(f"Orders read and applied afterwards: {'; '.join(applied)}")
    console.print(f"None lost, none twice, forged refused. Load before {load:.2f}, after {os.getloadavg()[0]:.2f}.")
    return 0


def _row(table: Table, what: str, number: int, answers: Answers) -> None:
    slowest = max(answers.seconds) * 1000
    table.add_row(what, str(number + 1), f"{answers.rate:,.0f}", f"{answers.quantile_ms(0.5):.1f}",
                  f"{answers.quantile_ms(0.99):.1f}", f"{slowest:.1f}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
