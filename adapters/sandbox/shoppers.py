"""Shoppers: a day of orders, bought over HTTP on several imitated shops in compressed time.

One thread a shop keeps that shop's orders and cancellations in their order and lets the shops be hit
at once; who is late does not wait, and so catches up. Nothing is ever sent twice: a shopper whose
answer did not come may have bought, and is recorded as unknown.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from adapters.sandbox.demand import scaled
from adapters.sandbox.purchases import Book, Outcome, Progress, Purchase, Sold, Withdrawal
from adapters.sandbox.timetable import Storefront, timetable
from adapters.sandbox.trace import Trace, TraceCancellation, TraceOrder
from inventory.skus import is_non_stock

BARRIER_S = 10.0


@dataclass(frozen=True, slots=True)
class Rush:
    """On top of the day, buyers on every shop at the same instant, until the last unit is gone."""

    skus: tuple[str, ...]
    at: tuple[float, ...] = (0.4, 0.8)
    """Moments, as shares of the day."""
    racers: int = 4
    """At each shop."""
    units: int = 1
    """In each purchase."""
    attempts: int = 5
    """Purchases of one SKU by one racer at most; the first refusal ends them."""


class Shoppers:
    """Plays `day` (one trading day, see `Trace.day`) on the shops in `seconds` of real time.

    Lines whose code is no goods are not bought. A buyer without a name goes by the order's number.
    `clock` counts seconds; `sleep` waits for some. Raises ValueError for arguments without sense.
    """

    def __init__(
        self,
        storefronts: Sequence[Storefront],
        day: Trace,
        *,
        seconds: float,
        quantity_scale: float = 1.0,
        rush: Rush | None = None,
        client: httpx.Client | None = None,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        _check(storefronts, seconds, quantity_scale, rush)
        self.book = Book()
        self._storefronts = list(storefronts)
        self._scale = quantity_scale
        self._seconds = seconds
        self._rush = rush
        self._stopped = threading.Event()
        self._clock = clock
        self._sleep = sleep or self._stopped.wait
        self._own_client = client is None
        # Shops are on the loopback: a proxy of the environment has no business here.
        self._client = client or httpx.Client(timeout=timeout, trust_env=False)
        self._plans, homeless = timetable(day, self._storefronts, seconds)
        for code, events in self._plans.items():
            self.book.count(code, "orders_planned", sum(event.order is not None for event in events))
        self.book.count(self._storefronts[0].code, "cancellations_skipped", homeless)
        self._orders: dict[str, tuple[str, dict[str, Sold]]] = {}
        self._threads: list[threading.Thread] = []
        self._crashes: list[BaseException] = []
        self._start = 0.0

    def start(self) -> None:
        """Begin in the background."""
        if self._threads:
            raise RuntimeError("the shoppers are out already")
        self._start = self._clock()
        self._threads = [self._thread(self._play, shop) for shop in self._storefronts]
        if self._rush:
            self._threads.append(self._thread(self._play_rushes, self._rush))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No more purchases; those on their way are finished."""
        self._stopped.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of the day; False when it is not over in time."""
        end = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            return False
        if self._own_client:
            self._client.close()
        if self._crashes:
            raise self._crashes[0]
        return True

    def run(self) -> Book:
        self.start()
        self.join()
        return self.book

    def progress(self, shop: str | None = None) -> Progress:
        """What happened until now, at one shop or at all."""
        return self.book.progress(shop)

    def _thread(self, work: Callable[..., None], *arguments: Any) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as crash:
                # A thread's exception would only be printed: `join` raises it.
                self._crashes.append(crash)
                self._stopped.set()

        return threading.Thread(target=guarded, name="shoppers", daemon=True)

    def _wait_until(self, due: float) -> bool:
        """False when the shoppers were told to stop."""
        while not self._stopped.is_set():
            left = self._start + due - self._clock()
            if left <= 0:
                return True
            self._sleep(left)
        return False

    def _play(self, shop: Storefront) -> None:
        for event in self._plans[shop.code]:
            if not self._wait_until(event.due):
                return
            if event.order:
                self._place(shop, event.order)
            else:
                self._withdraw(shop, event.cancellations)

    def _place(self, shop: Storefront, order: TraceOrder) -> None:
        asked = tuple(
            (line.sku, scaled(line.quantity, self._scale)) for line in order.lines if not is_non_stock(line.sku)
        )
        if not asked:
            self.book.count(shop.code, "orders_without_goods")
            return
        purchase = self._buy(shop, order.order_id, asked)
        if purchase.order_id:
            self._orders[order.order_id] = purchase.order_id, {sold.line_id: sold for sold in purchase.sold}

    def _buy(self, shop: Storefront, reference: str, asked: tuple[tuple[str, int], ...]) -> Purchase:
        self.book.count(shop.code, "orders_tried")
        self.book.count(shop.code, "units_asked", sum(quantity for _, quantity in asked))
        lines = [{"sku": sku, "quantity": quantity} for sku, quantity in asked]
        outcome, status, answer = self._post(f"{shop.base_url}/sandbox/checkout", {"lines": lines})
        purchase = Purchase(shop.code, reference, outcome, asked, status=status)
        if outcome is Outcome.DONE:
            purchase = _read_checkout(purchase, answer)
        self.book.bought(purchase)
        return purchase

    def _withdraw(self, shop: Storefront, cancellations: Sequence[TraceCancellation]) -> None:
        matched = cancellations[0].matched
        order_id, left = self._orders.get(matched[0], ("", {})) if matched else ("", {})
        chosen: Counter[str] = Counter()
        for cancellation in cancellations:
            units = scaled(cancellation.quantity, self._scale)
            for sold in left.values():
                taken = min(units, sold.quantity - chosen[sold.line_id]) if sold.sku == cancellation.sku else 0
                chosen[sold.line_id] += taken
                units -= taken
        lines = tuple(Sold(left[line_id].sku, n, line_id) for line_id, n in chosen.items() if n)
        if not lines:
            self.book.count(shop.code, "cancellations_skipped", len(cancellations))
            return
        whole = sum(chosen.values()) == sum(sold.quantity for sold in left.values())
        wanted = None if whole else [{"line_id": line.line_id, "quantity": line.quantity} for line in lines]
        self.book.count(shop.code, "cancellations_tried")
        outcome, status, _ = self._post(
            f"{shop.base_url}/sandbox/cancel",
            {"order_id": order_id, "lines": wanted, "restock": True, "reason": "customer"},
        )
        if outcome is not Outcome.FAILED:
            # Units whose cancellation is unknown are not cancelled a second time either.
            for line in lines:
                rest = left[line.line_id].quantity - line.quantity
                left[line.line_id] = Sold(line.sku, rest, line.line_id)
        self.book.withdrew(Withdrawal(shop.code, order_id, outcome, lines, whole, status))

    def _play_rushes(self, rush: Rush) -> None:
        for number, share in enumerate(sorted(rush.at), start=1):
            if not self._wait_until(share * self._seconds):
                return
            start = threading.Barrier(len(self._storefronts) * rush.racers)
            racers = [
                self._thread(self._race, shop, rush, start, f"rush-{number}-{shop.code}-{racer}")
                for racer in range(1, rush.racers + 1)
                for shop in self._storefronts
            ]
            for thread in racers:
                thread.start()
            for thread in racers:
                thread.join()

    def _race(self, shop: Storefront, rush: Rush, start: threading.Barrier, name: str) -> None:
        # When somebody is missing, those who came race without them.
        with suppress(threading.BrokenBarrierError):
            start.wait(BARRIER_S)
        for sku in rush.skus:
            for attempt in range(1, rush.attempts + 1):
                if self._stopped.is_set():
                    return
                purchase = self._buy(shop, f"{name}-{sku}-{attempt}", ((sku, rush.units),))
                if purchase.outcome is not Outcome.DONE or purchase.refused:
                    break

    def _post(self, url: str, body: dict[str, Any]) -> tuple[Outcome, int | None, Any]:
        try:
            response = self._client.post(url, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol):
            return Outcome.FAILED, None, None
        except httpx.RequestError:
            return Outcome.UNKNOWN, None, None
        if response.is_success:
            try:
                return Outcome.DONE, response.status_code, response.json()
            except ValueError:
                return Outcome.UNKNOWN, response.status_code, None
        outcome = Outcome.UNKNOWN if response.is_server_error else Outcome.FAILED
        return outcome, response.status_code, None


def _read_checkout(purchase: Purchase, answer: Any) -> Purchase:
    """The answer in the purchase; an answer that cannot be understood leaves it unknown."""
    about = (purchase.shop, purchase.reference)
    try:
        sold = tuple(Sold(str(x["sku"]), int(x["quantity"]), str(x["line_id"])) for x in answer["accepted"])
        refused = tuple((str(x["sku"]), int(x["quantity"])) for x in answer["refused"])
        order_id = None if answer["order_id"] is None else str(answer["order_id"])
        placed_at = None if answer.get("placed_at") is None else str(answer["placed_at"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return Purchase(*about, Outcome.UNKNOWN, purchase.asked, status=purchase.status)
    if bool(sold) != (order_id is not None):
        return Purchase(*about, Outcome.UNKNOWN, purchase.asked, order_id, status=purchase.status)
    outcome = Outcome.DONE if sold else Outcome.REFUSED
    return Purchase(*about, outcome, purchase.asked, order_id, placed_at, sold, refused, purchase.status)


def _check(storefronts: Sequence[Storefront], seconds: float, scale: float, rush: Rush | None) -> None:
    if not storefronts or len({shop.code for shop in storefronts}) < len(storefronts):
        raise ValueError("shoppers need one shop or more, each with a code of its own")
    if not all(shop.weight > 0 for shop in storefronts):
        raise ValueError("the weight of a shop is above zero")
    if seconds <= 0 or not 0 < scale <= 1:
        raise ValueError("seconds is above zero, quantity_scale above zero and at most one")
    if rush and (min(rush.racers, rush.units, rush.attempts) < 1 or not all(0 <= at <= 1 for at in rush.at)):
        raise ValueError("a rush has one racer, unit and attempt or more, at moments between 0 and 1")
