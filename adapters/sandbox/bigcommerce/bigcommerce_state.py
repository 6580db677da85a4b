"""What an imitated BigCommerce store knows beyond the shop: variants, adjustments on their way, calls left."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from adapters.sandbox.shop import Order, Product, Shop, ShopError

LOCATION, ELSEWHERE = 1, 2
SIMPLE = 500_000
"""A product without variants has this much more than its (base) variant for an id."""
WINDOW_S = 30.0


@dataclass(slots=True)
class Habits:
    """How fast and how clumsy. PUT /sandbox/habits sets some."""

    apply_delay_s: float = 1.0
    """From an accepted adjustment until it is live, on the shop's monotonic clock."""
    calls_per_window: int = 150
    """In 30 seconds; 0 = as many as you like."""
    excludes_limits: bool = False
    """The dates that limit a list are not within it."""
    links_lines: bool = False
    """An order has a link where its lines were asked for."""

    def set(self, values: dict[str, Any]) -> None:
        kinds = {one.name: type(getattr(self, one.name)) for one in fields(self)}
        for name, value in values.items():
            if name not in kinds:
                raise ShopError(f"no such habit: {name!r}")
            setattr(self, name, kinds[name](value))


@dataclass(slots=True)
class Store:
    shop: Shop
    habits: Habits = field(default_factory=Habits)
    families: dict[int, int] = field(default_factory=dict)
    """Number of a product of the shop that is one variant of several → id of its product here."""
    whole: set[int] = field(default_factory=set)
    """Ids of products with several variants that are counted as a whole (all variants by the first one's number)."""
    safety: dict[int, int] = field(default_factory=dict)
    """Number of a product of the shop → safety stock at the location."""
    off: dict[int, str] = field(default_factory=dict)
    """Id of a product → its availability, where that is not `available`."""
    on_stock: list[Callable[[Product], None]] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    """Order → status_id that a person set by hand."""
    _pending: list[tuple[float, int, int]] = field(default_factory=list)
    _window: tuple[float, int] = (float("-inf"), 0)

    def product_id(self, number: int) -> int:
        return self.families.get(number, number + SIMPLE)

    def listing(self, number: int) -> str:
        return f"{self.product_id(number)}/{number}"

    def variants(self, product_id: int) -> list[Product]:
        if product_id - SIMPLE in self.shop.products and product_id - SIMPLE not in self.families:
            return [self.shop.products[product_id - SIMPLE]]
        numbers = sorted(number for number, above in self.families.items() if above == product_id)
        return [self.shop.products[number] for number in numbers]

    def product_ids(self) -> list[int]:
        return sorted({self.product_id(number) for number in self.shop.products})

    def is_simple(self, product_id: int) -> bool:
        return product_id not in self.families.values()

    def tracking(self, product_id: int) -> str:
        if not self.variants(product_id)[0].tracked:
            return "none"
        return "product" if self.is_simple(product_id) or product_id in self.whole else "variant"

    def switch(self, product_id: int, availability: str) -> None:
        """What is disabled cannot be bought."""
        for product in self.variants(product_id):
            product.listed = availability != "disabled"
        self.off[product_id] = availability

    def availability(self, product_id: int) -> str:
        said = self.off.get(product_id, "available")
        if not any(product.listed for product in self.variants(product_id)):
            return "disabled"
        return "available" if said == "disabled" else said

    def accept(self, number: int, on_hand: int) -> None:
        due = self.shop.monotonic() + self.habits.apply_delay_s
        self._pending.append((due, number, on_hand - self.safety.get(number, 0)))

    def settle(self) -> None:
        """Make live what is due, first come first served. Called before anybody looks or buys, under the lock."""
        now = self.shop.monotonic()
        due = [one for one in self._pending if one[0] <= now]
        self._pending = [one for one in self._pending if one[0] > now]
        for _, number, quantity in due:
            product = self.shop.set_quantity(number, quantity, by="api")
            for listener in self.on_stock:
                listener(product)

    def take_call(self) -> tuple[bool, dict[str, str]]:
        """Whether one more call may pass, and the headers that say what is left."""
        if not self.habits.calls_per_window:
            return True, {}
        now, (begun, spent) = self.shop.monotonic(), self._window
        if now - begun >= WINDOW_S:
            begun, spent = now, 0
        allowed = spent < self.habits.calls_per_window
        self._window = begun, spent + allowed
        return allowed, self.quota(self.habits.calls_per_window - spent - allowed, begun + WINDOW_S - now)

    def quota(self, left: int, reset_s: float) -> dict[str, str]:
        return {
            "X-Rate-Limit-Requests-Left": str(left),
            "X-Rate-Limit-Requests-Quota": str(self.habits.calls_per_window),
            "X-Rate-Limit-Time-Reset-Ms": str(int(reset_s * 1000)),
            "X-Rate-Limit-Time-Window-Ms": str(int(WINDOW_S * 1000)),
        }

    def status_of(self, order: Order) -> int:
        """`status_id`."""
        if order.number in self.statuses:
            return self.statuses[order.number]
        if any(reversal.how == "cancel" for reversal in order.reversals):
            return 6 if order.cancel_reason == "payment" else 5
        refunded = sum(reversal.quantity for reversal in order.reversals if reversal.how == "refund")
        if not refunded:
            return 11
        return 4 if refunded >= sum(line.quantity for line in order.lines) else 14
