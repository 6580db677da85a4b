"""What an imitated Amazon knows beyond the shop: writes on their way, FBA stock, statuses, tokens, allowances."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from adapters.channels.amazon.amazon_budget import PLANS, Bucket
from adapters.sandbox.shop import Product, Shop, ShopError

MARKETPLACE = "ATVPDKIKX0DER"
SELLER = "A1SANDBOXSELLER"
OURS, FBA = "DEFAULT", "AMAZON_NA"


@dataclass(slots=True)
class Habits:
    """How fast and how clumsy. Times in seconds, on the shop's monotonic clock. PUT /sandbox/habits sets some."""

    apply_delay_s: float = 2.0
    """From an accepted quantity until it is live."""
    feed_delay_s: float = 4.0
    """From a submitted feed until it has been processed; then each message takes `apply_delay_s` more."""
    search_lag_s: float = 120.0
    """searchOrders does not show what changed within this time."""
    token_life_s: float = 3600.0
    rate_scale: float = 1.0
    """All rates of the usage plans times this."""
    packs_reports: bool = False
    """Processing reports are compressed."""
    doubles_every: int = 3
    """Each so many-th notification is delivered twice; 0 = none."""
    tells_quantities: bool = True
    """LISTINGS_ITEM_MFN_QUANTITY_CHANGE too."""
    overshares: bool = False
    """Buyer and recipient come unasked."""

    def set(self, values: dict[str, Any]) -> None:
        kinds = {one.name: type(getattr(self, one.name)) for one in fields(self)}
        for name, value in values.items():
            if name not in kinds:
                raise ShopError(f"no such habit: {name!r}")
            setattr(self, name, kinds[name](value))


@dataclass(slots=True)
class FbaStock:
    """Units in Amazon's warehouse beside the fulfillable ones, which are the product's own quantity."""

    inbound_working: int = 0
    inbound_shipped: int = 0
    inbound_receiving: int = 0
    reserved: int = 0
    unfulfillable: int = 0


@dataclass(slots=True)
class State:
    shop: Shop
    habits: Habits = field(default_factory=Habits)
    fba: dict[str, FbaStock] = field(default_factory=dict)
    stranded: list[str] = field(default_factory=list)
    """SKUs whose offer a DEFAULT quantity has flipped: their stock at Amazon cannot be sold any more."""
    statuses: dict[int, str] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    on_quantity: list[Callable[[Product], None]] = field(default_factory=list)
    _pending: list[tuple[float, int, str, int]] = field(default_factory=list)
    _tokens: dict[str, float] = field(default_factory=dict)
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    def is_fba(self, sku: str) -> bool:
        return sku in self.fba

    def attributes_of(self, product: Product) -> dict[str, Any]:
        """What the seller submitted last, which is not what is live."""
        made = self.attributes.get(product.sku)
        if made is None:
            code = FBA if self.is_fba(product.sku) else OURS
            entry: dict[str, Any] = {"fulfillment_channel_code": code, "marketplace_id": MARKETPLACE}
            if code == OURS:
                entry |= {"quantity": max(0, product.quantity), "lead_time_to_ship_max_days": 3}
            made = self.attributes[product.sku] = {
                "fulfillment_availability": [entry],
                "item_name": [{"value": product.title, "marketplace_id": MARKETPLACE}],
            }
        return made

    def accept(self, sku: str, quantity: int, *, later_s: float = 0.0) -> None:
        due = self.shop.monotonic() + later_s + self.habits.apply_delay_s
        self._pending.append((due, len(self._pending), sku, quantity))

    def settle(self) -> None:
        """Make live what is due. Called before anybody looks or buys. The caller holds the shop's lock."""
        now = self.shop.monotonic()
        due = sorted(one for one in self._pending if one[0] <= now)
        self._pending = [one for one in self._pending if one[0] > now]
        for _, _, sku, quantity in due:
            product = self.shop.product(sku)
            if sku in self.fba:
                del self.fba[sku]
                self.stranded.append(sku)
            self.shop.set_quantity(product.number, quantity, by="api")
            for listener in self.on_quantity:
                listener(product)

    def new_token(self) -> str:
        token = f"Atza|{secrets.token_urlsafe(24)}"
        self._tokens[token] = self.shop.monotonic() + self.habits.token_life_s
        return token

    def expire_tokens(self) -> None:
        self._tokens = dict.fromkeys(self._tokens, float("-inf"))

    def token_problem(self, token: str | None) -> str | None:
        if not token:
            return "Access token is missing in the request header."
        if token not in self._tokens:
            return "The access token you provided is revoked, malformed or invalid."
        if self._tokens[token] <= self.shop.monotonic():
            return "The access token you provided has expired."
        return None

    def allowed(self, operation: str) -> bool:
        """Takes a token of the operation's bucket, or says that there is none."""
        plan, now = PLANS[operation], self.shop.monotonic()
        bucket = self._buckets.setdefault(operation, Bucket(plan.rate, plan.burst, plan.burst, now))
        bucket.rate = self.rate(operation)
        bucket.refill(now)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def rate(self, operation: str) -> float:
        return PLANS[operation].rate * self.habits.rate_scale
