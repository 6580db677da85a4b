"""A page at once, the same events one by one, and a shopkeeper who counts unit by unit: all agree.

Hypothesis makes the business (packs, bundles that share components, locations, channels that may sell from
some of them, little stock) and the orders. Every example is rolled back, so that one database serves all.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_stage import at, open_business, order, reversal
from sqlalchemy import Connection, Engine, text

from inventory.ledger.rebuilding import compare
from inventory.orders.orders import Sale, apply_sales
from inventory.words import ReversalKind, ReversalReason

PIECES = {"A": {"A": 1}, "B": {"B": 1}, "A-3": {"A": 3}, "SET": {"A": 2, "B": 1}}
"""What one listing unit of each listing is made of."""
PLACES = ("p", "q", "r")


@dataclass
class Business:
    stock: dict[str, dict[str, int]]
    channels: dict[str, tuple[str, ...]]
    pages: list[tuple[str, list[Sale]]]
    """(channel, its page), in the order in which they are applied."""


@st.composite
def businesses(draw: st.DrawFn, *, scarce_anywhere: bool = True) -> Business:
    places = PLACES[: draw(st.integers(1, 3))]
    some = st.lists(st.sampled_from(places), min_size=1, max_size=3, unique=True).map(tuple)
    channels = {f"ch{n}": draw(some) for n in range(draw(st.integers(1, 3)))}
    stock = {sku: {place: draw(st.integers(0, 6)) for place in places} for sku in ("A", "B")}
    reasons = st.sampled_from(
        [ReversalReason.CUSTOMER, ReversalReason.INVENTORY, ReversalReason.DAMAGED, ReversalReason.OTHER]
    )
    if not scarce_anywhere:
        if draw(st.booleans()):
            stock = {sku: dict.fromkeys(places, 1000) for sku in stock}
            # Of more reversals than there are units, the later are in excess: so they must be alike.
            reasons = st.just(draw(reasons))
        else:
            # Who is short decides what is found damaged, and where it lies: only so are totals independent of order.
            channels = dict.fromkeys(channels, places[:1])
            reasons = st.just(ReversalReason.CUSTOMER)
    pages = []
    names = iter(range(1000))
    for code in channels:
        sales = []
        for _ in range(draw(st.integers(0, 5))):
            name = next(names)
            wanted = draw(
                st.lists(st.tuples(st.sampled_from(sorted(PIECES)), st.integers(1, 4)), min_size=1, max_size=3)
            )
            back = [
                reversal(
                    f"r{name}-{n}", draw(st.integers(1, 4)), line=str(draw(st.integers(1, len(wanted) + 1))),
                    reason=draw(reasons), kind=draw(st.sampled_from([ReversalKind.CANCELLATION, ReversalKind.REFUND])),
                    restocked=True, minute=draw(st.integers(0, 40)) + n / 10 + name / 1000,
                )
                for n in range(draw(st.integers(0, 3)))
            ]  # fmt: skip
            sales.append(
                order(str(name), *wanted, minute=draw(st.integers(1, 30)) + name / 1000, updated=99, back=back)
            )
        pages.append((code, sales))
    return Business(stock, channels, pages)


def events_of(sales: Sequence[Sale]) -> list[tuple[datetime, int, str, Sale, int]]:
    """Each sale and each reversal at its time; a reversal never before its sale. (…, sale, which reversal or -1)."""
    found = []
    for sale in sales:
        found.append((sale.placed_at, 0, sale.order_id, sale, -1))
        for number, one in enumerate(sale.reversals):
            found.append((max(one.occurred_at, sale.placed_at), 1, one.reversal_id, sale, number))
    return sorted(found, key=lambda event: event[:3])


@dataclass
class Shopkeeper:
    """Counts unit by unit and knows nothing of sets."""

    business: Business
    shelf: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """{(sku, place, state): pieces}"""
    held: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    short: Counter[tuple[str, str]] = field(default_factory=Counter)
    promised: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    """{holder: (placed at, channel)}"""
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    """{(holder, line): listing units not reversed}"""
    reversals: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for sku, shelves in self.business.stock.items():
            for place, units in shelves.items():
                self.shelf[sku, place, "available"] += units

    def places_of(self, channel: str) -> list[str]:
        own = self.business.channels
        return sorted(own[channel], key=lambda place: (sum(place in other for other in own.values()), place))

    def hold_one(self, holder: str, sku: str) -> bool:
        for place in self.places_of(self.promised[holder][1]):
            if self.shelf[sku, place, "available"]:
                self.shelf[sku, place, "available"] -= 1
                self.shelf[sku, place, "reserved"] += 1
                self.held[holder, sku, place] += 1
                return True
        return False

    def work(self, channel: str, sales: Sequence[Sale]) -> None:
        for _, _, _, sale, number in events_of(sales):
            holder = f"order:{channel}:{sale.order_id}"
            if number < 0:
                self.promised[holder] = (sale.placed_at, channel)
                for line in sale.lines:
                    self.left[holder, line.line_id] = line.quantity
                    for sku, pieces in PIECES[line.listing_ref].items():
                        for _ in range(line.quantity * pieces):
                            if not self.hold_one(holder, sku):
                                self.short[holder, sku] += 1
            else:
                self.take_back(holder, sale, number)

    def take_back(self, holder: str, sale: Sale, number: int) -> None:
        one = sale.reversals[number]
        line = next((line for line in sale.lines if line.line_id == one.line_id), None)
        if line is None:
            self.reversals[one.reversal_id] = (0, "unmatched")
            return
        units = min(one.quantity, self.left[holder, line.line_id])
        self.left[holder, line.line_id] -= units
        self.reversals[one.reversal_id] = (units, "applied" if units == one.quantity else "excess")
        state = {ReversalReason.INVENTORY: "quarantined", ReversalReason.DAMAGED: "damaged"}.get(
            one.reason, "available"
        )
        for sku, pieces in PIECES[line.listing_ref].items():
            for _ in range(units * pieces):
                self.give_back_one(holder, sku, state)

    def give_back_one(self, holder: str, sku: str, state: str) -> None:
        if self.short[holder, sku]:
            self.short[holder, sku] -= 1
            return
        place = max(place for place in PLACES if self.held[holder, sku, place])
        self.held[holder, sku, place] -= 1
        self.shelf[sku, place, "reserved"] -= 1
        self.shelf[sku, place, state] += 1
        if state == "available":
            waiting = [one for (one, wanted), units in self.short.items() if units and wanted == sku]
            for other in sorted(waiting, key=lambda one: (self.promised[one][0], one)):
                if self.short[other, sku] and self.hold_one(other, sku):
                    self.short[other, sku] -= 1

    def ledger(self) -> dict[str, object]:
        lines = {key: (units, 0) for key, units in self.held.items() if units}
        lines |= {(holder, sku, ""): (0, units) for (holder, sku), units in self.short.items() if units}
        return {
            "balances": {key: units for key, units in self.shelf.items() if units},
            "lines": lines,
            "reversals": self.reversals,
        }


def ledger(connection: Connection) -> dict[str, object]:
    balances = connection.execute(
        text("SELECT sku, location, state, quantity FROM balance WHERE quantity <> 0 AND state <> 'supplier'")
    )
    lines = connection.execute(text("SELECT * FROM reservation_line WHERE held + oversold > 0"))
    reversals = connection.execute(text("SELECT reversal_id, applied, status FROM reversal"))
    assert compare(connection) == []
    return {
        "balances": {(row.sku, row.location, row.state): row.quantity for row in balances},
        "lines": {(row.holder, row.sku, row.location): (row.held, row.oversold) for row in lines},
        "reversals": {row.reversal_id: (row.applied, row.status) for row in reversals},
    }


def totals(connection: Connection) -> dict[str, object]:
    """What does not hang on which order came first."""
    found = ledger(connection)
    units: dict[tuple[str, str], int] = defaultdict(int)
    for (sku, _, state), quantity in found["balances"].items():  # type: ignore[attr-defined]
        units[sku, state] += quantity
    for (_, sku, _), (_, oversold) in found["lines"].items():  # type: ignore[attr-defined]
        units[sku, "oversold"] += oversold
    order_lines = connection.execute(text("SELECT holder, line_id, sku, quantity, reversed FROM order_line"))
    return {"units": {k: v for k, v in units.items() if v}, "order lines": {tuple(row) for row in order_lines}}


@contextmanager
def opened(engine: Engine, business: Business) -> Iterator[Connection]:
    with engine.connect() as connection, connection.begin() as transaction:
        open_business(
            connection,
            stock_at=business.stock,
            channels=business.channels,
            bundles={"SET": PIECES["SET"]},
            packs={"A-3": ("A", 3)},
        )
        yield connection
        transaction.rollback()


QUICK = settings(
    max_examples=80,
    deadline=None,
    # The database is the same for all examples on purpose: each is rolled back.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@QUICK
@given(business=businesses())
def test_a_page_at_once_is_its_events_one_by_one_is_the_shopkeeper(engine: Engine, business: Business) -> None:
    keeper = Shopkeeper(business)
    for channel, sales in business.pages:
        keeper.work(channel, sales)
    with opened(engine, business) as connection:
        for channel, sales in business.pages:
            applied = apply_sales(connection, channel, sales, now=at(99))
            assert applied.units_held + applied.units_oversold == sum(
                line.quantity * sum(PIECES[line.listing_ref].values()) for sale in sales for line in sale.lines
            )
        at_once = ledger(connection)
    assert at_once == keeper.ledger()
    with opened(engine, business) as connection:
        for channel, sales in business.pages:
            for time, _, _, sale, number in events_of(sales):
                seen = tuple(one for one in sale.reversals if max(one.occurred_at, sale.placed_at) < time)
                now_too = (sale.reversals[number],) if number >= 0 else ()
                apply_sales(connection, channel, [replace(sale, updated_at=time, reversals=seen + now_too)], now=at(99))
        one_by_one = ledger(connection)
    assert one_by_one == at_once


@QUICK
@given(business=businesses(scarce_anywhere=False), seed=st.integers(0, 2**32))
def test_any_delivery_comes_to_the_same(engine: Engine, business: Business, seed: int) -> None:
    """Split, repeated, shuffled, with versions that are outdated, the channels' pages mixed."""
    with opened(engine, business) as connection:
        for channel, sales in business.pages:
            apply_sales(connection, channel, sales, now=at(99))
        plain = totals(connection)
    chance = random.Random(seed)
    deliveries = []
    for channel, sales in business.pages:
        for sale in sales:
            deliveries += [(channel, sale)] * chance.randint(1, 3)
            for known in range(len(sale.reversals)):
                older = replace(sale, updated_at=at(40 + known), reversals=sale.reversals[:known])
                deliveries += [(channel, older)] * chance.randint(0, 2)
    chance.shuffle(deliveries)
    with opened(engine, business) as connection:
        while deliveries:
            size = chance.randint(1, 6)
            page, deliveries = deliveries[:size], deliveries[size:]
            for channel in business.channels:
                apply_sales(connection, channel, [sale for code, sale in page if code == channel], now=at(99))
        assert totals(connection) == plain
