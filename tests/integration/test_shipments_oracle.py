"""Orders, cancellations, shipments in parts, refunds, returns and parcels in any order, checked by a clerk.

The clerk knows of each listing unit only whether it is open, has left or is reversed, and of each piece that it must be
somewhere. Every example is rolled back, so that one database serves all.
"""

import random
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_stage import at, open_business, order, reversal
from sqlalchemy import Connection, Engine, text

from inventory.goods.returns import Returned, arrive
from inventory.goods.shipment_posting import Shipped, Step, post_shipments
from inventory.ledger import integrity, stock
from inventory.ledger.rebuilding import compare
from inventory.orders.orders import Sale, apply_sales
from inventory.words import ReversalKind, ReversalReason

PIECES = {"A": {"A": 1}, "B": {"B": 1}, "A-3": {"A": 3}, "SET": {"A": 2, "B": 1}}
SOLD_AS = {"A": ("A", 1), "B": ("B", 1), "A-3": ("A", 3), "SET": ("SET", 1)}
"""(SKU of a shipment's row, its units in one listing unit)"""
PLACES = ("p", "q")
STOCK = {"A": {"p": 9, "q": 4}, "B": {"p": 3, "q": 3}}
ON_HAND = ("available", "reserved", "allocated", "damaged", "quarantined")


