"""What shoppers did and what the shops answered: the record that the verdict is drawn from."""

import threading
from collections import Counter
from dataclasses import dataclass, fields
from enum import StrEnum


class Outcome(StrEnum):
    DONE = "done"
    """The shop answered that it happened, perhaps in part."""
    REFUSED = "refused"
    """The shop answered that it sold nothing."""
    FAILED = "failed"
    """It certainly did not happen: the shop turned the request away or was never reached."""
    UNKNOWN = "unknown"
    """No answer, a server error or one that makes no sense: it may have happened."""


@dataclass(frozen=True, slots=True)
class Sold:
    sku: str
    quantity: int
    line_id: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """One checkout. Units of `asked` = units sold + units refused when the outcome is known."""

    shop: str
    reference: str
    """The order of the trace, or the name of a purchase in a rush."""
    outcome: Outcome
    asked: tuple[tuple[str, int], ...]
    order_id: str | None = None
    """The shop's own id."""
    placed_at: str | None = None
    """As the shop said it."""
    sold: tuple[Sold, ...] = ()
    refused: tuple[tuple[str, int], ...] = ()
    status: int | None = None
    """HTTP status of the answer, if one came."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """One cancellation of units of a placed order, restocked by the shop when it was done."""

    shop: str
    order_id: str
    outcome: Outcome
    lines: tuple[Sold, ...]
    """The units that were to be cancelled."""
    whole_order: bool
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot. Orders and lines are counted, units are pieces."""

    orders_planned: int = 0
    orders_without_goods: int = 0
    orders_tried: int = 0
    orders_placed: int = 0
    orders_refused: int = 0
    orders_failed: int = 0
    orders_unknown: int = 0
    lines_refused: int = 0
    """Lines of which the shop sold nothing or not all."""
    units_asked: int = 0
    units_sold: int = 0
    units_refused: int = 0
    cancellations_tried: int = 0
    cancellations_done: int = 0
    cancellations_failed: int = 0
    cancellations_unknown: int = 0
    cancellations_skipped: int = 0
    """Their sale is not of this day, was refused, or has no known order id."""
    units_cancelled: int = 0


COUNTERS = frozenset(counter.name for counter in fields(Progress))


class Book:
    """The record of one day. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._purchases: list[Purchase] = []
        self._withdrawals: list[Withdrawal] = []
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, shop: str, counter: str, by: int = 1) -> None:
        with self._lock:
            self._add(shop, **{counter: by})

    def bought(self, purchase: Purchase) -> None:
        name = {
            Outcome.DONE: "orders_placed",
            Outcome.REFUSED: "orders_refused",
            Outcome.FAILED: "orders_failed",
            Outcome.UNKNOWN: "orders_unknown",
        }[purchase.outcome]
        with self._lock:
            self._purchases.append(purchase)
            self._add(purchase.shop, **{name: 1}, lines_refused=len(purchase.refused))
            self._add(purchase.shop, units_sold=sum(sold.quantity for sold in purchase.sold))
            self._add(purchase.shop, units_refused=sum(quantity for _, quantity in purchase.refused))

    def withdrew(self, withdrawal: Withdrawal) -> None:
        done = withdrawal.outcome is Outcome.DONE
        units = sum(line.quantity for line in withdrawal.lines)
        with self._lock:
            self._withdrawals.append(withdrawal)
            self._add(withdrawal.shop, **{f"cancellations_{withdrawal.outcome}": 1})
            self._add(withdrawal.shop, units_cancelled=units if done else 0)

    def progress(self, shop: str | None = None) -> Progress:
        """Of one shop, or of all together."""
        totals: Counter[str] = Counter()
        with self._lock:
            for (code, counter), number in self._counts.items():
                if shop in (None, code):
                    totals[counter] += number
        return Progress(**totals)

    def purchases(self, shop: str | None = None) -> list[Purchase]:
        with self._lock:
            return [purchase for purchase in self._purchases if shop in (None, purchase.shop)]

    def withdrawals(self, shop: str | None = None) -> list[Withdrawal]:
        with self._lock:
            return [withdrawal for withdrawal in self._withdrawals if shop in (None, withdrawal.shop)]

    def units_sold(self, shop: str | None = None) -> Counter[str]:
        """SKU → units that the shops said they sold, cancelled ones included."""
        totals: Counter[str] = Counter()
        for purchase in self.purchases(shop):
            for sold in purchase.sold:
                totals[sold.sku] += sold.quantity
        return totals

    def _add(self, shop: str, **counts: int) -> None:
        for counter, number in counts.items():
            assert counter in COUNTERS, counter
            self._counts[shop, counter] += number
