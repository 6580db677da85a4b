"""The core of an imitated shop, whatever the vendor: products, shoppers, orders, reversals.

The storefront is honest and fast: it sells at most what it shows and takes its own number down at
once. What the vendor's API then says about it, late, twice or not at all, is the vendor app's part.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from adapters.sandbox.asking import Asking
from adapters.sandbox.faults import FaultPlan

ReversalHow = Literal["cancel", "refund", "return", "remove"]
"""cancel: the whole order. refund: units not yet sent. return: units that came back. remove: units
edited away, which no refund tells of."""


class ShopError(Exception):
    """A request that makes no sense to the shop. The message is for people."""


@dataclass(slots=True)
class Product:
    number: int
    sku: str
    title: str
    quantity: int
    """What the storefront shows, and still sells. Our write sets it; a sale takes from it."""
    tracked: bool = True
    oversell_allowed: bool = False
    listed: bool = True
    """Buyers can find it and order it."""
    committed: int = 0
    """Sold and not yet sent."""
    elsewhere: dict[str, int] = field(default_factory=dict)
    """Units at locations that the storefront does not sell from, by the vendor's location id."""


@dataclass(slots=True)
class Reversal:
    number: int
    how: ReversalHow
    line: int
    quantity: int
    restocked: bool
    reason: str
    occurred_at: datetime
    batch: int
    """The same for all reversals of one action (one refund document)."""


@dataclass(slots=True)
class Line:
    number: int
    product: Product
    sku: str
    quantity: int
    """Units ordered."""
    reversed: int = 0


@dataclass(frozen=True, slots=True)
class Buyer:
    """Invented personal data. None of it may ever leave an adapter."""

    name: str
    email: str
    phone: str
    street: str
    note: str

    def strings(self) -> list[str]:
        return [self.name, self.email, self.phone, self.street, self.note]


@dataclass(slots=True)
class Order:
    number: int
    placed_at: datetime
    updated_at: datetime
    visible_from: float
    """On the shop's monotonic clock: earlier, the API does not show the order."""
    change: int
    """Rises with every change of any order: a tie-breaker for equal times."""
    lines: list[Line]
    buyer: Buyer
    test: bool = False
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    hold: str | None = None
    """Key of the hold that the shop asked for before it sold."""
    reversals: list[Reversal] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Checkout:
    """What a shopper got. `refused` holds (sku, units) that were asked for and not sold."""

    order: Order | None
    refused: list[tuple[str, int]]
    asked_ms: float | None = None
    """How long asking for a hold took, where the shop asks."""


@dataclass(frozen=True, slots=True)
class Written:
    """One change of a shown quantity that was no sale and no reversal."""

    number: int
    before: int
    after: int
    by: str


@dataclass(frozen=True, slots=True)
class Naming:
    """How the vendor spells the numbers of listings, orders and lines. Each ends in the number."""

    listing: Callable[[int], str] = str
    order: Callable[[int], str] = str
    line: Callable[[int], str] = str


def number_of(name: str) -> int:
    """The number at the end of a vendor's id (`gid://shopify/Order/17`, `902-0000000-0000017` and `17` are 17)."""
    found = re.fullmatch(r"(?:.*/)?(?:\w+-)*(\d+)", str(name), re.ASCII)
    if found is None:
        raise ShopError(f"no such id: {name!r}")
    return int(found[1])


