"""One process of clients that race for the last units: `racers.py URL MODE ROUNDS FIRST_CLIENT CLIENTS`.

Every client wants one unit of the SKU of every round, by a hold, by an order, or (`mixed`) by the one or the
other. Clients take the rounds in overlapping windows of random size and in random order within a window, so
that many rounds are in flight and transactions meet on different sets of SKUs. Prints JSON: what each client
was told, and how often the database asked for a transaction to be run again.
"""

import json
import random
import sys
import threading
from datetime import timedelta
from functools import partial
from typing import Any

from ledger_stage import at
from sqlalchemy import Connection, Engine

from adapters.database import create_engine, in_transaction
from inventory.holds.reservations import HoldRequest, HoldStatus, reserve
from inventory.orders.orders import Sale, SaleLine, apply_sales


class Client:
    def __init__(self, engine: Engine, mode: str, rounds: int, number: int) -> None:
        self.engine, self.rounds, self.number = engine, rounds, number
        self.holds = mode == "holds" or (mode == "mixed" and number % 2 == 0)
        self.random = random.Random(number)
        self.accepted = self.oversold = self.transactions = self.runs = 0

    def race(self) -> None:
        start = 0
        while start < self.rounds:
            window = list(range(start, min(self.rounds, start + self.random.randint(4, 16))))
            start = window[-1] + 1
            self.random.shuffle(window)
            self.transactions += 1
            won, short = in_transaction(self.engine, partial(self._want, window))
            self.accepted += won
            self.oversold += short

    def _want(self, window: list[int], connection: Connection) -> tuple[int, int]:
        self.runs += 1
        if self.holds:
            asked = [
                HoldRequest(f"{self.number}-{one}", "pool", ((f"R{one}", 1),), timedelta(hours=9)) for one in window
            ]
            found = reserve(connection, asked, now=at(1))
            return sum(one.status is HoldStatus.HELD for one in found), 0
        sales = [Sale(f"{self.number}-{one}", at(1), at(1), (SaleLine("1", f"R{one}", 1),)) for one in window]
        applied = apply_sales(connection, "shop", sales, now=at(1))
        return applied.units_held, applied.units_oversold


def main(url: str, mode: str, rounds: int, first: int, count: int) -> dict[str, Any]:
    engine = create_engine(url, pool_size=count)
    clients = [Client(engine, mode, rounds, number) for number in range(first, first + count)]
    failures: list[str] = []

    def run(client: Client) -> None:
        try:
            client.race()
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}"[:300])

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    return {
        "accepted": sum(client.accepted for client in clients),
        "oversold": sum(client.oversold for client in clients),
        "retries": sum(client.runs - client.transactions for client in clients),
        "transactions": sum(client.transactions for client in clients),
        "failures": failures,
    }


if __name__ == "__main__":
    url, mode, *numbers = sys.argv[1:]
    print(json.dumps(main(url, mode, *map(int, numbers))))