class Clerk:
    """One order after the other; `left` and `back` are listing units of each line, as the channel counts them."""

    def __init__(self, connection: Connection, chance: random.Random) -> None:
        self.connection, self.chance = connection, chance
        self.minute = 1.0
        self.names = iter(range(10_000))
        self.sales: dict[str, Sale] = {}
        self.open: Counter[tuple[str, str]] = Counter()
        self.shipped: Counter[tuple[str, str]] = Counter()
        self.posted: list[Shipped] = []
        self.refused = 0

    def step(self) -> None:
        self.minute += 1
        choices = [self.sell, self.post, self.post, self.post, self.reverse, self.tell, self.parcel, self.again]
        self.chance.choice(choices)()
        self.check()

    def sell(self) -> None:
        name = str(next(self.names))
        wanted = [(ref, self.chance.randint(1, 3)) for ref in self.chance.choices(sorted(PIECES), k=2)]
        self._apply(order(name, *wanted, minute=self.minute, updated=self.minute))

    def _apply(self, sale: Sale) -> None:
        fresh = sale.order_id not in self.sales
        self.sales[sale.order_id] = sale
        apply_sales(self.connection, "web", [sale], now=at(self.minute))
        if fresh:
            for line in sale.lines:
                self.open[sale.order_id, line.line_id] = line.quantity

    def _line(self) -> tuple[Sale, Any] | None:
        if not self.sales:
            return None
        sale = self.chance.choice(list(self.sales.values()))
        return sale, self.chance.choice(sale.lines)

    def _again(self, sale: Sale, **changes: Any) -> Sale:
        given = {"updated_at": at(self.minute), "fulfilled": ()} | changes
        return Sale(sale.order_id, sale.placed_at, lines=sale.lines, **{"reversals": sale.reversals, **given})

    def reverse(self) -> None:
        """A cancellation, a refund or a return, also of more than is left."""
        if (found := self._line()) is None:
            return
        sale, line = found
        one = reversal(
            f"r{next(self.names)}", self.chance.randint(1, 2), line=line.line_id, minute=self.minute,
            kind=self.chance.choice(list(ReversalKind)), restocked=self.chance.choice([True, False, None]),
            reason=self.chance.choice([ReversalReason.CUSTOMER, ReversalReason.DAMAGED]),
        )  # fmt: skip
        self._apply(self._again(sale, reversals=(*sale.reversals, one)))

    def tell(self) -> None:
        """The channel says what has left so far."""
        if (found := self._line()) is None:
            return
        sale, line = found
        told = self.chance.randint(0, line.quantity)
        self._apply(self._again(sale, fulfilled=((line.line_id, told),)))

    def post(self) -> None:
        if (found := self._line()) is None:
            return
        sale, line = found
        sku, pack = SOLD_AS[line.listing_ref]
        step = self.chance.choice([Step.SHIP, Step.SHIP, Step.ALLOCATE])
        place = self.chance.choice(["p", "q"] if step is Step.ALLOCATE else ["", "", "p", "q"])
        units = self.chance.randint(1, 4) * self.chance.choice([pack, pack, 1])
        row = Shipped(step, f"S{next(self.names)}", "web", sale.order_id, sku, units, place, at(self.minute))
        self._post(row)

    def _post(self, row: Shipped) -> None:
        before = self._numbers()
        posted = post_shipments(self.connection, [row], actor="Wanda", now=at(self.minute))
        assert posted.rows + posted.repeated + len(posted.refused) == 1
        if posted.refused:
            self.refused += 1
            assert posted.refused[0][1]
        elif posted.rows:
            self.posted.append(row)
        if not posted.rows:
            assert self._numbers() == before

    def again(self) -> None:
        """A shipment told twice, or of another quantity, and of an order that nobody knows."""
        if self.posted:
            row = self.chance.choice(self.posted)
            before = self._numbers()
            posted = post_shipments(self.connection, [row, row], actor="Wanda", now=at(self.minute))
            assert (posted.rows, posted.repeated) == (0, 2)
            assert self._numbers() == before
        self._post(Shipped(Step.SHIP, "S", "web", "nobody", "A", 1, "", at(self.minute)))

    def parcel(self) -> None:
        if (found := self._line()) is None:
            return
        sale, line = found
        sku = self.chance.choice(sorted(PIECES[line.listing_ref]))
        row = Returned(f"P{next(self.names)}", sku, "q", self.chance.randint(1, 2), 0, f"order:web:{sale.order_id}")
        arrive(self.connection, [row], actor="Rita", now=at(self.minute))

    def _rows(self, query: str) -> list[Any]:
        return [tuple(row) for row in self.connection.execute(text(query))]

    def _numbers(self) -> list[Any]:
        return [
            *self._rows("SELECT sku, location, state, quantity FROM balance WHERE quantity <> 0 ORDER BY 1, 2, 3"),
            *self._rows("SELECT holder, sku, location, held, oversold, allocated, sent, early FROM reservation_line "
                        "WHERE held + oversold + sent + early > 0 ORDER BY 1, 2, 3"),
        ]  # fmt: skip

    def check(self) -> None:
        assert compare(self.connection) == []
        assert [one.message for one in integrity.inspect(self.connection, now=at(self.minute))] == []
        # Every piece that ever was is on hand or has left, whatever was said of it.
        for sku, shelves in STOCK.items():
            [(there, out)] = self._rows(
                f"SELECT coalesce(sum(quantity) FILTER (WHERE state = ANY(ARRAY{list(ON_HAND)})), 0)::int, "
                "coalesce(sum(quantity) FILTER (WHERE state = 'shipped'), 0)::int "
                f"FROM balance WHERE sku = '{sku}'"
            )
            assert there + out == sum(shelves.values())
        routed = "SELECT sku, location, sum(allocated)::int FROM reservation_line WHERE allocated > 0 GROUP BY 1, 2"
        assert sorted(self._rows(routed)) == sorted(
            self._rows("SELECT sku, location, quantity::int FROM balance WHERE state = 'allocated' AND quantity > 0")
        )
        for holder, line_id, quantity, back, shipped, sent_back in self._rows(
            "SELECT holder, line_id, quantity, reversed, shipped, sent_back FROM order_line"
        ):
            said = sum(
                units for (units,) in self._rows(
                    f"SELECT quantity FROM shipment_line WHERE step = 'ship' AND holder = '{holder}' "
                    f"AND line_id = '{line_id}'"
                )
            )  # fmt: skip
            assert said <= shipped <= quantity
            assert 0 <= sent_back <= back <= quantity
        # Nobody waits for units that lie free where he may have them.
        waiting = self._rows(
            "SELECT 1 FROM reservation_line AS line JOIN balance USING (sku) WHERE oversold > 0 "
            "AND balance.state = 'available' AND balance.quantity > 0"
        )
        assert waiting == []


@settings(max_examples=16, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_every_unit_is_somewhere_whatever_is_told_in_whatever_order(engine: Engine, seed: int) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        open_business(
            connection,
            stock_at=STOCK,
            channels={"web": PLACES},
            bundles={"SET": {"A": 2, "B": 1}},
            packs={"A-3": ("A", 3)},
        )
        clerk = Clerk(connection, random.Random(seed))
        for _ in range(25):
            clerk.step()
        stock.receive(connection, [("A", "p", 40), ("B", "p", 40)], receipt="more", now=at(99))
        transaction.rollback()