class Shop:
    """State and shoppers' actions. Thread safe: hold `lock` to do several things as one.

    `now` is the shop's clock, which may lie; `monotonic` times what is hidden for a while.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        faults: FaultPlan | None = None,
        first_number: int = 1001,
    ) -> None:
        self.now = now
        self.monotonic = monotonic
        self.faults = faults or FaultPlan(now=monotonic)
        self.naming = Naming()
        self.lock = threading.RLock()
        self.products: dict[int, Product] = {}
        self.orders: dict[int, Order] = {}
        self.calls: Counter[str] = Counter()
        self.written: list[Written] = []
        self.closed = False
        """The storefront sells nothing at all now."""
        self.on_change: list[Callable[[Order, bool], None]] = []
        """Called with each order that was placed (True) or changed (False), under the lock: be quick, only note it."""
        self.ask: Asking | None = None
        """When set, every sale is asked for first, and only what was held is sold: what is shown is no promise."""
        self._by_sku: dict[str, Product] = {}
        self._next = first_number
        self._changes = 0

    def add_product(self, sku: str, title: str, quantity: int, **flags: Any) -> Product:
        with self.lock:
            if sku in self._by_sku:
                raise ShopError(f"SKU {sku!r} is there already")
            product = Product(self.take_number(), sku, title, quantity, **flags)
            self.products[product.number] = product
            self._by_sku[sku] = product
            return product

    def product(self, sku: str) -> Product:
        try:
            return self._by_sku[sku]
        except KeyError:
            raise ShopError(f"no such SKU: {sku!r}") from None

    def checkout(self, lines: Sequence[tuple[str, int]], *, test: bool = False) -> Checkout:
        """A shopper orders (sku, units). Sells per line what is shown; refuses the rest of it."""
        if any(quantity <= 0 for _, quantity in lines):
            raise ShopError("a shopper orders one unit or more")
        if self.ask is not None:
            return self._ask_and_sell(self.ask, lines, test)
        with self.lock:
            return self._sell(lines, test, self._take)

    def _sell(
        self, lines: Sequence[tuple[str, int]], test: bool, take: Callable[[Product, int], int], hold: str | None = None
    ) -> Checkout:
        sold: list[Line] = []
        refused: list[tuple[str, int]] = []
        for sku, asked in lines:
            product = self._by_sku.get(sku)
            taken = take(product, asked) if product else 0
            if product and taken:
                sold.append(Line(self.take_number(), product, sku, taken))
            if taken < asked:
                refused.append((sku, asked - taken))
        order = self._place(sold, test) if sold else None
        if order:
            order.hold = hold
            self._tell(order, placed=True)
        return Checkout(order, refused)

    def _ask_and_sell(self, asking: Asking, lines: Sequence[tuple[str, int]], test: bool) -> Checkout:
        """Asks outside the lock: other shoppers go on. Without an answer nothing is sold."""
        with self.lock:
            wanted = self._sellable(lines)
        if not wanted:
            return Checkout(None, list(lines))
        started = time.perf_counter()
        held = asking.ask({self.naming.listing(number): units for number, units in wanted.items()})
        asked_ms = (time.perf_counter() - started) * 1000
        if held is None:
            return Checkout(None, list(lines), asked_ms)
        left = {number: held.units.get(self.naming.listing(number), 0) for number in wanted}

        def take(product: Product, asked: int) -> int:
            taken = min(asked, left.get(product.number, 0)) if product.listed and not self.closed else 0
            left[product.number] = left.get(product.number, 0) - taken
            if product.tracked:
                product.quantity = max(0, product.quantity - taken)
            product.committed += taken
            return taken

        with self.lock:
            done = self._sell(lines, test, take, held.key)
        if done.order is None:
            asking.release(held.key)
        else:
            asking.commit(held.key, self.naming.order(done.order.number))
        return Checkout(done.order, done.refused, asked_ms)

    def _sellable(self, lines: Sequence[tuple[str, int]]) -> dict[int, int]:
        """{number of the product: units} that the storefront would sell by what it shows."""
        wanted: dict[int, int] = {}
        for sku, asked in lines:
            product = self._by_sku.get(sku)
            if product is None or self.closed or not product.listed:
                continue
            free = product.oversell_allowed or not product.tracked
            before = wanted.get(product.number, 0)
            if units := asked if free else min(asked, max(0, product.quantity - before)):
                wanted[product.number] = before + units
        return wanted

    def cancel(
        self,
        order_number: int,
        lines: Sequence[tuple[int, int]] | None = None,
        *,
        restock: bool = True,
        reason: str = "customer",
        how: ReversalHow | None = None,
    ) -> list[Reversal]:
        """Reverse a whole order (`lines` None) or units of its lines, as (line number, units).

        `reason` is a word of `inventory.words.ReversalReason`. With `restock` the shop puts the units
        back on its own counter. Raises ShopError when more would be reversed than was sold.
        """
        with self.lock:
            order = self.orders.get(order_number)
            if order is None:
                raise ShopError(f"no such order: {order_number}")
            whole = lines is None
            if lines is None:
                lines = [(line.number, line.quantity - line.reversed) for line in order.lines]
                lines = [(number, quantity) for number, quantity in lines if quantity]
            kind: ReversalHow = how or ("cancel" if whole else "refund")
            made = self._reverse(order, lines, restock, reason, kind)
            at = max(self.now(), order.updated_at)
            if whole:
                order.cancelled_at, order.cancel_reason = at, reason
            self._touch(order, at)
            return made

    def set_quantity(self, number: int, quantity: int, *, by: str) -> Product:
        """Set what the storefront shows. `by` is "api" for the vendor's API, else somebody foreign."""
        with self.lock:
            product = self.products[number]
            self.written.append(Written(number, product.quantity, quantity, by))
            product.quantity = quantity
            return product

    def touch(self, order_number: int) -> None:
        """Something about the order changed that is no business of stock (a tag, a payment)."""
        with self.lock:
            self._touch(self.orders[order_number])

    def changed_since(self, since: datetime | None) -> list[Order]:
        """The orders that the API shows, changed at or after `since`, oldest change first."""
        with self.lock:
            instant = self.monotonic()
            found = [
                order
                for order in self.orders.values()
                if order.visible_from <= instant and (since is None or order.updated_at >= since)
            ]
        return sorted(found, key=lambda order: (order.updated_at, order.number))

    def count(self, operation: str) -> None:
        with self.lock:
            self.calls[operation] += 1

    def take_number(self) -> int:
        with self.lock:
            self._next += 1
            return self._next

    def _take(self, product: Product, asked: int) -> int:
        if self.closed or not product.listed:
            return 0
        free = product.oversell_allowed or not product.tracked
        taken = asked if free else min(asked, max(0, product.quantity))
        if product.tracked:
            product.quantity -= taken
        product.committed += taken
        return taken

    def _place(self, lines: list[Line], test: bool) -> Order:
        number, at = self.take_number(), self.now()
        self._changes += 1
        order = Order(number, at, at, self.monotonic() + self.faults.lateness(), self._changes, lines, _buyer(number))
        order.test = test
        self.orders[number] = order
        return order

    def _reverse(
        self, order: Order, lines: Sequence[tuple[int, int]], restock: bool, reason: str, how: ReversalHow
    ) -> list[Reversal]:
        by_number = {line.number: line for line in order.lines}
        for number in {number for number, _ in lines}:
            quantity = sum(units for other, units in lines if other == number)
            line = by_number.get(number)
            if line is None or not 0 < quantity <= line.quantity - line.reversed:
                raise ShopError(f"cannot reverse {quantity} of line {number}")
        at, batch = self.now(), self.take_number()
        made = []
        for number, quantity in lines:
            line = by_number[number]
            line.reversed += quantity
            line.product.committed -= quantity
            if restock and line.product.tracked:
                line.product.quantity += quantity
            made.append(Reversal(self.take_number(), how, number, quantity, restock, reason, at, batch))
        order.reversals.extend(made)
        return made

    def _touch(self, order: Order, at: datetime | None = None) -> None:
        self._changes += 1
        order.updated_at, order.change = at or max(self.now(), order.updated_at), self._changes
        self._tell(order, placed=False)

    def _tell(self, order: Order, *, placed: bool) -> None:
        for listener in self.on_change:
            listener(order, placed)


def _buyer(number: int) -> Buyer:
    return Buyer(
        name=f"Wilhelmina Testbuyer-{number}",
        email=f"wilhelmina.{number}@private.example",
        phone=f"+49 30 5550{number}",
        street=f"Invented Lane {number}b",
        note=f"please ring twice, {number}",
    )
