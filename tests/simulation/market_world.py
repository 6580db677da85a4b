"""A small market under a virtual clock: shops in memory that sell, forget, answer late and lie, and an oracle
that knows each unit. One seed makes one history.

The shops implement `adapters.channels.protocol.Channel`. Time passes only inside their calls and between passes
(`World.pass_time`), and shoppers come whenever it does: so also between our read and our write.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.channels.protocol import Capabilities, Change, ChangeResult, ChangeStatus, OrderPage, Reading
from adapters.http import ChannelFault, Resolution
from inventory.reversals import destination
from inventory.words import ReversalKind, ReversalReason, StockState

BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)
SETTLE, IN_DOUBT, LIE, LEASE = 30.0, 60.0, 240.0, 45.0
"""Seconds: an order is visible, a write without an answer is applied, a clock is wrong, a claim lasts: at most."""
SENDING = 5.0
"""Our part of a call takes at most this long; a late write is applied in the second half of its time of doubt."""


class Died(BaseException):
    """The process was killed. No `except Exception` may catch it."""


@dataclass
class Reversed:
    number: int
    line: int
    quantity: int
    reason: ReversalReason
    restocked: bool | None
    at: datetime


@dataclass
class Ordered:
    number: int
    placed_at: datetime
    updated_at: datetime
    visible_from: float
    lines: list[tuple[int, str, int]]
    """(line number, listing ref, listing units)"""
    reversals: list[Reversed] = field(default_factory=list)
    hold: str | None = None

    def open_units(self, line: int) -> int:
        ordered = next(quantity for number, _, quantity in self.lines if number == line)
        return ordered - sum(one.quantity for one in self.reversals if one.line == line)


class World:
    """The clock, the truth about every unit, and what happened."""

    def __init__(self, seed: int, stock: Mapping[str, int]) -> None:
        self.random = random.Random(seed)
        self.clock = 0.0
        self.stock = dict(stock)
        self.consumed: Counter[str] = Counter()
        """Pieces sold, less those that came back to the shelf."""
        self.oversold: list[str] = []
        self.shops: dict[str, SimulatedShop] = {}
        self.history: list[str] = []
        self.faults: Counter[str] = Counter()
        self.pending: list[tuple[float, int, Callable[[], None]]] = []
        self.calm = False
        """No faults any more, no shoppers."""
        self.meanwhile: Callable[[], None] | None = None
        """What other processes of ours do while a call is on its way."""
        self.numbers = 0

    def now(self) -> datetime:
        if self.strikes("killed", 0.0004):
            self.note("killed between two statements")
            raise Died
        return BEGIN + timedelta(seconds=self.clock)

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def strikes(self, fault: str, probability: float) -> bool:
        if self.calm or self.random.random() >= probability:
            return False
        self.faults[fault] += 1
        return True

    def note(self, what: str) -> None:
        self.history.append(f"{self.clock:8.1f} {what}")

    def later(self, delay: float, action: Callable[[], None]) -> None:
        self.pending.append((self.clock + delay, self.number(), action))

    def pass_time(self, seconds: float) -> None:
        end = self.clock + seconds
        while True:
            due = min(((at, number) for at, number, _ in self.pending if at <= end), default=None)
            gap = 0.0 if self.calm else self.random.expovariate(1 / 4.0)
            if due is None and (self.calm or self.clock + gap > end):
                break
            if due is not None and (self.calm or due[0] <= self.clock + gap):
                action = next(entry for entry in self.pending if entry[:2] == due)
                self.pending.remove(action)
                self.clock = max(self.clock, action[0])
                action[2]()
            else:
                self.clock += gap
                self.shops[self.random.choice(sorted(self.shops))].customer()
        self.clock = end

    def take(self, components: Mapping[str, int], units: int, what: str) -> None:
        for sku, pieces in components.items():
            self.consumed[sku] += pieces * units
            if self.consumed[sku] > self.stock[sku]:
                message = f"{self.consumed[sku]} of {self.stock[sku]} {sku} are sold: {what}"
                self.note(f"OVERSOLD {message}")
                self.oversold.append(message)

    def give_back(self, components: Mapping[str, int], units: int) -> None:
        for sku, pieces in components.items():
            self.consumed[sku] -= pieces * units

    def tell(self, lines: int = 70) -> str:
        return "\n".join(self.history[-lines:])


@dataclass(frozen=True)
class Offer:
    """A listing: what one unit of it is made of."""

    ref: str
    sku: str
    units_per_listing: int
    components: Mapping[str, int]


class SimulatedShop:
    """A shop and its API. Sells at most what it shows, and takes its own number down at once."""

    def __init__(self, world: World, code: str, offers: Sequence[Offer], *, compare_and_set: bool) -> None:
        self.world, self.code = world, code
        self.offers = {offer.ref: offer for offer in offers}
        self.shown = dict.fromkeys(self.offers, 0)
        self.orders: dict[int, Ordered] = {}
        self.capabilities = Capabilities(
            compare_and_set=compare_and_set, idempotency_keys=False, write_batch=3, read_batch=50
        )
        self.tells_restocks = compare_and_set
        self.lie = world.random.uniform(-LIE, LIE)
        self.dark_until = -1.0

    # The shop's own life.

    def its_now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.world.clock + self.lie)

    def customer(self) -> None:
        random = self.world.random
        if self.orders and random.random() < 0.12:
            self._cancel(self.orders[random.choice(sorted(self.orders))])
            return
        wanted = random.sample(sorted(self.offers), k=min(len(self.offers), random.choice((1, 1, 1, 2))))
        lines = []
        for ref in wanted:
            units = min(random.choice((1, 1, 1, 2, 3)), self.shown[ref])
            if units > 0:
                lines.append((self.world.number(), ref, units))
        if lines:
            self._buy(lines)

    def _buy(self, lines: list[tuple[int, str, int]]) -> None:
        for _, ref, units in lines:
            self.shown[ref] -= units
        self._place(lines)

    def _place(self, lines: list[tuple[int, str, int]], hold: str | None = None) -> Ordered:
        world = self.world
        late = world.random.uniform(0, SETTLE) if world.strikes("order visible late", 0.3) else 0.0
        order = Ordered(world.number(), self.its_now(), self.its_now(), world.clock + late, lines, hold=hold)
        self.orders[order.number] = order
        sold = ", ".join(f"{units} {ref}" for _, ref, units in lines)
        world.note(f"{self.code} sells {sold} as order {order.number}" + (f", hidden {late:.0f} s" if late else ""))
        for _, ref, units in lines:
            world.take(self.offers[ref].components, units, f"{units} {ref} at {self.code}")
        return order

    def _cancel(self, order: Ordered) -> None:
        world = self.world
        line, ref, _ = world.random.choice(order.lines)
        left = order.open_units(line)
        if not left:
            return
        units = world.random.randint(1, left)
        reason = world.random.choice((ReversalReason.CUSTOMER, ReversalReason.CUSTOMER, ReversalReason.PAYMENT))
        restocks = world.random.random() < 0.6
        told = restocks if self.tells_restocks else None
        order.reversals.append(Reversed(world.number(), line, units, reason, told, self.its_now()))
        order.updated_at = max(order.updated_at, self.its_now())
        world.note(f"{self.code} cancels {units} {ref} of order {order.number}, restocked {restocks}, told {told}")
        if restocks:
            self.shown[ref] += units
        if destination(ReversalKind.CANCELLATION, reason, told) is StockState.AVAILABLE:
            world.give_back(self.offers[ref].components, units)

    # Its API.

    def close(self) -> None:
        pass

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        world = self.world
        self._on_the_way()
        world.note(f"{self.code} pulled since {updated_since:%H:%M:%S}")
        visible = [
            order
            for order in self.orders.values()
            if order.visible_from <= world.clock and order.updated_at >= updated_since
        ]
        visible.sort(key=lambda one: (one.updated_at, one.number))
        size = world.random.randint(2, 12)
        for start in range(0, max(1, len(visible)), size):
            self._fail("page of orders", 0.04)
            page = visible[start : start + size]
            if start and world.strikes("page repeated", 0.1):
                yield OrderPage([self._document(one) for one in visible[start - size : start]])
            if world.strikes("order twice in a page", 0.1):
                page = page + page[:1]
            yield OrderPage([self._document(one) for one in page])
            self._on_the_way()

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        self._on_the_way()
        self._fail("read", 0.04)
        readings = [Reading(ref, self.shown[ref], True) for ref in listing_refs if ref in self.shown]
        self.world.note(f"{self.code} shows {', '.join(f'{one.quantity} {one.listing_ref}' for one in readings)}")
        self._on_the_way()
        return readings

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        world = self.world
        self._on_the_way(most=SENDING / 4)
        self._fail("write", 0.04)
        if world.strikes("killed before the request", 0.01):
            world.note(f"killed before {self._said(changes)}")
            raise Died
        if world.strikes("request lost", 0.04):
            world.note(f"request lost: {self._said(changes)}")
            return [ChangeResult(one.listing_ref, ChangeStatus.UNKNOWN, "time-out") for one in changes]
        if world.strikes("applied late", 0.05):
            delay = world.random.uniform(0, IN_DOUBT / 2 - SENDING)
            world.note(f"on its way for {delay:.0f} s: {self._said(changes)}")
            world.later(delay, lambda: self._apply_all(changes))
            self._die("killed while the request was on its way", 0.3)
            return [ChangeResult(one.listing_ref, ChangeStatus.UNKNOWN, "time-out") for one in changes]
        results = self._apply_all(changes)
        self._on_the_way(most=SENDING / 4)
        self._die("killed before the answer came", 0.01)
        if world.strikes("answer lost", 0.05):
            world.note(f"{self.code} answer lost")
            return [ChangeResult(one.listing_ref, ChangeStatus.UNKNOWN, "time-out") for one in changes]
        return results

    def _apply_all(self, changes: Sequence[Change]) -> list[ChangeResult]:
        return [self._apply(change) for change in changes]

    def _apply(self, change: Change) -> ChangeResult:
        ref, before = change.listing_ref, self.shown[change.listing_ref]
        if self.world.strikes("rejected", 0.01):
            return ChangeResult(ref, ChangeStatus.REJECTED, "the listing is locked")
        if self.capabilities.compare_and_set and before != change.expected:
            self.world.note(f"{self.code} {ref}: stale, {before} and not {change.expected}")
            return ChangeResult(ref, ChangeStatus.STALE, f"{before} is live")
        self.shown[ref] = change.quantity
        self.world.note(f"{self.code} {ref}: {before} set to {change.quantity}")
        return ChangeResult(ref, ChangeStatus.DONE)

    def _on_the_way(self, most: float = 1.0) -> None:
        self.world.pass_time(self.world.random.uniform(0, most))
        if self.world.meanwhile is not None and not self.world.calm and self.world.random.random() < 0.1:
            self.world.meanwhile()

    def _fail(self, what: str, probability: float) -> None:
        world = self.world
        if world.clock < self.dark_until and not world.calm:
            world.faults["call to a dark channel"] += 1
            raise ChannelFault(self.code, Resolution.RETRY, f"{what}: did not connect")
        if world.strikes(f"{what}: 5xx", probability):
            raise ChannelFault(self.code, Resolution.RETRY, f"{what}: 503")
        if what == "page of orders" and world.strikes("page unreadable", probability):
            raise ChannelFault(self.code, Resolution.MALFORMED, "a page that is no JSON")

    def _die(self, how: str, probability: float) -> None:
        if self.world.strikes(how, probability):
            self.world.note(how)
            raise Died

    def _said(self, changes: Sequence[Change]) -> str:
        return f"{self.code} " + ", ".join(f"{one.listing_ref} := {one.quantity}" for one in changes)

    def _document(self, order: Ordered) -> dict[str, Any]:
        return {
            "order_id": str(order.number),
            "placed_at": order.placed_at.isoformat(),
            "updated_at": order.updated_at.isoformat(),
            "cancelled": False,
            "test": False,
            "lines": [
                {"line_id": str(number), "listing_ref": ref, "sku": self.offers[ref].sku, "quantity": units}
                for number, ref, units in order.lines
            ],
            "reversals": [
                {
                    "reversal_id": str(one.number),
                    "line_id": str(one.line),
                    "quantity": one.quantity,
                    "kind": ReversalKind.CANCELLATION.value,
                    "reason": one.reason.value,
                    "restocked": one.restocked,
                    "occurred_at": one.at.isoformat(),
                }
                for one in order.reversals
            ],
            **({"hold": order.hold} if order.hold else {}),
        }


def sold_lines(world: World) -> dict[tuple[str, str], tuple[int, int]]:
    """{(holder, line id): (ordered, reversed)} as the shops know it."""
    found = {}
    for code, shop in world.shops.items():
        for order in shop.orders.values():
            gone: dict[int, int] = defaultdict(int)
            for one in order.reversals:
                gone[one.line] += one.quantity
            for number, _, units in order.lines:
                found[f"order:{code}:{order.number}", str(number)] = (units, gone[number])
    return found
