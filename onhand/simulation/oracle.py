"""What must be so, at every step and in the end. The oracle knows what the shops really did; the ledger is asked."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from inventory.ledger import rebuilding
from inventory.publishing.availability import load_market
from inventory.publishing.guidance import read_guidance
from inventory.publishing.publishing import plan
from onhand.simulation.market import Storefront, Truth
from onhand.simulation.world import World


class Broken(AssertionError):
    """A promise was broken. The message says which."""


_SEEN = text(
    """
    SELECT (SELECT coalesce(jsonb_agg(jsonb_build_array(channel, ref, exposure)), '[]') FROM listing) AS listings,
           (SELECT coalesce(jsonb_agg(jsonb_build_array(holder, line_id, reversed)), '[]') FROM order_line) AS lines,
           (SELECT coalesce(jsonb_object_agg(sku, quantity), '{}') FROM balance
             WHERE state = 'available' AND location = 'main') AS available,
           (SELECT count(*) FROM balance WHERE quantity < 0 AND state IN
             ('available', 'reserved', 'allocated', 'damaged', 'quarantined')) AS below
    """
)


@dataclass
class Oracle:
    """`may_oversell`: the policy takes that risk; what it may not do is checked all the same."""

    world: World
    engine: Engine
    truth: Truth
    shops: Mapping[str, Storefront]
    may_oversell: bool = False

    def at_this_step(self) -> None:
        """No unit is sold twice, and none can be: what a listing shows and has sold unseen is within its exposure, and
        what all listings of a SKU do together within what is sellable.

        What a shop has put back on its own counter, and the ledger has not heard of, is there once more: it is no part
        of either.
        """
        self._not_oversold()
        with self.engine.connect() as connection:
            row = connection.execute(_SEEN).one()
        if row.below:
            raise Broken("a balance is below zero")
        exposures = {(channel, ref): exposure for channel, ref, exposure in row.listings}
        heard = {(holder, line): back for holder, line, back in row.lines}
        worst: Counter[str] = Counter()
        for code, shop in self.shops.items():
            if shop.plan.asks_first:
                continue
            for ref, units in self._unseen(shop, heard).items():
                known = exposures[code, ref]
                if known is not None and units > known and ref not in shop.strange:
                    raise Broken(f"{code} may sell {units} of {ref}, and {known} are counted")
                for sku, pieces in shop.offers[shop.refs[ref]].components.items():
                    worst[sku] += units * pieces
        if self.may_oversell:
            return
        for sku, units in worst.items():
            sellable = row.available.get(sku, 0)
            if units > sellable + self.truth.excused[sku]:
                raise Broken(f"{units} of {sku} may be sold unseen, and {sellable} are sellable")

    def _not_oversold(self) -> None:
        if self.truth.oversold and not self.may_oversell:
            raise Broken(self.truth.oversold[0])

    def _unseen(self, shop: Storefront, heard: Mapping[tuple[str, str], int]) -> dict[str, int]:
        """{ref: units that are on sale or were sold, and that the ledger has not seen}."""
        units = shop.on_sale()
        naming = shop.shop.naming
        for order in shop.shop.orders.values():
            reversals: dict[int, list[tuple[int, bool]]] = defaultdict(list)
            for one in order.reversals:
                reversals[one.line].append((one.quantity, one.restocked))
            for line in order.lines:
                ref = naming.listing(line.product.number)
                key = (f"order:{shop.code}:{naming.order(order.number)}", naming.line(line.number))
                units[ref] += 0 if key in heard else line.quantity
                units[ref] -= _unheard(reversals[line.number], heard.get(key, 0))
        return units

    def at_the_end(self) -> None:
        """All is quiet: every sale is in the ledger exactly once, every balance is the sum of its movements, what is
        counted is what is live, and no unit is stranded."""
        self._not_oversold()
        with self.engine.connect() as connection:
            self._orders_are_known(connection)
            if differing := rebuilding.compare(connection):
                raise Broken(f"the ledger does not agree with itself: {differing}")
            self._stock_is_known(connection)
            self._exposure_is_live(connection)
            self._nothing_waits(connection)
            self._nothing_stranded(connection)

    def _orders_are_known(self, connection: Connection) -> None:
        rows = connection.execute(text("SELECT holder, line_id, quantity, reversed FROM order_line"))
        known = {(one.holder, one.line_id): (one.quantity, one.reversed) for one in rows}
        sold = {
            (f"order:{code}:{shop.shop.naming.order(order.number)}", shop.shop.naming.line(line.number)):
            (line.quantity, line.reversed)
            for code, shop in self.shops.items() for order in shop.shop.orders.values() for line in order.lines
        }  # fmt: skip
        for key in sorted({*known, *sold}):
            if known.get(key) != sold.get(key):
                raise Broken(f"{key}: the shop sold and took back {sold.get(key)}, the ledger has {known.get(key)}")
        oversold = connection.execute(
            text("SELECT sku, oversold FROM reservation_line WHERE oversold > 0 ORDER BY sku")
        ).all()
        if oversold and not self.may_oversell and not self.truth.excused:
            raise Broken(f"thought to be oversold still: {[tuple(one) for one in oversold]}")

    def _stock_is_known(self, connection: Connection) -> None:
        rows = connection.execute(
            text(
                "SELECT sku, sum(quantity)::bigint AS pieces FROM balance WHERE state IN "
                "('available', 'reserved', 'allocated', 'damaged', 'quarantined') GROUP BY sku"
            )
        )
        on_hand = {row.sku: row.pieces for row in rows}
        if on_hand != {sku: units for sku, units in self.truth.stock.items() if units or sku in on_hand}:
            raise Broken(f"on the shelf are {dict(self.truth.stock)}, the ledger has {on_hand}")

    def _exposure_is_live(self, connection: Connection) -> None:
        for row in connection.execute(text("SELECT channel, ref, exposure, unconfirmed_until FROM listing")):
            shop = self.shops[row.channel]
            if shop.plan.asks_first and not self.may_oversell and row.exposure != 0:
                raise Broken(f"{row.channel} asks first, and {row.exposure} of {row.ref} are counted")
            shown = shop.shown()[row.ref]
            if not shop.plan.asks_first and row.exposure != shown:
                raise Broken(f"{row.channel} shows {shown} of {row.ref}, and {row.exposure} are counted")
            if row.unconfirmed_until is not None:
                raise Broken(f"{row.ref} of {row.channel} is in doubt still")

    def _nothing_waits(self, connection: Connection) -> None:
        now = self.world.now()
        for what, sql in (
            ("to be published", "SELECT count(*) FROM outbox WHERE due_at <= :now"),
            ("not applied", "SELECT count(*) FROM inbox WHERE status <> 'applied'"),
            ("held back by the gate", "SELECT count(*) FROM quarantined_row WHERE status = 'open'"),
        ):
            if left := connection.execute(text(sql), {"now": now}).scalar_one():
                raise Broken(f"{left} rows are {what} still")

    def _nothing_stranded(self, connection: Connection) -> None:
        live = {
            row.id: self.shops[row.channel].shown()[row.ref]
            for row in connection.execute(text("SELECT id, channel, ref FROM listing"))
        }
        skus = list(self.truth.stock)
        guidance = read_guidance(connection, skus, now=self.world.now())
        if guidance.dark:
            raise Broken(f"thought to be dark, although it was read: {guidance.dark}")
        market = load_market(connection, skus, live, guidance if self.may_oversell else None)
        if left := [f"{step.position.channel} {step.position.ref} to {step.quantity}" for step in plan(market)]:
            raise Broken(f"units are stranded: {left}")
        if self.may_oversell:
            return
        for sku in skus:
            free = market.stock[sku].sellable(["main"])
            offered = sum((one.exposure or 0) * one.components.get(sku, 0) for one in market.positions)
            if offered > free:
                raise Broken(f"{offered} of {sku} are offered, and {free} are free")
            for one in market.positions:
                if one.asks_first and one.components == {sku: 1} and one.live != free - offered:
                    raise Broken(f"{one.channel} shows {one.live} of {sku}, and {free - offered} are free")


def _unheard(reversals: list[tuple[int, bool]], heard: int) -> int:
    """Units that the shop put back itself, of the reversals that the ledger has not heard of (the latest ones)."""
    back = 0
    for quantity, restocked in reversals:
        if heard >= quantity:
            heard -= quantity
        elif restocked:
            back += quantity - heard
            heard = 0
    return back
