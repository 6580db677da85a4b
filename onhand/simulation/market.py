"""The shops of one seed and the truth about every unit: what is on the shelf, and who has sold it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.sandbox.deliveries import Deliveries
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.shop import Order, Shop
from inventory.words import ReversalReason
from onhand.simulation.scenario import KIT, Buys, Cancels, ChannelPlan, ForeignWrite, Scenario, TroubleKind
from onhand.simulation.steps import Steps
from onhand.simulation.vendors import MAKERS, SECRET, TRAITS, Clocks, Shopfront, Traits, is_write
from onhand.simulation.wire import Wire
from onhand.simulation.world import World

COMES_BACK = frozenset({ReversalReason.CUSTOMER, ReversalReason.PAYMENT})
"""Reasons of a cancellation after which the unit, which was never sent, is still on the shelf."""


@dataclass(frozen=True)
class Offer:
    """What one unit of a product of a shop is made of."""

    product: str
    sku: str
    units_per_listing: int
    components: Mapping[str, int]


class Truth:
    """Pieces on the shelf and pieces sold. `excused`: pieces that a foreign write put on sale behind our back."""

    def __init__(self, world: World, stock: Mapping[str, int]) -> None:
        self._world = world
        self.stock = Counter(stock)
        self.consumed: Counter[str] = Counter()
        self.excused: Counter[str] = Counter()
        self.oversold: list[str] = []
        self.by_strangers = 0
        """Pieces oversold that a foreign write had put on sale."""

    def take(self, components: Mapping[str, int], units: int, where: str) -> None:
        for sku, pieces in components.items():
            self.consumed[sku] += pieces * units
            beyond = self.consumed[sku] - self.stock[sku]
            if beyond > self.excused[sku]:
                message = f"{self.consumed[sku]} of {self.stock[sku]} {sku} are sold, the last at {where}"
                self._world.note(f"OVERSOLD: {message}")
                self.oversold.append(message)
            elif beyond > 0:
                self.by_strangers = max(self.by_strangers, beyond)

    def give_back(self, components: Mapping[str, int], units: int) -> None:
        for sku, pieces in components.items():
            self.consumed[sku] -= pieces * units


class Storefront:
    """One shop: its shoppers, its clock, its webhooks."""

    def __init__(self, world: World, steps: Steps, truth: Truth, plan: ChannelPlan, scenario: Scenario) -> None:
        self._world, self._truth = world, truth
        self.plan, self.code = plan, plan.code
        self.traits: Traits = TRAITS[plan.vendor]
        self.ahead = 0.0
        self.shop = Shop(now=self._its_now, monotonic=world.monotonic)
        clocks = Clocks(world.now, world.monotonic, world.pass_time, scenario.page)
        self.front: Shopfront = MAKERS[plan.vendor](plan.code, self.shop, clocks)
        self.wire = Wire(
            world, steps, plan.code, self.shop, self.front.app, is_write(plan.vendor),
            partial=self.traits.partial_writes,
        )  # fmt: skip
        self.offers: dict[int, Offer] = {}
        self.refs: dict[str, int] = {}
        self._add_offers(scenario)
        self.strange: set[str] = set()
        """Refs of listings that a foreign write has raised."""
        self.deliver: Callable[[Mapping[str, str], bytes], None] | None = None
        """Hands a webhook to our intake."""
        deliveries = getattr(self.front.app.state, "deliveries", None)
        if plan.webhooks and isinstance(deliveries, Deliveries) and self.front.receiver is not None:
            self._deliveries = deliveries
            self.shop.on_change.append(self._tell)

    def _add_offers(self, scenario: Scenario) -> None:
        for sku in self.plan.skus:
            parts = dict(scenario.bundle) if sku == KIT else {sku: 1}
            self._add(Offer(sku, sku, 1, parts))
        for sku, units in self.plan.packs.items():
            self._add(Offer(f"{sku}-PACK", sku, units, {sku: units}))

    def _add(self, offer: Offer) -> None:
        number = self.shop.add_product(offer.product, offer.product, 0).number
        self.offers[number] = offer
        self.refs[self.shop.naming.listing(number)] = number

    def listings(self) -> list[tuple[str, str, int]]:
        """(ref, SKU, units per listing)."""
        return [(ref, self.offers[n].sku, self.offers[n].units_per_listing) for ref, n in self.refs.items()]

    def on_sale(self) -> dict[str, int]:
        """Units that a shopper could buy now, by ref."""
        self.front.due()
        products = {ref: self.shop.products[number] for ref, number in self.refs.items()}
        return {
            ref: max(0, one.quantity) if one.listed and not self.shop.closed else 0 for ref, one in products.items()
        }

    def shown(self) -> dict[str, int]:
        """The counters, whatever hides them."""
        self.front.due()
        return {ref: self.shop.products[number].quantity for ref, number in self.refs.items()}

    def buys(self, wish: Buys) -> None:
        self.front.due()
        late = self._world.strikes(self.code, TroubleKind.ORDER_LATE)
        if late:
            self.shop.faults.replace([Fault(FaultKind.LATE, times=1, delay_s=late.amount)])
        order = self.shop.checkout(wish.lines).order
        self.shop.faults.replace([])
        if order is None:
            return
        sold = ", ".join(f"{line.quantity} {line.sku}" for line in order.lines)
        hidden = f", hidden for {late.amount:.0f} s" if late else ""
        self._world.note(f"{self.code} sells {sold} as {order.number}{hidden}")
        for line in order.lines:
            offer = self.offers[line.product.number]
            self._truth.take(offer.components, line.quantity, f"{self.code} by order {order.number}")

    def cancels(self, wish: Cancels) -> None:
        self.front.due()
        order = self._pick(wish.which)
        if order is None:
            return
        line = max(order.lines, key=lambda one: one.quantity - one.reversed)
        left = line.quantity - line.reversed
        if not left or order.cancelled_at is not None:
            return
        whole = not (wish.units and self.traits.partial_cancels)
        lines = None if whole else [(line.number, min(wish.units, left))]
        made = self.shop.cancel(order.number, lines, restock=wish.restock, reason=wish.reason.value)
        gone = ", ".join(f"{one.quantity} of line {one.line}" for one in made)
        self._world.note(f"{self.code} cancels {gone} of {order.number}, {wish.reason}, restocked {wish.restock}")
        if wish.reason in COMES_BACK:
            products = {one.number: one.product.number for one in order.lines}
            for one in made:
                self._truth.give_back(self.offers[products[one.line]].components, one.quantity)

    def _pick(self, which: float) -> Order | None:
        numbers = sorted(self.shop.orders)
        return self.shop.orders[numbers[int(which * len(numbers))]] if numbers else None

    def foreign(self, write: ForeignWrite) -> None:
        self.front.due()
        number = next((n for n, offer in self.offers.items() if offer.product == write.sku), None)
        if number is None:
            return
        before = self.shop.products[number].quantity
        after = max(0, before - write.by)
        self._world.note(f"somebody else sets {write.sku} at {self.code} from {before} to {after}")
        self._world.faults["foreign write"] += 1
        self.shop.set_quantity(number, after, by="somebody else")
        if after > before:
            self.strange.add(self.shop.naming.listing(number))
            for sku, pieces in self.offers[number].components.items():
                self._truth.excused[sku] += (after - before) * pieces

    def _its_now(self) -> datetime:
        return self._world.now() + timedelta(seconds=self.ahead)

    def _tell(self, order: Order, placed: bool) -> None:
        """A webhook leaves: perhaps never, twice, late, cut short, and beside it one that somebody forged."""
        if self.deliver is None:
            return
        message = self._deliveries.message(order, placed, SECRET)
        if message is None:
            return
        headers, body = message
        world, strikes = self._world, self._world.strikes
        delay = world.chance(f"webhook/{self.code}/{order.number}/{order.change}").uniform(0.05, 1.5)
        if strikes(self.code, TroubleKind.HOOK_LOST):
            return
        if late := strikes(self.code, TroubleKind.HOOK_LATE):
            delay += late.amount
        if strikes(self.code, TroubleKind.HOOK_CUT):
            body = body[: len(body) // 2]
        if strikes(self.code, TroubleKind.HOOK_FORGED):
            self._send(delay / 2, headers, b"forged" + body)
        self._send(delay, headers, body)
        if strikes(self.code, TroubleKind.HOOK_TWICE):
            self._send(delay * 2, headers, body)

    def _send(self, delay: float, headers: Mapping[str, str], body: bytes) -> None:
        deliver = self.deliver
        assert deliver is not None
        self._world.later(self._world.seconds + delay, lambda: deliver(headers, body))


def open_market(world: World, steps: Steps, scenario: Scenario) -> tuple[Truth, dict[str, Storefront]]:
    truth = Truth(world, scenario.stock)
    return truth, {plan.code: Storefront(world, steps, truth, plan, scenario) for plan in scenario.channels}
