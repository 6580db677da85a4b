"""A week of trade with planted drift: channels in memory, a virtual clock, and a list of what was planted where.

The channels sell what they show, take their own number down at once, and answer like a vendor's adapter. What is
planted is noted with the class that it should be given; nothing else is wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from adapters.channels.protocol import (
    Capabilities,
    CataloguePage,
    Change,
    ChangeResult,
    ChangeStatus,
    OrderPage,
    PauseState,
    Reading,
    Remember,
    forget,
)
from adapters.http import ChannelFault, Resolution
from inventory.words import Comparison, DiscrepancyClass


@dataclass
class Clock:
    at: datetime

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Placed:
    """An order as its channel has it."""

    document: dict[str, Any]
    visible_from: datetime


@dataclass
class Shop:
    """One channel. `compare_and_set`: how it takes a number; else absolutely."""

    code: str
    clock: Clock
    compare_and_set: bool
    shown: dict[str, int]
    orders: dict[str, Placed] = field(default_factory=dict)
    orders_away: bool = False
    wiped: bool = False
    """It answers zero for everything, as a cache that was emptied."""
    lazy: dict[str, float] = field(default_factory=dict)
    """{ref: seconds after which the next raise of it is applied}"""
    pending: list[tuple[datetime, str, int, int]] = field(default_factory=list)
    """(when, ref, number that must still be live, number)"""
    numbers: int = 0

    def __post_init__(self) -> None:
        self.capabilities = Capabilities(self.compare_and_set, idempotency_keys=False, write_batch=100, read_batch=100)

    def close(self) -> None:
        pass

    def sell(self, ref: str, units: int, *, at: datetime, hidden: float = 0.0) -> int:
        """Sells what it shows at most; the order is in its list `hidden` seconds later. Returns the units."""
        units = min(units, self.shown[ref])
        if units <= 0:
            return 0
        self.shown[ref] -= units
        self.numbers += 1
        number = f"{self.code}-{self.numbers}"
        document = {
            "order_id": number, "placed_at": at.isoformat(), "updated_at": at.isoformat(), "cancelled": False,
            "test": False, "reversals": [],
            "lines": [{"line_id": "1", "listing_ref": ref, "sku": ref.partition(":")[2], "quantity": units}],
        }  # fmt: skip
        self.orders[number] = Placed(document, at + timedelta(seconds=hidden))
        return units

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        self._catch_up()
        if self.orders_away:
            raise ChannelFault(self.code, Resolution.RETRY, "orders: 503")
        now, since = self.clock(), updated_since.isoformat()
        found = [
            one.document
            for one in self.orders.values()
            if one.visible_from <= now and one.document["updated_at"] >= since
        ]
        found.sort(key=lambda one: str(one["updated_at"]))
        for start in range(0, len(found), 100):
            yield OrderPage(found[start : start + 100])

    def read_orders(self, order_ids: Sequence[str]) -> OrderPage:
        now = self.clock()
        known = [self.orders[one] for one in order_ids if one in self.orders]
        return OrderPage([one.document for one in known if one.visible_from <= now])

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        self._catch_up()
        return [Reading(ref, 0 if self.wiped else self.shown[ref], True) for ref in listing_refs if ref in self.shown]

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        self._catch_up()
        return [self._set(change) for change in changes]

    def _set(self, change: Change) -> ChangeResult:
        ref, live = change.listing_ref, self.shown[change.listing_ref]
        if self.compare_and_set and live != change.expected:
            return ChangeResult(ref, ChangeStatus.STALE, "another number is live")
        if change.quantity > live and ref in self.lazy:
            due = self.clock() + timedelta(seconds=self.lazy.pop(ref))
            self.pending.append((due, ref, live, change.quantity))
        else:
            self.shown[ref] = change.quantity
        return ChangeResult(ref, ChangeStatus.DONE)

    def _catch_up(self) -> None:
        now = self.clock()
        for due, ref, live, quantity in [one for one in self.pending if one[0] <= now]:
            if self.shown[ref] == live:
                self.shown[ref] = quantity
            self.pending.remove((due, ref, live, quantity))

    def read_catalogue(self) -> Iterator[CataloguePage]:
        yield CataloguePage([])

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        return {}

    def resume(self, state: PauseState) -> None:
        pass


@dataclass(frozen=True)
class Planted:
    what: str
    kind: DiscrepancyClass
    comparison: Comparison
    subjects: tuple[str, ...]
    """Any of them may tell of it."""
    at: datetime


@dataclass
class Drifter:
    """Plants one fault after the other, each on a SKU of its own."""

    shops: dict[str, Shop]
    clock: Clock
    random: Random
    skus: list[str]
    """Not used yet."""
    planted: list[Planted] = field(default_factory=list)
    off_shelf: dict[str, int] = field(default_factory=dict)
    """{SKU: units by which the warehouse has more than was booked}"""

    def note(self, what: str, kind: DiscrepancyClass, comparison: Comparison, *subjects: str) -> None:
        self.planted.append(Planted(what, kind, comparison, subjects, self.clock()))

    def pick(self, least: int = 4) -> tuple[Shop, str, str] | None:
        """A shop, a ref and a SKU that shows something."""
        for sku in list(self.skus):
            shop = self.random.choice(sorted(self.shops.values(), key=lambda one: one.code))
            ref = f"{shop.code}:{sku}"
            if shop.shown[ref] >= least:
                self.skus.remove(sku)
                return shop, ref, sku
        return None

    def raised(self) -> None:
        """Another app writes more than is there."""
        if found := self.pick(0):
            shop, ref, _ = found
            shop.shown[ref] += self.random.randint(3, 60)
            self.note("raised by another app", DiscrepancyClass.FOREIGN_WRITE, Comparison.QUANTITIES,
                      f"{shop.code}/{ref}")  # fmt: skip

    def lowered(self) -> None:
        if found := self.pick():
            shop, ref, _ = found
            shop.shown[ref] -= self.random.randint(2, shop.shown[ref])
            self.note("lowered by a person", DiscrepancyClass.FOREIGN_WRITE, Comparison.QUANTITIES,
                      f"{shop.code}/{ref}")  # fmt: skip

    def missed(self) -> None:
        """An order that shows only when every pull has passed it by."""
        if found := self.pick():
            shop, ref, _ = found
            shop.sell(ref, 3, at=self.clock(), hidden=4 * 3600)
            self.note("order that no pull showed", DiscrepancyClass.MISMATCH, Comparison.ORDERS,
                      f"{shop.code}/{shop.code}-{shop.numbers}")  # fmt: skip
            self.note("its quantity", DiscrepancyClass.MISMATCH, Comparison.QUANTITIES, f"{shop.code}/{ref}")

    def late(self) -> None:
        """An order that shows some minutes after it was placed, as the channel's terms allow."""
        if found := self.pick():
            shop, ref, _ = found
            shop.sell(ref, 2, at=self.clock(), hidden=500)
            self.note("order that shows late", DiscrepancyClass.DELAYED, Comparison.QUANTITIES, f"{shop.code}/{ref}")

    def negative(self) -> None:
        if found := self.pick(0):
            shop, ref, _ = found
            shop.shown[ref] = -self.random.randint(1, 3)
            self.note("sold below zero", DiscrepancyClass.BAD_COUNT, Comparison.QUANTITIES, f"{shop.code}/{ref}")

    def phantom(self) -> None:
        old, recent = self.clock() - timedelta(hours=2), self.clock() - timedelta(hours=30)
        for shop in self.shops.values():
            for number, one in sorted(shop.orders.items()):
                sku = str(one.document["lines"][0]["sku"])
                if recent < one.visible_from < old and sku in self.skus and len(one.document["lines"]) == 1:
                    self.skus.remove(sku)
                    del shop.orders[number]
                    self.note("order that vanished", DiscrepancyClass.MISMATCH, Comparison.ORDERS,
                              f"{shop.code}/{number}")  # fmt: skip
                    return

    def changed(self) -> None:
        old, recent = self.clock() - timedelta(hours=2), self.clock() - timedelta(hours=30)
        for shop in self.shops.values():
            for number, one in sorted(shop.orders.items()):
                [line] = one.document["lines"]
                if recent < one.visible_from < old and line["sku"] in self.skus and line["quantity"] > 1:
                    self.skus.remove(line["sku"])
                    one.document["lines"] = [line | {"quantity": line["quantity"] - 1}]
                    self.note("order changed in silence", DiscrepancyClass.MISMATCH, Comparison.ORDERS,
                              f"{shop.code}/{number}")  # fmt: skip
                    return

    def stolen(self) -> None:
        if self.skus:
            sku = self.skus.pop()
            self.off_shelf[sku] = -self.random.randint(1, 4)
            self.note("stolen", DiscrepancyClass.BAD_COUNT, Comparison.WAREHOUSE, f"{sku}@main")

    def swapped(self) -> None:
        if len(self.skus) > 1:
            one, other, units = self.skus.pop(), self.skus.pop(), self.random.randint(1, 4)
            self.off_shelf |= {one: -units, other: units}
            self.note("one scanned for another", DiscrepancyClass.BAD_COUNT, Comparison.WAREHOUSE, f"{one}@main")
            self.note("one scanned for another", DiscrepancyClass.BAD_COUNT, Comparison.WAREHOUSE, f"{other}@main")
