"""Trade that goes on whatever breaks, and what the shops' own books say of it afterwards."""

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from broken_world import World, checkout
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from inventory.ledger.rebuilding import compare
from onhand.trading_day.promises import Truth

PLENTY = {f"PLENTY-{number:02d}": 600 for number in range(12)}
LAST = {f"LAST-{number:02d}": 4 for number in range(48)}
"""Sold out by buyers who come at one instant, one SKU each time."""
OPENING = PLENTY | LAST
_EVERY = (0.6, 1.8)
_CANCELLED = 0.06
_BUYERS = 2
"""In each shop, at one instant."""


@dataclass
class Trade:
    """Shoppers of all shops, in a thread. `rush` sends buyers to one SKU at one instant."""

    world: World
    placed: int = 0
    refused: int = 0
    cancelled: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _last: list[str] = field(default_factory=lambda: sorted(LAST))
    _random: random.Random = field(default_factory=lambda: random.Random(6))

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._go_on, name="trade", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(90)

    def _go_on(self) -> None:
        while not self._stopping.wait(self._random.uniform(*_EVERY)):
            vendor = self.world.vendors[self._random.choice(list(self.world.vendors))]
            sku, units = self._random.choice(list(PLENTY)), self._random.choice((1, 1, 2, 3))
            receipt = checkout(vendor, {sku: units})
            if receipt is None or receipt["order_id"] is None:
                self.refused += 1
                continue
            self.placed += 1
            if self._random.random() < _CANCELLED:
                self._cancel(vendor.url, str(receipt["order_id"]))

    def _cancel(self, url: str, order_id: str) -> None:
        try:
            answer = httpx.post(f"{url}/sandbox/cancel", json={"order_id": order_id}, timeout=30, trust_env=False)
            self.cancelled += answer.is_success
        except httpx.HTTPError:
            self.refused += 1

    def rush(self) -> None:
        """All shops sell the last units of one SKU at one instant; does not wait for it."""
        if self._last:
            sku = self._last.pop()
            threading.Thread(target=self._all_at_once, args=(sku,), daemon=True).start()

    def _all_at_once(self, sku: str) -> None:
        vendors = [vendor for vendor in self.world.vendors.values() for _ in range(_BUYERS)]
        together = threading.Barrier(len(vendors))

        def buy(vendor: Any) -> bool:
            together.wait()
            receipt = checkout(vendor, {sku: 2})
            return receipt is not None and receipt["order_id"] is not None

        with ThreadPoolExecutor(len(vendors)) as pool:
            done = list(pool.map(buy, vendors))
        self.placed += sum(done)
        self.refused += len(done) - sum(done)


def buy_one(world: World, codes: Sequence[str], number: int) -> tuple[str, float] | None:
    """(holder, instant) of an order in the first of these shops that sells now."""
    skus = sorted(PLENTY)
    for code in codes:
        begun = time.time()
        receipt = checkout(world.vendors[code], {skus[number % len(skus)]: 1}, timeout=10)
        if receipt is not None and receipt["order_id"] is not None:
            return f"order:{code}:{receipt['order_id']}", begun
    return None


def one(engine: Engine, sql: str, **values: object) -> Any:
    """The value, or None while the ledger cannot be asked."""
    try:
        with engine.connect() as connection:
            return connection.execute(text(sql), values).scalar_one_or_none()
    except SQLAlchemyError:
        return None


@dataclass(frozen=True)
class Books:
    """The shops' books against the ledger."""

    oversold: int
    """Units sold beyond the opening stock."""
    lost: int
    """Lines of orders that the ledger has not, or has otherwise, and units that it does not hold."""
    doubled: int
    """Lines that only the ledger has, and units held twice."""
    unproved: int
    """Balances that are not the sum of their journal, or reserved units that are not those held."""

    @property
    def kept(self) -> bool:
        return not (self.oversold or self.lost or self.doubled or self.unproved)


def oversold(states: Mapping[str, dict[str, Any]]) -> int:
    sold = Truth.of(states).sold()
    return sum(max(0, units - OPENING.get(sku, 0)) for sku, units in sold.items())


def books(connection: Connection, states: Mapping[str, dict[str, Any]], before: datetime) -> Books:
    """Of the orders that were placed before this moment."""
    truth = Truth.of(states)
    old = {holder for holder, at in truth.placed.items() if at < before}
    shops = Counter(
        (f"order:{code}:{order}", line_id, *line)
        for code, orders in truth.orders.items()
        for order, lines in orders.items()
        if f"order:{code}:{order}" in old
        for line_id, line in lines.items()
    )
    rows = connection.execute(
        text("SELECT holder, line_id, sku, quantity, reversed FROM order_line JOIN reservation USING (holder)")
    ).all()
    # What the ledger has of orders that no shop knows is counted whenever it was placed.
    ledger = Counter(tuple(row) for row in rows if row.holder in old or row.holder not in truth.placed)
    held = connection.execute(
        text(
            "SELECT holder, sku, sum(held) AS held FROM reservation_line JOIN reservation USING (holder) "
            "WHERE kind = 'order' AND holder = ANY(:old) GROUP BY holder, sku"
        ),
        {"old": sorted(old)},
    )
    owed: Counter[tuple[str, str]] = Counter()
    for (holder, _, sku, quantity, back), times in shops.items():
        owed[holder, sku] += times * (quantity - back)
    holds = Counter({(row.holder, row.sku): int(row.held) for row in held})
    twice, unheld = sum((holds - owed).values()), sum((owed - holds).values())
    return Books(
        oversold=oversold(states),
        lost=sum((shops - ledger).values()) + unheld,
        doubled=sum((ledger - shops).values()) + twice,
        unproved=len(compare(connection)),
    )


def settled_books(engine: Engine, world: World, before: datetime, seconds: float) -> Books | None:
    """The books as soon as they agree, or as they are after so many seconds. None: the ledger could not be asked."""
    deadline, found = time.monotonic() + seconds, None
    while True:
        try:
            states = world.states()
            with engine.connect() as connection:
                found = books(connection, states, before)
        except (SQLAlchemyError, httpx.HTTPError):
            states = {}
        if (found is not None and found.kept) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def now() -> datetime:
    return datetime.now(UTC)
